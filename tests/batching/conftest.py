"""An engine whose texts are the durations of recordings, for the tests of the batching pipeline."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import pytest

from asrlab import AudioError, Capabilities, Device, ModelInfo, Segment, TranscriberInfo
from asrlab.audio import AudioReader
from asrlab.batching import ChunkFeatures, Decoded, Detected, pipeline
from asrlab.engine.transcriber import Transcriber
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugin import Recognition, Recognizer
from asrlab.vad import EnergyVad

RATE = 16_000


@attrs.define(kw_only=True)
class DurationBackend:
    """A backend that returns durations. It fails at *fails* seconds, and is unsure at *unsure* seconds.

    It records the batches, and weak references to the samples.
    """

    batches: list[list[float]] = attrs.field(factory=list)
    samples: list[weakref.ref[np.ndarray]] = attrs.field(factory=list)
    fails: float = 0.0
    unsure: float = 0.0
    size: int = 4
    workers: int = 1
    max_chunk_s: float = 4.0
    language: str | None = None

    @property
    def batching(self) -> Batching:
        """Batches of four by default."""
        return Batching(batch_size=self.size, workers=self.workers)

    def compute_features(self, samples: np.ndarray) -> np.ndarray:
        """Return the samples."""
        self.samples.append(weakref.ref(samples))
        return samples

    def encode(self, chunks: Sequence[ChunkFeatures[np.ndarray]]) -> list[float]:
        """Return the durations of the features."""
        durations = [len(chunk.features) / RATE for chunk in chunks]
        self.batches.append(durations)
        if self.fails in durations:
            raise ArithmeticError("one of them")
        return durations

    def detect_languages(self, encoded: list[float]) -> tuple[Detected, ...]:
        """Detect German for whole seconds, and English otherwise."""
        return tuple(Detected(language="en" if duration % 1 else "de", probability=0.9) for duration in encoded)

    def decode(
        self, encoded: list[float], chunks: Sequence[ChunkFeatures[np.ndarray]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Return the duration as text."""
        return tuple(
            Decoded(
                segments=(Segment(text=f"{duration:g}", start=0.0, end=9.0),),
                avg_logprob=-2.0 if duration == self.unsure else -0.1,
                compression_ratio=1.0,
                no_speech_prob=0.0,
            )
            for duration, _, _ in zip(encoded, chunks, languages, strict=True)
        )


class DurationRecognizer(Recognizer):
    """An engine that returns ``full`` on the full path and durations in batches."""

    def __init__(self, backend: DurationBackend) -> None:
        info = TranscriberInfo(
            model=ModelInfo(name="durations/one", engine="durations"),
            device=Device(requested="cpu", resolved="cpu"),
            compute_type="float32",
            capabilities=Capabilities(),
        )
        super().__init__(info)
        self.backend = backend

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Return one segment; refuse half a second."""
        if len(audio.read()) == RATE // 2:
            raise AudioError("half a second")
        return Recognition(segments=iter([Segment(text="full", start=0.0, end=0.1)]), language=options.language or "en")

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* over the settings of the backend."""
        return given.over(self.backend.batching)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> DurationBackend:  # noqa: ARG002 - takes any
        """Return the backend, with the batch size asked for."""
        self.backend.size = batching.batch_size or 4
        return self.backend

    def release(self) -> None:
        """Free nothing."""


@pytest.fixture
def backend() -> DurationBackend:
    """Return a backend with one worker and batches of four."""
    return DurationBackend()


@pytest.fixture(autouse=True)
def energy_vad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split long recordings by their energy."""
    monkeypatch.setattr(pipeline, "load_vad", EnergyVad)


@pytest.fixture
def transcriber(backend: DurationBackend) -> Iterator[Transcriber]:
    """Load the engine."""
    with Transcriber(DurationRecognizer(backend)) as transcriber:
        yield transcriber
