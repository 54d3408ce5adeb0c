"""Segments as upstream's dictionaries."""

from __future__ import annotations

from typing import Any

from asrlab.transcript import Segment, join_texts

__all__ = ["emptied", "segment_dict"]


def emptied(segment: dict[str, Any]) -> dict[str, Any]:
    """As upstream hands it out: one that takes no time or has no text keeps its place, and loses what is in it."""
    if segment["start"] == segment["end"] or not segment["text"].strip():
        return {**segment, "text": "", "tokens": [], "words": []}
    return segment


def segment_dict(place: int, segment: Segment, language: str | None) -> dict[str, Any]:
    """Any engine's segment with upstream's keys; None is what the engine does not tell.

    Args:
        place: From 0.
        segment: The segment.
        language: Of the text; None if it is not known yet.
    """
    lead = "" if language and not join_texts(("a", "b"), language).count(" ") else " "
    fields: dict[str, Any] = {
        "id": place,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": lead + segment.text,
        "tokens": list(segment.tokens or ()),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
    return fields if segment.words is None else {**fields, "words": _words(segment, lead)}


def _words(segment: Segment, lead: str) -> list[dict[str, Any]]:
    """Each word with the space that stands before it in the segment's text."""
    found, end = [], 0
    for word in segment.words or ():
        begin = segment.text.find(word.text, end)
        gap = " " if begin < 0 else segment.text[end:begin]
        text = (gap if end else lead) + word.text
        found.append({"word": text, "start": word.start, "end": word.end, "probability": word.probability})
        end = end if begin < 0 else begin + len(word.text)
    return found
