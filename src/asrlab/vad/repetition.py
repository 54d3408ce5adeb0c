"""Repetition loops: phrases that a model repeats again and again instead of continuing."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import attrs

from asrlab.languages import UNSPACED

if TYPE_CHECKING:
    from collections.abc import Iterator


_MIN_COUNT = 3
_MIN_WORDS = 15
"""Words in a loop: five seconds of speech. People say a word a dozen times ("no, no, no", "5 5 5 5", "la la la"), a
refrain of three words four times ("let it be"), and a sentence twice; a model in a loop continues until it is stopped.

Source: asrlab's own. For comparison, WhisperLiveKit's pull request 339 calls any three repetitions a loop, and
Whisper's own measure (``compression_ratio_threshold`` 2.4) finds no short loops.
"""
_MIN_CHARACTERS = 20
"""Characters in a loop in scripts without spaces, where a word has one or two characters."""
_MAX_PERIOD = 200
"""Words, or characters, in a phrase: some 70 seconds of speech."""
_MAX_WORD = 64
"""Letters in a word. A longer word exists in no language, but may be a loop without spaces ("hahaha...")."""


@attrs.frozen(kw_only=True)
class RepetitionLoop:
    """Phrase that a text repeats without anything in between.

    Attributes:
        phrase: First occurrence of the phrase in the text.
        count: Number of complete repetitions in a row.
        start: Index in the text of the start of the first repetition.
        end: Index in the text of the end of the last repeated word or character.
    """

    phrase: str
    count: int
    start: int
    end: int


@attrs.frozen(kw_only=True)
class _Token:
    key: str
    start: int
    end: int
    is_character: bool


def find_repetition(text: str) -> RepetitionLoop | None:
    """Return the longest loop in *text*; None if there is none.

    A loop is a phrase of up to 200 words that occurs three times or more in a row, with 15 words or more in all, or 20
    characters in a script without spaces. Case and punctuation are ignored.
    """
    tokens = list(_tokens(text))
    start, end, period = _longest_run([token.key for token in tokens])
    looped = tokens[start:end]
    has_words = not looped or not all(token.is_character for token in looped)
    if len(looped) < (_MIN_WORDS if has_words else _MIN_CHARACTERS):
        return None
    return RepetitionLoop(
        phrase=text[looped[0].start : looped[period - 1].end],
        count=len(looped) // period,
        start=looped[0].start,
        end=looped[-1].end,
    )


def _longest_run(keys: list[str]) -> tuple[int, int, int]:
    """Return the longest run of a phrase repeated three times or more: start, end, and the length of the phrase."""
    import numpy as np

    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    ids = np.array([numbers[key] for key in keys], np.int32)
    best = (0, 0, 1)
    for period in range(1, min(_MAX_PERIOD, len(ids) // _MIN_COUNT) + 1):
        same = ids[period:] == ids[:-period]  # n equal ids in a row are n + period words
        if np.count_nonzero(same) <= max(0, best[1] - best[0] - period):
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        longest = int(lengths.argmax())
        length = int(lengths[longest]) + period
        if length >= _MIN_COUNT * period and length > best[1] - best[0]:
            best = (int(edges[2 * longest]), int(edges[2 * longest]) + length, period)
    return best


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the words, and the single characters of scripts without spaces, without punctuation."""
    for word in re.finditer(r"\S+", text):
        written, start = word.group(), word.start()
        indices = [index for index, character in enumerate(written) if not _is_punctuation(character)]
        if UNSPACED.search(written) or len(written) > _MAX_WORD:
            for index in indices:
                key = written[index].casefold()
                yield _Token(key=key, start=start + index, end=start + index + 1, is_character=True)
        elif indices:
            key = "".join(written[index] for index in indices).casefold()
            yield _Token(key=key, start=start + indices[0], end=start + indices[-1] + 1, is_character=False)


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZC"
