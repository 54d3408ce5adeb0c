"""From what the decoder hears to asrlab's records."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from asrlab import Segment, Word

__all__ = ["DecodedWord", "to_segments"]

_FRAMES_PER_S = 100  # pocketsphinx's -frate
_PAUSE_S = 0.5
_FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <s>, <sil>, [NOISE], ++UH++
_PRONUNCIATION = re.compile(r"\(\d+\)$")  # "to(3)" is "to" in its third pronunciation


@attrs.frozen(kw_only=True)
class DecodedWord:
    """A word or filler as the decoder segments the audio.

    Attributes:
        word: As the dictionary writes it.
        first: Its first frame of 10 ms.
        last: Its last one, included.
        probability: The word's posterior, 1 and a rounding error at most.
    """

    word: str
    first: int
    last: int
    probability: float


def to_segments(decoded: Iterable[DecodedWord], *, words: bool) -> tuple[Segment, ...]:
    """Split words at pauses of half a second or more into segments.

    Args:
        decoded: Words in order, fillers included.
        words: True if segments hold the times of their words.
    """
    groups: list[list[Word]] = []
    for word in map(_word, filter(_is_word, decoded)):
        if not groups or word.start - groups[-1][-1].end >= _PAUSE_S:
            groups.append([])
        groups[-1].append(word)
    return tuple(_segment(group, words=words) for group in groups)


def _is_word(decoded: DecodedWord) -> bool:
    return not _FILLER.fullmatch(decoded.word)


def _word(decoded: DecodedWord) -> Word:
    return Word(
        text=_PRONUNCIATION.sub("", decoded.word),
        start=decoded.first / _FRAMES_PER_S,
        end=(decoded.last + 1) / _FRAMES_PER_S,
        probability=min(1.0, max(0.0, decoded.probability)),
    )


def _segment(group: list[Word], *, words: bool) -> Segment:
    return Segment(
        text=" ".join(word.text for word in group),
        start=group[0].start,
        end=group[-1].end,
        words=tuple(group) if words else None,
    )
