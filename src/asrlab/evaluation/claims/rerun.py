"""Repeats a recorded run here, and says how far the two agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from asrlab.environment import Machine
from asrlab.errors import DatasetError, EngineNotFoundError, WeightsError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.runs.bench import bench
from asrlab.evaluation.runs.fingerprint import dataset_fingerprint, describe_utterances
from asrlab.evaluation.runs.load import load_run
from asrlab.evaluation.runs.manifest import ModelFacts, RunManifest
from asrlab.evaluation.runs.result import BenchResult, ModelResult
from asrlab.evaluation.runs.runner import RunProgress
from asrlab.loading import fetch_weights_to_load, model_info
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.transcript import PackageVersion

WER_TOLERANCE = 0.005
"""How far the two WER may be apart, as a fraction; one word of the references where that is more."""


@attrs.frozen(kw_only=True)
class ModelReproduction:
    """One model then and now.

    Attributes:
        model: Full name.
        then: What the record says.
        now: What came out here.
    """

    model: str
    then: ModelResult
    now: ModelResult

    @property
    def same_texts(self) -> int:
        """How many utterances have the same text; one that failed both times counts."""
        now = {each.id: each.transcript and each.transcript.text for each in self.now.utterances}
        return sum(
            each.id in now and now[each.id] == (each.transcript and each.transcript.text)
            for each in self.then.utterances
        )

    @property
    def tolerance(self) -> float:
        """How far the WER may be apart, as a fraction."""
        words = self.then.score.words.reference_length if self.then.score else 0
        return max(WER_TOLERANCE, 1 / words if words else 0.0)

    @property
    def wer_difference(self) -> float | None:
        """Now less then, as a fraction; None where there is nothing to score."""
        then, now = self.then.score, self.now.score
        if then is None or now is None or then.wer is None or now.wer is None:
            return None
        return now.wer - then.wer

    @property
    def speed_ratio(self) -> float | None:
        """RTFx now over then; it is told and never judged."""
        return self.now.rtfx / self.then.rtfx if self.now.rtfx and self.then.rtfx else None

    @property
    def agrees(self) -> bool:
        """Whether it loaded as it did then, no more utterances failed, and the WER, or else every text, is the same."""
        if (self.then.info is None) != (self.now.info is None) or self.now.failed > self.then.failed:
            return False
        if self.wer_difference is None:
            return self.same_texts == len(self.then.utterances)
        return abs(self.wer_difference) <= self.tolerance + 1e-12

    @property
    def differences(self) -> tuple[str, ...]:
        """What was other than then besides the texts: device, number format, threads, packages."""
        if self.then.info is None or self.now.info is None:
            return ()
        then, now = self.then.info, self.now.info
        pairs = (
            ("device", str(then.device), str(now.device)),
            ("compute type", then.compute_type, now.compute_type),
            ("threads", then.threads, now.threads),
            ("backend", self.then.backend, self.now.backend),
        )
        told = [f"{name}: {before} then, {after} now" for name, before, after in pairs if before != after]
        return (*told, *_versions(then.packages, now.packages))


@attrs.frozen(kw_only=True)
class ReproductionReport:
    """A run then and now.

    Attributes:
        record: The exported run.
        then: Its facts.
        now: Those of the repetition.
        models: Each model, in order.
    """

    record: Path
    then: RunManifest
    now: RunManifest
    models: tuple[ModelReproduction, ...]

    @property
    def agrees(self) -> bool:
        """Whether every model does."""
        return all(model.agrees for model in self.models)

    @property
    def machines(self) -> tuple[str, ...]:
        """How the machines differ."""
        then, now = attrs.asdict(self.then.machine), attrs.asdict(self.now.machine)
        return tuple(f"{name}: {then[name]} then, {now[name]} now" for name in then if then[name] != now[name])

    def lines(self) -> Iterator[str]:
        """The same for people."""
        request = self.then.request
        yield f"{self.record}: {request.dataset}, {self.then.dataset.utterances} utterances, of {self.then.created}"
        yield f"machine then: {_told(self.then.machine)}"
        yield "machine now: the same" if not self.machines else f"machine now: {_told(self.now.machine)}"
        for model in self.models:
            yield from _lines_of(model)


def rerun(
    record: Path,
    *,
    device: str | None = None,
    offline: bool = False,
    progress: Callable[[RunProgress], object] | None = None,
    host: PluginHost | None = None,
) -> ReproductionReport:
    """Repeat an exported run with the same data set, models and options.

    Args:
        record: The exported run, or a run's folder.
        device: Where; None asks for what was asked for then.
        offline: Fetch no weights over the network.
        progress: As for ``bench``.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        DatasetError: It cannot be read, or its data set or a model of it is not here.
        WeightsError: The weights here are others.
        AsrlabError: As ``bench`` does.
    """
    host = host or PluginHost()
    then = load_run(record)
    request = then.manifest.request
    _check_dataset(record, then.manifest, host)
    for model in then.manifest.models:
        _check_weights(record, model, host, offline=offline)
    with TemporaryDirectory(prefix="asrlab-rerun-") as folder:
        again = attrs.evolve(request, device=device or request.device)
        fields = {
            field.name: getattr(again, field.name) for field in attrs.fields(type(again)) if field.name != "dataset"
        }
        run = Path(folder) / "run"
        now = bench(_expanded(request.dataset or ""), **fields, run=run, offline=offline, progress=progress, host=host)
        return _agreement(record, then, now)


def _agreement(record: Path, then: BenchResult, now: BenchResult) -> ReproductionReport:
    models = [
        # both with one profile, which may be another where the choice by language has changed since
        ModelReproduction(model=before.model, then=before, now=attrs.evolve(after, normalizer=before.normalizer))
        for before, after in zip(then.models, now.models, strict=True)
    ]
    return ReproductionReport(record=record, then=then.manifest, now=now.manifest, models=tuple(models))


def _check_dataset(record: Path, manifest: RunManifest, host: PluginHost) -> None:
    name = manifest.request.dataset
    if name is None:
        raise DatasetError(f"{record} cannot be repeated: its data set was given as an object", path=record)
    try:
        request = manifest.request
        found = load_dataset(
            _expanded(name), format=request.format, allow_external_audio=request.allow_external_audio, host=host
        )
        same = dataset_fingerprint(describe_utterances(found)) == manifest.dataset.fingerprint
    except DatasetError as error:
        raise DatasetError(f"{record} cannot be repeated: its data set is not here ({error.message})") from error
    if not same:
        raise DatasetError(
            f"{record} cannot be repeated: the data set {name!r} here is not the one of the record (its fingerprint "
            "differs); get the same audio and references",
            path=record,
        )


def _expanded(dataset: str) -> str:
    """A name, or a path with the home that an export leaves out."""
    return str(Path(dataset).expanduser()) if dataset.startswith("~") else dataset


def _check_weights(record: Path, model: ModelFacts, host: PluginHost, *, offline: bool) -> None:
    name, recorded = model.info.name, model.info.weights_sha256
    try:
        resolved = Registry(host).resolve(name)
    except EngineNotFoundError as error:
        told = f"{record} cannot be repeated: {error.message}; weights of a folder of its own are not in a record"
        raise DatasetError(told, path=record) from error
    here = model_info(resolved, fetch_weights_to_load(resolved, offline=offline)).weights_sha256
    if here != recorded:
        raise WeightsError(
            f"{record} cannot be repeated: the weights of {name} here are sha256 {here}, those of the record are "
            f"{recorded}; fetch those",
            model=name,
            expected_sha256=recorded or "",
            actual_sha256=here or "",
        )


def _versions(then: Sequence[PackageVersion], now: Sequence[PackageVersion]) -> Iterator[str]:
    before = {package.name: package.version for package in then}
    after = {package.name: package.version for package in now}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, 'none')} then, {after.get(name, 'none')} now"


def _told(machine: Machine) -> str:
    return f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores, {machine.python}"


def _lines_of(model: ModelReproduction) -> Iterator[str]:
    yield f"{model.model}: {'agrees' if model.agrees else 'DOES NOT AGREE'}"
    for side, result in (("then", model.then), ("now", model.now)):
        if result.info is None:
            yield f"  not loaded {side}: {result.failure.message if result.failure else ''}"
    failed = f"failed: {model.now.failed}, then {model.then.failed}"
    yield f"  texts equal: {model.same_texts} of {len(model.then.utterances)}; {failed}"
    if model.wer_difference is not None and model.now.score and model.now.score.wer is not None:
        yield (
            f"  WER: {100 * model.now.score.wer:.2f} %, {100 * model.wer_difference:+.2f} points from then; "
            f"tolerance {100 * model.tolerance:.2f} points"
        )
    if model.speed_ratio is not None:
        yield f"  RTFx: {model.now.rtfx:.2f}x, then {model.then.rtfx:.2f}x: {model.speed_ratio:.2f} times; not judged"
    yield from (f"  {difference}" for difference in model.differences)
