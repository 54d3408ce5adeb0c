"""Words in time, and the segments that they make where the model was not asked for time stamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import attrs
from faster_whisper.tokenizer import Tokenizer

from asrlab.transcript import Word

__all__ = ["sentences", "tokens_of"]

_ENDS = tuple(".?!。？！…")  # noqa: RUF001 - full-width punctuation is meant
_CLOSING = "\"'”’»)]」』"  # noqa: RUF001 - as above
_LONGEST_ABBREVIATION = 3
_PAUSE_S = 1.0
_LONGEST_MEDIAN_S = 0.7
"""Source: faster-whisper, ``add_word_timestamps``, whose rule for the first word of a segment this is."""


def sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    """*words* parted behind the end of each sentence, and at each pause of a second.

    A full stop behind three letters or fewer ends none: it is taken for an abbreviation, such as ``Mr.``. The first
    word of a sentence lasts no longer than two usual words: a pause before it is not its own.
    """
    lengths = [word.end - word.start for word in words if word.end > word.start]
    longest = 2 * min(_LONGEST_MEDIAN_S, median(lengths)) if lengths else 0.0
    for sentence in _parted(words):
        first = sentence[0]
        yield [attrs.evolve(first, start=max(first.start, first.end - longest)), *sentence[1:]]


def _parted(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and (word.start - sentence[-1].end >= _PAUSE_S or _ends(sentence[-1].text)):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence


def _ends(text: str) -> bool:
    bare = text.rstrip(_CLOSING)
    if not bare.endswith(_ENDS):
        return False
    letters = sum(map(str.isalnum, bare))
    return not bare.endswith(".") or letters > _LONGEST_ABBREVIATION or bare.isdigit()


def tokens_of(parts: Sequence[str], tokens: Sequence[int], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """*tokens* shared out among *parts* of their text, which follow one another in it, spaces included."""
    words, tokens_by_word = tokenizer.split_to_word_tokens(list(tokens))
    waiting = list(zip(words, tokens_by_word, strict=True))
    shares: list[tuple[int, ...]] = []
    for place, part in enumerate(parts):
        share: list[int] = []
        left = len(part)
        while waiting and (left > 0 or place == len(parts) - 1):
            word, own = waiting.pop(0)
            left -= len(word)
            share += own
        shares.append(tuple(share))
    return shares
