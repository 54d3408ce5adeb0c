"""From faster-whisper's records to asrlab's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from faster_whisper.transcribe import Segment as EngineSegment
from faster_whisper.transcribe import Word as EngineWord

from asrlab.engines.faster_whisper.settings import Settings
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment, Word

__all__ = ["arguments", "to_segments"]


def arguments(options: TranscribeOptions) -> dict[str, Any]:
    """The keyword arguments for ``WhisperModel.transcribe``: only what was asked for, the rest stays its default."""
    given: dict[str, Any] = {
        "language": options.primary_language,
        "beam_size": options.beam_size,
        "temperature": options.temperature_ladder,
        "initial_prompt": options.initial_prompt,
        "hotwords": options.hotwords,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
        "task": options.task,
        "word_timestamps": options.word_timestamps,
        "vad_filter": options.vad_filter,
        **Settings.of(options).arguments(dict(options.engine_options)),
    }


def to_segments(segments: Iterable[EngineSegment]) -> Iterator[Segment]:
    """The engine's segments, each as it comes."""
    for segment in segments:
        yield Segment(
            text=segment.text.strip(),
            start=float(segment.start),
            end=max(float(segment.start), float(segment.end)),
            words=None if segment.words is None else tuple(map(_word, segment.words)),
            tokens=tuple(segment.tokens),
            temperature=segment.temperature,
            avg_logprob=float(segment.avg_logprob),
            compression_ratio=float(segment.compression_ratio),
            no_speech_prob=float(segment.no_speech_prob),
            seek=segment.seek,
        )


def _word(word: EngineWord) -> Word:
    start = float(word.start)
    return Word(
        text=word.word.strip(), start=start, end=max(start, float(word.end)), probability=float(word.probability)
    )
