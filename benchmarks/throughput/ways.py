"""The ways to transcribe the clips. Each loads its model, and gives back a function that does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs
from benchmarks.overhead.engines import decode

import asrlab

from .clips import Clip

__all__ = ["BASELINE", "WAYS", "Text", "Way"]

MODEL = "faster-whisper/base"
FULL_WINDOW = 30.0


@attrs.frozen(kw_only=True)
class Text:
    """What came out for one clip.

    Attributes:
        text: All of it.
        segments: How many segments it has.
        path: ``Transcript.path``.
    """

    text: str
    segments: int
    path: str | None = None


Work = Callable[[Sequence[Clip]], list[Text]]


@attrs.frozen(kw_only=True)
class Way:
    """One way.

    Attributes:
        name: For the table.
        load: Called with whether the language is given and how many threads an inference has; loads the model.
    """

    name: str
    load: Callable[[bool, int], Work]


def _raw(compute_type: str, *, pipeline: bool = False) -> Callable[[bool, int], Work]:
    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - as Way says
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        weights = asrlab.weights_path(MODEL, offline=True)
        model = WhisperModel(str(weights), device="cpu", compute_type=compute_type, cpu_threads=threads)
        engine: Any = BatchedInferencePipeline(model) if pipeline else model

        def work(clips: Sequence[Clip]) -> list[Text]:
            return [_raw_text(engine, clip, clip.language if language_given else None) for clip in clips]

        return work

    return load


def _raw_text(engine: Any, clip: Clip, language: str | None) -> Text:
    segments, _ = engine.transcribe(decode(clip.path), language=language)
    texts = [segment.text.strip() for segment in segments]
    return Text(text=" ".join(texts), segments=len(texts))


@attrs.frozen(kw_only=True)
class Switches:
    """Which steps are on.

    Attributes:
        batch_size: Clips decoded together; None for the engine's choice.
        short_window: As long as the longest clip of a batch asks for; otherwise 30 s.
        all_workers: As many batches at once as there are threads; otherwise one.
    """

    batch_size: int | None = None
    short_window: bool = True
    all_workers: bool = True


def _asrlab(switches: Switches | None) -> Callable[[bool, int], Work]:
    """With *switches*; None for one by one."""

    def load(language_given: bool, threads: int) -> Work:  # noqa: FBT001 - as Way says
        transcriber: Any = asrlab.load(MODEL, device="cpu", threads=threads, offline=True)

        def work(clips: Sequence[Clip]) -> list[Text]:
            languages = sorted({clip.language for clip in clips}) if language_given else [None]
            found: dict[str, Text] = {}
            for language in languages:
                some = [clip for clip in clips if language in (None, clip.language)]
                outcomes = _outcomes(transcriber, [clip.path for clip in some], language, switches)
                found |= {clip.id: _text(outcome) for clip, outcome in zip(some, outcomes, strict=True)}
            return [found[clip.id] for clip in clips]

        return work

    return load


def _outcomes(
    transcriber: Any, items: Iterable[Any], language: str | None, switches: Switches | None
) -> Iterator[asrlab.Outcome]:
    from asrlab.batching import transcribe_together
    from asrlab.options import TranscribeOptions
    from asrlab.recognition import Many

    if switches is None:
        return iter(transcriber.transcribe_many(items, language=language, batch_size=1))
    if switches == Switches():
        return iter(transcriber.transcribe_many(items, language=language))
    options = TranscribeOptions(language=language)
    steps = transcriber.batch_steps(options)
    if not switches.short_window:
        steps = attrs.evolve(steps, margin=FULL_WINDOW)
    if not switches.all_workers:
        steps = attrs.evolve(steps, workers=1)
    return transcribe_together(transcriber, steps, Many(items=items, options=options, batch_size=switches.batch_size))


def _text(outcome: asrlab.Outcome) -> Text:
    transcript = outcome.unwrap()
    return Text(text=transcript.text, segments=len(transcript.segments), path=transcript.path)


BASELINE = "raw int8"
WAYS = (
    Way(name="raw defaults", load=_raw("default")),
    Way(name=BASELINE, load=_raw("int8")),
    Way(name="raw int8, own batches", load=_raw("int8", pipeline=True)),
    Way(name="asrlab, one by one", load=_asrlab(None)),
    Way(name="+ one encoding", load=_asrlab(Switches(batch_size=1, short_window=False, all_workers=False))),
    Way(name="+ decoded together", load=_asrlab(Switches(short_window=False, all_workers=False))),
    Way(name="+ short window", load=_asrlab(Switches(all_workers=False))),
    Way(name="+ all workers", load=_asrlab(Switches())),
)
"""The last one is ``transcribe_many`` as it is; the ones before it switch its steps on in turn."""
