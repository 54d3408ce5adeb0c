"""The spaces that Whisper writes before segments and words, and asrlab leaves off."""

from __future__ import annotations

from collections.abc import Iterator

from asrlab.transcript import Segment, Word, join_texts

__all__ = ["lead_of", "spaced_words"]


def lead_of(language: str | None) -> str:
    """What stands before a text: a space where *language* writes spaces, and where it is not known."""
    return " " if " " in join_texts(("a", "b"), language) else ""


def spaced_words(segment: Segment, lead: str) -> Iterator[tuple[Word, str]]:
    """Each word of *segment* with its text as Whisper writes it: *lead* before the first, then what stands between."""
    end = 0
    for word in segment.words or ():
        begin = segment.text.find(word.text, end)
        gap = " " if begin < 0 else segment.text[end:begin]
        yield word, (gap if end else lead) + word.text
        end = end if begin < 0 else begin + len(word.text)
