"""Results of runs, built without running an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab import Capabilities, Device, ModelInfo, Timings, Transcript
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import Machine
from asrlab.evaluation.metrics import Resampling, get_profile
from asrlab.evaluation.reports.comparison import Comparison, compare
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, RunManifest
from asrlab.evaluation.runs.records import Failure
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SAID = "the quick brown fox jumps over the lazy dog today"
MACHINE = Machine(system="Linux 6.8", architecture="x86_64", processor="one", cores=4, python="CPython 3.12.1")


def _model(
    name: str,
    texts: Iterable[str | None],
    *,
    references: Sequence[str | None] = (),
    seconds: float = 1.0,
    sha256: str | None = None,
    random: bool = False,
    simulated: bool = False,
    each: Mapping[str, Any] | None = None,
) -> ModelResult:
    """Return the result of a model with the given texts for utterances u0, u1, ...; None is a failure."""
    weights = ModelInfo(
        name=name, engine=name.partition("/")[0], weights_sha256=sha256 or f"sha256 of {name}", weights_random=random
    )
    device = Device(requested="auto", resolved="cpu", simulated=simulated)

    def transcript(text: str) -> Transcript:
        timings = Timings(audio=0.0, inference=seconds, total=seconds)
        return Transcript(
            text=text, language="en", duration=4.0, device=device, compute_type="int8", timings=timings, model=weights
        )

    written = list(texts)
    utterances = [
        UtteranceResult(
            id=f"u{number}",
            reference=references[number] if references else SAID,
            transcript=None if text is None else transcript(text),
            failure=Failure(kind="crashed", message="gone") if text is None else None,
            **{"language": "en", **(each or {})},
        )
        for number, text in enumerate(written)
    ]
    info = TranscriberInfo(model=weights, device=device, compute_type="int8", capabilities=Capabilities())
    return ModelResult(model=name, info=info, load_time=1.0, utterances=tuple(utterances), normalizer="english")


def _run(*models: ModelResult, name: str = "monday", fingerprint: str = "f", **changes: Any) -> BenchResult:
    """Return a run of *models*; *changes* apply to its manifest or, for other fields, to the result."""
    manifest = RunManifest(
        run=name,
        created="2026-01-02T03:04:05+00:00",
        request=BenchRequest(dataset="set", models=tuple(each.model for each in models)),
        dataset=DatasetFacts(name="set", source="a test", licence=None, utterances=1, fingerprint=fingerprint),
        models=(),
        normalizer="english",
        normalizer_version=get_profile("english").version,
        machine=MACHINE,
    )
    known = {field.name for field in attrs.fields(RunManifest)}
    manifest = attrs.evolve(manifest, **{key: value for key, value in changes.items() if key in known})
    rest = {key: value for key, value in changes.items() if key not in known}
    return BenchResult(dataset="set", models=models, seconds=1.0, run=Path(f"/runs/{name}"), manifest=manifest, **rest)


@pytest.fixture(scope="session")
def model() -> Callable[..., ModelResult]:
    """A function that builds the result of one model from its texts."""
    return _model


@pytest.fixture(scope="session")
def run() -> Callable[..., BenchResult]:
    """A function that builds the result of a run of several models."""
    return _run


@pytest.fixture(scope="session")
def compared() -> Callable[..., Comparison]:
    """A function that compares several models of one run, with fewer resamples than the default."""

    def compare_models(*models: ModelResult, **options: Any) -> Comparison:
        return compare([_run(*models)], **{"resampling": Resampling(resamples=2000), **options})

    return compare_models
