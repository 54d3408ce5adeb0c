"""Segments as upstream's dictionaries."""

from __future__ import annotations

from typing import Any

from asrlab.compat.spacing import lead_of, spaced_words
from asrlab.transcript import Segment

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
    lead = lead_of(language)
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
    if segment.words is None:
        return fields
    words = [
        {"word": text, "start": word.start, "end": word.end, "probability": word.probability}
        for word, text in spaced_words(segment, lead)
    ]
    return {**fields, "words": words}
