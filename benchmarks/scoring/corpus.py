"""Synthetic utterances with words, numbers and names, and the errors of two systems."""

from __future__ import annotations

import random
from collections.abc import Sequence

from asrlab.evaluation.metrics import TextPair, UtteranceTime

__all__ = ["create_blocks", "create_pairs", "create_times"]

_SYLLABLES = ("ba", "do", "ke", "li", "mo", "nu", "ra", "si", "ta", "ve")
_NAMES = ("Anna", "Dashwood", "Paris", "Norland", "Henry")
_SPEAKERS = 200


def create_pairs(count: int, *, seed: int, errors: float) -> list[TextPair]:
    """Return *count* utterances with the errors of one system; the references are the same for every seed."""
    words, mutations = random.Random(0), random.Random(seed)  # noqa: S311 - not secret
    vocabulary = ["".join(words.choices(_SYLLABLES, k=words.randint(1, 4))) for _ in range(5_000)]
    pairs = []
    for n in range(count):
        spoken = ["The", *(_random_word(vocabulary, words) for _ in range(words.randint(4, 34)))]
        recognized = [output for word in spoken for output in _recognize(word, vocabulary, mutations, errors)]
        pairs.append(TextPair(id=f"utterance-{n}", reference=f"{' '.join(spoken)}.", hypothesis=" ".join(recognized)))
    return pairs


def create_times(count: int, *, seed: int) -> list[UtteranceTime]:
    """Return the times of one system for the utterances."""
    audio, speed = random.Random(0), random.Random(seed)  # noqa: S311 - not secret
    durations = [audio.uniform(2, 15) for _ in range(count)]
    return [
        UtteranceTime(id=f"utterance-{n}", duration=duration, seconds=duration * speed.uniform(0.05, 0.15))
        for n, duration in enumerate(durations)
    ]


def create_blocks(count: int) -> dict[str, str | None]:
    """Return the speakers of the utterances."""
    return {f"utterance-{n}": f"speaker-{n % _SPEAKERS}" for n in range(count)}


def _random_word(vocabulary: Sequence[str], generator: random.Random) -> str:
    kind = generator.random()
    if kind < 0.02:
        return str(generator.randint(2, 3000))
    return generator.choice(_NAMES) if kind < 0.03 else generator.choice(vocabulary)


def _recognize(word: str, vocabulary: Sequence[str], generator: random.Random, errors: float) -> list[str]:
    kind = generator.random() / errors
    if kind > 1:
        return [word]
    return [generator.choice(vocabulary)] if kind < 0.6 else [] if kind < 0.8 else [word, generator.choice(vocabulary)]
