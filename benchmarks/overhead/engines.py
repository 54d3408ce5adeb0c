"""The same transcription by an engine's own API and by asrlab."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

import asrlab

from .pairs import ClipWork, Comparison, compare

__all__ = ["CASES", "ENGINES", "SAMPLE_RATE", "Case", "EngineRun", "Plan", "Recording", "decode", "run_engine"]

SAMPLE_RATE = 16_000
Samples = NDArray[np.float32]
Raw = Callable[[Samples, dict[str, Any]], Sequence[str]]


@attrs.frozen(kw_only=True)
class Recording:
    """A clip as a file and as samples: float32, shape (n,), at 16 kHz."""

    id: str
    path: Path
    samples: Samples = attrs.field(eq=False, repr=False)


@attrs.frozen(kw_only=True)
class Case:
    """The input and the options of both ways.

    Attributes:
        name: Name in the table.
        from_file: True if both decode the file, False if both receive the samples.
        language: True to give the language, False to detect it.
        other_beam: True for a beam that is not the engine's default: 1 for faster-whisper, 5 for openai-whisper.
        control: True to compare the raw way with itself, which shows the noise of the machine.
    """

    name: str
    from_file: bool = False
    language: bool = True
    other_beam: bool = False
    control: bool = False


CASES = (
    Case(name="raw against itself", control=True),
    Case(name="array"),
    Case(name="array, other beam", other_beam=True),
    Case(name="array, language detected", language=False),
    Case(name="file", from_file=True),
    Case(name="file, language detected", from_file=True, language=False),
)


@attrs.frozen(kw_only=True)
class Plan:
    """The plan of a measurement.

    Attributes:
        recordings: The clips.
        language: Language of the clips.
        rounds: Number of rounds, in each of which every pair runs once.
        threads: CPU threads of an inference; None for each engine's default.
        cases: The cases to measure.
    """

    recordings: Sequence[Recording]
    language: str = "en"
    rounds: int
    threads: int | None = None
    cases: Sequence[Case] = CASES


@attrs.frozen(kw_only=True)
class EngineRun:
    """All cases of one engine, with its model and settings."""

    model: str
    weights_sha256: str | None
    compute_type: str
    threads: int | None
    other_beam: int
    cases: tuple[tuple[Case, Comparison], ...]


def _faster_whisper(info: asrlab.TranscriberInfo, weights: Path) -> Raw:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(weights), device="cpu", compute_type=info.compute_type, cpu_threads=info.threads or 0)

    def transcribe(samples: Samples, options: dict[str, Any]) -> list[str]:
        segments, _ = model.transcribe(samples, **options)
        return [segment.text for segment in segments]

    return transcribe


def _openai_whisper(_info: asrlab.TranscriberInfo, weights: Path) -> Raw:
    import whisper

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = weights if weights.is_file() else _checkpoint(weights, Path(folder) / "model.pt")
        model = whisper.load_model(str(checkpoint), device="cpu")

    def transcribe(samples: Samples, options: dict[str, Any]) -> list[str]:
        result = model.transcribe(samples, fp16=False, **options)
        return [segment["text"] for segment in result["segments"]]

    return transcribe


def _checkpoint(folder: Path, target: Path) -> Path:
    """Convert CTranslate2 weights to openai-whisper's format for its loader."""
    import torch

    from asrlab.weights import convert

    converted = convert(folder)
    torch.save({"dims": converted.dims.as_dict(), "model_state_dict": converted.state_dict}, target)
    return target


ENGINES = {"faster-whisper": (_faster_whisper, 1), "openai-whisper": (_openai_whisper, 5)}
"""For each engine: a function that loads the model with the engine's API, and a beam that is not the default."""


def decode(path: Path) -> Samples:
    """Decode *path* like a user of a raw engine: soundfile, the mean of the channels, soxr for other rates."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32")
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    resampled: Samples = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    return resampled


def run_engine(engine: str, plan: Plan) -> EngineRun:
    """Load an engine's ``base`` with its own API and with asrlab, on the CPU, and run the cases."""
    open_raw, other_beam = ENGINES[engine]
    name = f"{engine}/base"
    _set_threads(engine, plan.threads)
    with asrlab.load(name, device="cpu", threads=plan.threads, offline=True) as transcriber:
        info = transcriber.info
        raw = open_raw(info, asrlab.weights_path(name, offline=True))

        def create_work(case: Case, recording: Recording) -> ClipWork:
            options: dict[str, Any] = {"language": plan.language} if case.language else {}
            options |= {"beam_size": other_beam} if case.other_beam else {}
            return _create_work(case, recording, options, raw, transcriber)

        results = tuple(
            (case, compare([create_work(case, clip) for clip in plan.recordings], rounds=plan.rounds))
            for case in plan.cases
        )
    return EngineRun(
        model=name,
        weights_sha256=info.model.weights_sha256,
        compute_type=info.compute_type,
        threads=info.threads,
        other_beam=other_beam,
        cases=results,
    )


def _set_threads(engine: str, threads: int | None) -> None:
    """Set PyTorch's number of threads, which is global in a process."""
    if engine == "openai-whisper" and threads is not None:
        import torch

        torch.set_num_threads(threads)


def _create_work(
    case: Case, recording: Recording, options: dict[str, Any], raw: Raw, transcriber: asrlab.Transcriber
) -> ClipWork:
    def run_raw() -> Sequence[str]:
        return raw(decode(recording.path) if case.from_file else recording.samples, options)

    def run_asrlab() -> Sequence[str]:
        if case.from_file:
            return [transcriber.transcribe(recording.path, **options).text]
        return [transcriber.transcribe(recording.samples, sample_rate=SAMPLE_RATE, **options).text]

    return ClipWork(clip=recording.id, raw=run_raw, other=run_raw if case.control else run_asrlab)
