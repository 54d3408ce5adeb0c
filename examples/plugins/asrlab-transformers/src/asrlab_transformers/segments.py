"""From upstream's dictionaries to asrlab's records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asrlab import Segment, Word

__all__ = ["to_segments"]

_PAUSE_S = 0.5


def to_segments(
    chunks: Iterable[dict[str, Any]], *, words: bool, separator: str, duration: float
) -> tuple[Segment, ...]:
    """Return the segments of a chunk, in seconds from its start.

    Args:
        chunks: Upstream's, each a word if *words*, otherwise a segment.
        words: True if they are words: those between pauses of half a second or more are then a segment.
        separator: What stands between two chunks' texts as they are.
        duration: Seconds of the piece: the end of a chunk that has none.
    """
    if not words:
        return tuple(
            Segment(text=chunk["text"].strip(), start=start, end=end)
            for chunk in chunks
            if chunk["text"].strip()
            for start, end in [_times(chunk, duration)]
        )
    groups: list[list[tuple[str, Word]]] = []
    for chunk in chunks:
        if not chunk["text"].strip():
            continue
        start, end = _times(chunk, duration)
        word = Word(text=chunk["text"].strip(), start=start, end=end)
        if not groups or start - groups[-1][-1][1].end >= _PAUSE_S:
            groups.append([])
        groups[-1].append((chunk["text"], word))
    return tuple(_segment(group, separator) for group in groups)


def _segment(group: list[tuple[str, Word]], separator: str) -> Segment:
    return Segment(
        text=separator.join(text for text, _ in group).strip(),
        start=group[0][1].start,
        end=max(word.end for _, word in group),
        words=tuple(word for _, word in group),
    )


def _times(chunk: dict[str, Any], duration: float) -> tuple[float, float]:
    start, end = chunk["timestamp"]
    start = 0.0 if start is None else float(start)
    return start, max(start, duration if end is None else float(end))
