"""The ways to transcribe the clips; each way loads its model and returns a function that transcribes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from benchmarks.overhead.engines import decode
from benchmarks.speech import Clip

import asrlab
from asrlab import Batching

__all__ = ["ENGINES", "ClipResult", "Way"]

FULL_WINDOW = 30.0


@attrs.frozen(kw_only=True)
class ClipResult:
    """The result of one clip.

    Attributes:
        text: The whole text.
        segments: Number of segments.
        path: ``Transcript.decoding`` as a phrase.
    """

    text: str
    segments: int
    path: str | None = None


Work = Callable[[Sequence[Clip]], list[ClipResult]]


@attrs.frozen(kw_only=True)
class Way:
    """A way to transcribe the clips.

    Attributes:
        name: Name in the table.
        load: Function that loads the model. Its arguments are whether the language is given, and the number of threads.
    """

    name: str
    load: Callable[[bool, int], Work]


def _faster_whisper(compute_type: str, *, pipeline: bool = False) -> Callable[[bool, int], Work]:
    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - the signature of Way.load
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        weights = asrlab.weights_path("faster-whisper/base", offline=True)
        model = WhisperModel(str(weights), device="cpu", compute_type=compute_type, cpu_threads=threads)
        engine: Any = BatchedInferencePipeline(model) if pipeline else model

        def transcribe_clip(clip: Clip) -> ClipResult:
            segments, _ = engine.transcribe(decode(clip.path), language=clip.language if language_given else None)
            texts = [segment.text.strip() for segment in segments]
            return ClipResult(text=" ".join(texts), segments=len(texts))

        return lambda clips: list(map(transcribe_clip, clips))

    return load


def _openai_whisper(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - the signature of Way.load
    import torch
    from whisper import transcribe

    torch.set_num_threads(threads)
    model: Any = asrlab.load("openai-whisper/base", device="cpu", offline=True)

    def transcribe_clip(clip: Clip) -> ClipResult:
        language = clip.language if language_given else None
        result: Any = transcribe(model._model, decode(clip.path), language=language, fp16=False)  # noqa: SLF001 - upstream's model
        texts = [segment["text"].strip() for segment in result["segments"]]
        return ClipResult(text=" ".join(texts), segments=len(texts))

    return lambda clips: list(map(transcribe_clip, clips))


def _asrlab(model: str, batching: Callable[[int], Batching]) -> Callable[[bool, int], Work]:
    """Use ``transcribe_many`` with the settings of *batching*; one call for each given language."""

    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - the signature of Way.load
        if model.startswith("openai-whisper"):
            import torch

            torch.set_num_threads(threads)
        given = threads if model.startswith("faster-whisper") else None
        transcriber = asrlab.load(model, device="cpu", threads=given, offline=True)
        transcriber.calibration = None  # measure the default settings

        def work(clips: Sequence[Clip]) -> list[ClipResult]:
            results: dict[str, ClipResult] = {}
            for language in sorted({clip.language for clip in clips}) if language_given else [None]:
                selected = [clip for clip in clips if language in (None, clip.language)]
                paths = [clip.path for clip in selected]
                outcomes = transcriber.transcribe_many(paths, language=language, batching=batching(threads))
                results |= {clip.id: _to_result(outcome) for clip, outcome in zip(selected, outcomes, strict=True)}
            return [results[clip.id] for clip in clips]

        return work

    return load


def _to_result(outcome: asrlab.TranscribeResult) -> ClipResult:
    transcript = outcome.unwrap()
    return ClipResult(
        text=transcript.text,
        segments=len(transcript.segments),
        path=str(transcript.decoding) if transcript.decoding else None,
    )


def _one_by_one(_threads: int) -> Batching:
    return Batching(batch_size=1)


def _batched(threads: int) -> Batching:
    return Batching(workers=1, threads=threads, padding_s=FULL_WINDOW)


def _short_window(threads: int) -> Batching:
    return Batching(workers=1, threads=threads)


def _defaults(_threads: int) -> Batching:
    return Batching()


_FAST, _UPSTREAM = "faster-whisper/base", "openai-whisper/base"
ENGINES = {
    "faster-whisper": (
        Way(name="raw int8", load=_faster_whisper("int8")),
        Way(name="raw defaults", load=_faster_whisper("default")),
        Way(name="raw int8, own batches", load=_faster_whisper("int8", pipeline=True)),
        Way(name="one by one, one encoding", load=_asrlab(_FAST, _one_by_one)),
        Way(name="+ decoded together", load=_asrlab(_FAST, _batched)),
        Way(name="+ short window", load=_asrlab(_FAST, _short_window)),
        Way(name="+ a worker a thread", load=_asrlab(_FAST, _defaults)),
    ),
    "openai-whisper": (
        Way(name="raw", load=_openai_whisper),
        Way(name="one by one", load=_asrlab(_UPSTREAM, _one_by_one)),
        Way(name="+ one encoding, decoded together", load=_asrlab(_UPSTREAM, _batched)),
        Way(name="+ short window", load=_asrlab(_UPSTREAM, _defaults)),
    ),
}
"""The ways by engine: the first is the baseline, the last is ``transcribe_many`` with default settings, and those
before it enable its steps one after another."""
