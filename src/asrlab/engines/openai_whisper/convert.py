"""From openai-whisper's dictionaries to asrlab's records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from asrlab.engines.openai_whisper.decode_loop import is_void
from asrlab.transcript import Segment, Word


def to_segments(segments: Iterable[dict[str, Any]]) -> Iterator[Segment]:
    """The engine's segments, each as it comes; those without time or text are left out."""
    for segment in segments:
        if is_void(segment):
            continue
        start = float(segment["start"])
        yield Segment(
            text=segment["text"].strip(),
            start=start,
            end=max(start, float(segment["end"])),
            words=tuple(map(_word, segment["words"])) if "words" in segment else None,
            tokens=tuple(segment["tokens"]),
            temperature=float(segment["temperature"]),
            avg_logprob=float(segment["avg_logprob"]),
            compression_ratio=float(segment["compression_ratio"]),
            no_speech_prob=float(segment["no_speech_prob"]),
            seek=segment["seek"],
        )


def _word(word: dict[str, Any]) -> Word:
    start = float(word["start"])
    return Word(
        text=word["word"].strip(), start=start, end=max(start, float(word["end"])), probability=word["probability"]
    )
