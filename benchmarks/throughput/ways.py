"""The ways to transcribe the clips. Each loads its model and returns a function that does the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from benchmarks.overhead.engines import decode
from benchmarks.speech import Clip

import asrlab
from asrlab import Batching

__all__ = ["ENGINES", "Text", "Way"]

FULL_WINDOW = 30.0


@attrs.frozen(kw_only=True)
class Text:
    """The result of one clip.

    Attributes:
        text: The whole text.
        segments: Number of segments.
        path: ``Transcript.decoding`` as a phrase.
    """

    text: str
    segments: int
    path: str | None = None


Work = Callable[[Sequence[Clip]], list[Text]]


@attrs.frozen(kw_only=True)
class Way:
    """A way to transcribe the clips.

    Attributes:
        name: Name in the table.
        load: Loads the model; called with whether the language is given, and the number of threads.
    """

    name: str
    load: Callable[[bool, int], Work]


def _faster_whisper(compute_type: str, *, pipeline: bool = False) -> Callable[[bool, int], Work]:
    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - as Way says
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        weights = asrlab.weights_path("faster-whisper/base", offline=True)
        model = WhisperModel(str(weights), device="cpu", compute_type=compute_type, cpu_threads=threads)
        engine: Any = BatchedInferencePipeline(model) if pipeline else model

        def one(clip: Clip) -> Text:
            segments, _ = engine.transcribe(decode(clip.path), language=clip.language if language_given else None)
            texts = [segment.text.strip() for segment in segments]
            return Text(text=" ".join(texts), segments=len(texts))

        return lambda clips: list(map(one, clips))

    return load


def _openai_whisper(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - as Way says
    import torch
    from whisper import transcribe

    torch.set_num_threads(threads)
    model: Any = asrlab.load("openai-whisper/base", device="cpu", offline=True)

    def one(clip: Clip) -> Text:
        language = clip.language if language_given else None
        result: Any = transcribe(model._model, decode(clip.path), language=language, fp16=False)  # noqa: SLF001 - upstream's
        texts = [segment["text"].strip() for segment in result["segments"]]
        return Text(text=" ".join(texts), segments=len(texts))

    return lambda clips: list(map(one, clips))


def _asrlab(model: str, batching: Callable[[int], Batching]) -> Callable[[bool, int], Work]:
    """Use ``transcribe_many`` with the settings of *batching*; one call for each given language."""

    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - as Way says
        if model.startswith("openai-whisper"):
            import torch

            torch.set_num_threads(threads)
        given = threads if model.startswith("faster-whisper") else None
        transcriber = asrlab.load(model, device="cpu", threads=given, offline=True)
        transcriber.calibration = None  # the defaults are measured

        def work(clips: Sequence[Clip]) -> list[Text]:
            found: dict[str, Text] = {}
            for language in sorted({clip.language for clip in clips}) if language_given else [None]:
                some = [clip for clip in clips if language in (None, clip.language)]
                paths = [clip.path for clip in some]
                outcomes = transcriber.transcribe_many(paths, language=language, batching=batching(threads))
                found |= {clip.id: _text(outcome) for clip, outcome in zip(some, outcomes, strict=True)}
            return [found[clip.id] for clip in clips]

        return work

    return load


def _text(outcome: asrlab.TranscribeResult) -> Text:
    transcript = outcome.unwrap()
    return Text(
        text=transcript.text,
        segments=len(transcript.segments),
        path=str(transcript.decoding) if transcript.decoding else None,
    )


def _one_by_one(_threads: int) -> Batching:
    return Batching(batch_size=1)


def _together(threads: int) -> Batching:
    return Batching(workers=1, threads=threads, padding_s=FULL_WINDOW)


def _short(threads: int) -> Batching:
    return Batching(workers=1, threads=threads)


def _as_it_is(_threads: int) -> Batching:
    return Batching()


_FAST, _UPSTREAM = "faster-whisper/base", "openai-whisper/base"
ENGINES = {
    "faster-whisper": (
        Way(name="raw int8", load=_faster_whisper("int8")),
        Way(name="raw defaults", load=_faster_whisper("default")),
        Way(name="raw int8, own batches", load=_faster_whisper("int8", pipeline=True)),
        Way(name="one by one, one encoding", load=_asrlab(_FAST, _one_by_one)),
        Way(name="+ decoded together", load=_asrlab(_FAST, _together)),
        Way(name="+ short window", load=_asrlab(_FAST, _short)),
        Way(name="+ a worker a thread", load=_asrlab(_FAST, _as_it_is)),
    ),
    "openai-whisper": (
        Way(name="raw", load=_openai_whisper),
        Way(name="one by one", load=_asrlab(_UPSTREAM, _one_by_one)),
        Way(name="+ one encoding, decoded together", load=_asrlab(_UPSTREAM, _together)),
        Way(name="+ short window", load=_asrlab(_UPSTREAM, _as_it_is)),
    ),
}
"""By engine: the first is what the others are compared with, the last is ``transcribe_many`` as it is, and those before
it switch its steps on in turn."""
