"""Synthetic utterances: words, numbers and names, with two systems' mistakes in them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from asrlab.evaluation.metrics import TextPair, UtteranceTime

__all__ = ["blocks_of", "pairs_of", "times_of"]

_SYLLABLES = ("ba", "do", "ke", "li", "mo", "nu", "ra", "si", "ta", "ve")
_NAMES = ("Anna", "Dashwood", "Paris", "Norland", "Henry")
_SPEAKERS = 200


def pairs_of(count: int, *, seed: int, errors: float) -> list[TextPair]:
    """Return *count* utterances with the errors of one system; the references are the same for every seed."""
    words, mistakes = random.Random(0), random.Random(seed)  # noqa: S311 - no secret
    vocabulary = ["".join(words.choices(_SYLLABLES, k=words.randint(1, 4))) for _ in range(5_000)]
    pairs = []
    for n in range(count):
        reference_words = ["The", *(_word(vocabulary, words) for _ in range(words.randint(4, 34)))]
        written = [one for word in reference_words for one in _written(word, vocabulary, mistakes, errors)]
        pairs.append(
            TextPair(id=f"utterance-{n}", reference=f"{' '.join(reference_words)}.", hypothesis=" ".join(written))
        )
    return pairs


def times_of(count: int, *, seed: int) -> list[UtteranceTime]:
    """Return the times of one system for the utterances."""
    audio, chance = random.Random(0), random.Random(seed)  # noqa: S311 - no secret
    durations = [audio.uniform(2, 15) for _ in range(count)]
    return [
        UtteranceTime(id=f"utterance-{n}", duration=duration, seconds=duration * chance.uniform(0.05, 0.15))
        for n, duration in enumerate(durations)
    ]


def blocks_of(count: int) -> dict[str, str | None]:
    """Return the speakers of the utterances."""
    return {f"utterance-{n}": f"speaker-{n % _SPEAKERS}" for n in range(count)}


def _word(vocabulary: Sequence[str], chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.02:
        return str(chance.randint(2, 3000))
    return chance.choice(_NAMES) if kind < 0.03 else chance.choice(vocabulary)


def _written(word: str, vocabulary: Sequence[str], chance: random.Random, errors: float) -> list[str]:
    kind = chance.random() / errors
    if kind > 1:
        return [word]
    return [chance.choice(vocabulary)] if kind < 0.6 else [] if kind < 0.8 else [word, chance.choice(vocabulary)]
