"""Loops: a phrase that a model says again and again instead of going on."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator


_LEAST_COUNT = 3
_LEAST_WORDS = 15
"""Five seconds of the same words. People say a word a dozen times ("no, no, no", "5 5 5 5", "la la la"), a refrain of
three words four times ("let it be"), and a sentence twice; a model that loops goes on until it is stopped.

Source: asrlab's own. For comparison, WhisperLiveKit's pull request 339 calls any three repetitions a loop, and
Whisper's own measure (``compression_ratio_threshold`` 2.4) calls nothing a loop that is short.
"""
_LEAST_CHARACTERS = 20
"""The same for scripts without spaces, where a word has one or two characters."""
_LONGEST_PERIOD = 200
"""Words, or characters, of the longest phrase that is looked for: some 70 seconds of speech."""
_LONGEST_WORD = 64
"""Letters. What is longer is no word in any language, but may be a loop without spaces ("hahaha...")."""

# Thai and Lao, Myanmar, Khmer, kana, and the Han characters in use: written without spaces.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@attrs.frozen(kw_only=True)
class RepetitionLoop:
    """A phrase repeated without anything in between.

    Attributes:
        phrase: As it stands in the text the first time.
        count: How often it is there in full, one after the other.
        start: Where the first begins, as an index into the text.
        end: Behind the last repeated word or character.
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
    character: bool


def find_repetition(text: str) -> RepetitionLoop | None:
    """The longest loop in *text*; None if there is none.

    A loop is a phrase of up to 200 words that is there three times or more in a row and makes 15 words or more in all,
    or 20 characters in a script without spaces. Case and punctuation do not count.
    """
    tokens = list(_tokens(text))
    start, end, period = _longest_run([token.key for token in tokens])
    looped = tokens[start:end]
    least = _LEAST_CHARACTERS if looped and all(token.character for token in looped) else _LEAST_WORDS
    if len(looped) < least:
        return None
    return RepetitionLoop(
        phrase=text[looped[0].start : looped[period - 1].end],
        count=len(looped) // period,
        start=looped[0].start,
        end=looped[-1].end,
    )


def _longest_run(keys: list[str]) -> tuple[int, int, int]:
    """The longest stretch that is a phrase three times or more: first, behind the last, and the phrase's length."""
    import numpy as np

    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    ids = np.array([numbers[key] for key in keys], np.int32)
    best = (0, 0, 1)
    for period in range(1, min(_LONGEST_PERIOD, len(ids) // _LEAST_COUNT) + 1):
        same = ids[period:] == ids[:-period]  # a run of n of them is n + period words
        if np.count_nonzero(same) <= max(0, best[1] - best[0] - period):
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        longest = int(lengths.argmax())
        length = int(lengths[longest]) + period
        if length >= _LEAST_COUNT * period and length > best[1] - best[0]:
            best = (int(edges[2 * longest]), int(edges[2 * longest]) + length, period)
    return best


def _tokens(text: str) -> Iterator[_Token]:
    """The words, and the characters of what is written without spaces; nothing that is punctuation alone."""
    for word in re.finditer(r"\S+", text):
        written, start = word.group(), word.start()
        kept = [place for place, character in enumerate(written) if not _is_punctuation(character)]
        if _UNSPACED.search(written) or len(written) > _LONGEST_WORD:
            for place in kept:
                key = written[place].casefold()
                yield _Token(key=key, start=start + place, end=start + place + 1, character=True)
        elif kept:
            key = "".join(written[place] for place in kept).casefold()
            yield _Token(key=key, start=start + kept[0], end=start + kept[-1] + 1, character=False)


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZC"
