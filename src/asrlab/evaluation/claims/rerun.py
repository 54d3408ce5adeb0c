"""The repetition of a recorded run on this machine, and a comparison of the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from asrlab.environment import Machine
from asrlab.errors import DatasetError, EngineNotFoundError, WeightsError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.reports.formatting import format_percent, format_rtfx
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
"""Largest difference of the two WERs, as a fraction; one word of the references if that is more."""


@attrs.frozen(kw_only=True)
class ModelReproduction:
    """One model in the recorded run and in the repetition.

    Attributes:
        model: The model's full name.
        then: The recorded result.
        now: The result of the repetition.
    """

    model: str
    then: ModelResult
    now: ModelResult

    @property
    def same_texts(self) -> int:
        """Number of utterances with equal texts. An utterance that failed in both runs counts."""
        now = {utterance.id: utterance.transcript and utterance.transcript.text for utterance in self.now.utterances}
        return sum(
            utterance.id in now and now[utterance.id] == (utterance.transcript and utterance.transcript.text)
            for utterance in self.then.utterances
        )

    @property
    def tolerance(self) -> float:
        """The largest accepted difference of the two WERs, as a fraction."""
        words = self.then.score.words.reference_length if self.then.score else 0
        return max(WER_TOLERANCE, 1 / words if words else 0.0)

    @property
    def wer_difference(self) -> float | None:
        """The new WER minus the recorded WER, as a fraction; None if one of them is missing."""
        then, now = self.then.score, self.now.score
        if then is None or now is None or then.wer is None or now.wer is None:
            return None
        return now.wer - then.wer

    @property
    def speed_ratio(self) -> float | None:
        """Ratio of the new RTFx to the recorded RTFx. Reported, but not part of the verdict."""
        return self.now.rtfx / self.then.rtfx if self.now.rtfx and self.then.rtfx else None

    @property
    def reproduced(self) -> bool:
        """True if loading ended alike, no more utterances failed, and the WER agrees, or without a WER all texts."""
        if (self.then.info is None) != (self.now.info is None) or self.now.failed > self.then.failed:
            return False
        if self.wer_difference is None:
            return self.same_texts == len(self.then.utterances)
        return abs(self.wer_difference) <= self.tolerance + 1e-12

    @property
    def differences(self) -> tuple[str, ...]:
        """A text for each other difference: device, number format, threads, backend, packages."""
        if self.then.info is None or self.now.info is None:
            return ()
        then, now = self.then.info, self.now.info
        pairs = (
            ("device", str(then.device), str(now.device)),
            ("compute type", then.compute_type, now.compute_type),
            ("threads", then.threads, now.threads),
            ("backend", self.then.backend, self.now.backend),
        )
        changes = [f"{name}: {before} then, {after} now" for name, before, after in pairs if before != after]
        return (*changes, *_package_changes(then.packages, now.packages))


@attrs.frozen(kw_only=True)
class ReproductionReport:
    """A recorded run and its repetition.

    Attributes:
        record: The exported run.
        then: The manifest of the recorded run.
        now: The manifest of the repetition.
        models: The models, in order.
    """

    record: Path
    then: RunManifest
    now: RunManifest
    models: tuple[ModelReproduction, ...]

    @property
    def reproduced(self) -> bool:
        """True if every model was reproduced."""
        return all(model.reproduced for model in self.models)

    @property
    def machine_changes(self) -> tuple[str, ...]:
        """A text for each difference of the two machines."""
        then, now = attrs.asdict(self.then.machine), attrs.asdict(self.now.machine)
        return tuple(f"{name}: {then[name]} then, {now[name]} now" for name in then if then[name] != now[name])

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text."""
        request = self.then.request
        yield f"{self.record}: {request.dataset}, {self.then.dataset.utterances} utterances, of {self.then.created}"
        yield f"machine then: {_format_machine(self.then.machine)}"
        yield f"machine now: {_format_machine(self.now.machine) if self.machine_changes else 'the same'}"
        for model in self.models:
            yield from _model_lines(model)


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
        device: The device. None uses the device that the recorded run requested.
        offline: Fetch no weights over the network.
        progress: See `asrlab.evaluation.bench`.
        host: The plugins to use. None loads those of this environment.

    Raises:
        DatasetError: If the record cannot be read, or its data set or a model is not available here.
        WeightsError: If the weights here differ from the recorded ones.
        AsrlabError: As `asrlab.evaluation.bench` does.
    """
    host = host or PluginHost()
    then = load_run(record)
    request = then.manifest.request
    _check_dataset(record, then.manifest, host)
    for model in then.manifest.models:
        _check_weights(record, model, host, offline=offline)
    with TemporaryDirectory(prefix="asrlab-rerun-") as folder:
        again = attrs.evolve(request, device=device or request.device)
        options = attrs.asdict(again, recurse=False, filter=lambda field, _: field.name != "dataset")
        now = bench(
            _expand_home(request.dataset or ""),
            **options,
            run=Path(folder) / "run",
            offline=offline,
            progress=progress,
            host=host,
        )
        return _to_report(record, then, now)


def _to_report(record: Path, then: BenchResult, now: BenchResult) -> ReproductionReport:
    models = [
        # Score both with one profile: the default choice by language may have changed since.
        ModelReproduction(model=before.model, then=before, now=attrs.evolve(after, normalizer=before.normalizer))
        for before, after in zip(then.models, now.models, strict=True)
    ]
    return ReproductionReport(record=record, then=then.manifest, now=now.manifest, models=tuple(models))


def _check_dataset(record: Path, manifest: RunManifest, host: PluginHost) -> None:
    request = manifest.request
    if request.dataset is None:
        raise DatasetError(f"cannot repeat {record}: its data set was passed as an object", path=record)
    name, allow_external_audio = _expand_home(request.dataset), request.allow_external_audio
    try:
        dataset = load_dataset(name, format=request.format, allow_external_audio=allow_external_audio, host=host)
        is_same = dataset_fingerprint(describe_utterances(dataset)) == manifest.dataset.fingerprint
    except DatasetError as error:
        raise DatasetError(f"cannot repeat {record}: its data set is not available ({error.message})") from error
    if not is_same:
        raise DatasetError(
            f"cannot repeat {record}: the data set {request.dataset!r} here differs from the recorded one (by its "
            "fingerprint); get the same audio and references",
            path=record,
        )


def _expand_home(dataset: str) -> str:
    """Return *dataset* with ``~``, which exports write for the home directory, expanded."""
    return str(Path(dataset).expanduser()) if dataset.startswith("~") else dataset


def _check_weights(record: Path, model: ModelFacts, host: PluginHost, *, offline: bool) -> None:
    name, recorded = model.info.name, model.info.weights_sha256
    try:
        resolved = Registry(host).resolve(name)
    except EngineNotFoundError as error:
        message = f"cannot repeat {record}: {error.message}; a record does not hold the weights of a local folder"
        raise DatasetError(message, path=record) from error
    here = model_info(resolved, fetch_weights_to_load(resolved, offline=offline)).weights_sha256
    if here != recorded:
        raise WeightsError(
            f"cannot repeat {record}: the weights of {name} here have the sha256 {here}, the recorded ones {recorded}; "
            "fetch those",
            model=name,
            expected_sha256=recorded or "",
            actual_sha256=here or "",
        )


def _package_changes(then: Sequence[PackageVersion], now: Sequence[PackageVersion]) -> Iterator[str]:
    before = {package.name: package.version for package in then}
    after = {package.name: package.version for package in now}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, 'none')} then, {after.get(name, 'none')} now"


def _format_machine(machine: Machine) -> str:
    return f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores, {machine.python}"


def _model_lines(model: ModelReproduction) -> Iterator[str]:
    yield f"{model.model}: {'reproduced' if model.reproduced else 'NOT REPRODUCED'}"
    for side, result in (("then", model.then), ("now", model.now)):
        if result.info is None:
            yield f"  not loaded {side}: {result.failure.message if result.failure else ''}"
    failed = f"failed: {model.now.failed}, then {model.then.failed}"
    yield f"  texts equal: {model.same_texts} of {len(model.then.utterances)}; {failed}"
    if model.wer_difference is not None and model.now.score:
        yield (
            f"  WER: {format_percent(model.now.score.wer)}, {100 * model.wer_difference:+.2f} points from then; "
            f"tolerance {100 * model.tolerance:.2f} points"
        )
    if model.speed_ratio is not None:
        speeds = f"{format_rtfx(model.now.rtfx)}, then {format_rtfx(model.then.rtfx)}"
        yield f"  RTFx: {speeds}: {model.speed_ratio:.2f} times; not part of the verdict"
    yield from (f"  {difference}" for difference in model.differences)
