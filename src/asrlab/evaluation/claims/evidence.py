"""The records that back documents (exported runs, device matrices, benchmarks' JSON) and the support status of models.

The status of each model on each device is derived by rule from the records:

==================  ====================================================================================================
``working``         an exported run of ``smoke`` with real weights on the real device: complete, no utterance failed, no
                    quality gate failed, the WER under the model's stated bound
``blocked``         the model did not load, a check of the device matrix failed, or the engine does not support the
                    device; with the error message
``random-weights``  the model ran with random weights
``simulated``       the model ran on a simulated device
``unverified``      everything else: no record, or a record that misses a condition, which is named
==================  ====================================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import attrs

from asrlab.bounded_json import parse_json
from asrlab.engine.spec import EngineSpec
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.matrix.records import COLUMNS, CellResult, MatrixRecord
from asrlab.evaluation.reports.formatting import format_percent
from asrlab.evaluation.runs.load import load_run
from asrlab.evaluation.runs.result import BenchResult, ModelResult
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.transcript import PackageVersion

Status = Literal["working", "blocked", "random-weights", "simulated", "unverified"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEVICES = ("cpu", "mps", "cuda")
_BOUND_DATASET = "smoke"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@attrs.frozen(kw_only=True)
class Evidence:
    """All records in a folder, by file name relative to the folder: exported runs and device matrices.

    *locked* has the version of each distribution that the lock beside the folder (``locks/all.txt``) pins.
    """

    folder: Path
    runs: Mapping[str, BenchResult] = attrs.field(factory=dict)
    matrices: Mapping[str, MatrixRecord] = attrs.field(factory=dict)
    locked: Mapping[str, str] = attrs.field(factory=dict)

    def run(self, name: str) -> BenchResult:
        """Return the run in the file *name*; raise DatasetError if there is none."""
        if name not in self.runs:
            raise DatasetError(
                f"no exported run {name!r} in {self.folder}; it has {', '.join(self.runs) or 'no exported runs'}"
            )
        return self.runs[name]

    def read_json(self, name: str) -> Any:
        """Return the JSON in the file *name*; raise DatasetError if it cannot be read or lies outside of the folder."""
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DatasetError(f"{name!r} lies outside of {self.folder}; move the file there")
        return _read_json(path)

    def stale_packages(self, packages: Iterable[PackageVersion]) -> tuple[str, ...]:
        """Return a text for each of *packages* that the lock pins in another version; local build tags do not count."""
        return tuple(
            f"{package.name} {package.version}, lock {locked}"
            for package in packages
            if (locked := self.locked.get(_canonical_name(package.name)))
            and locked.partition("+")[0] != package.version.partition("+")[0]
        )


def read_evidence(folder: Path) -> Evidence:
    """Read every record in *folder* and its subfolders: ``.jsonl`` are runs, ``.json`` with cells are device matrices.

    Raises:
        DatasetError: If a record cannot be read; the message names the file and, where known, the line.
    """
    runs = {path.relative_to(folder).as_posix(): load_run(path) for path in sorted(folder.rglob("*.jsonl"))}
    matrices = {}
    for path in sorted(folder.rglob("*.json")):
        plain = _read_json(path)
        if isinstance(plain, dict) and "cells" in plain:
            matrices[path.relative_to(folder).as_posix()] = MatrixRecord.read(path)
    lock = folder.resolve().parent / "locks" / "all.txt"
    pins = _PINNED.findall(lock.read_text(encoding="utf-8")) if lock.is_file() else []
    locked = {_canonical_name(name): version for name, version in pins}
    return Evidence(folder=folder, runs=runs, matrices=matrices, locked=locked)


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        message = f"{path}, line {error.lineno}: damaged JSON ({error.msg}); copy the file again or regenerate it"
        raise DatasetError(message, path=path, line=error.lineno) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read the record {path}: {error}", path=path) from error


def _canonical_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@attrs.frozen(kw_only=True)
class EvidenceItem:
    """The evidence of one record about a model on a device.

    Attributes:
        model: The model's full name.
        device: The kind of device, one of `DEVICES`.
        statuses: One status, or ``random-weights`` and ``simulated`` together.
        reason: The result, the condition that is missing, or the error.
        record: The record's file name, relative to the folder of evidence.
        date: The record's date: UTC, ISO 8601.
        stale: A text for each package that the lock pins in another version.
        is_engine_wide: True if the engine does not support the device, on any machine and with any model.
    """

    model: str
    device: str
    statuses: tuple[Status, ...]
    reason: str
    ran: bool
    record: str
    date: str
    machine: Machine
    packages: tuple[PackageVersion, ...] = ()
    stale: tuple[str, ...] = ()
    is_engine_wide: bool = False

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.model.partition("/")[0]

    @property
    def is_real(self) -> bool:
        """True if the weights and the device are real."""
        return not {"simulated", "random-weights"} & {*self.statuses}

    @property
    def is_evidence(self) -> bool:
        """True if the model was tried. A machine without the device proves nothing about the model."""
        return self.ran or "blocked" in self.statuses


@attrs.frozen(kw_only=True)
class SupportCell:
    """The evidence on a model on a device, the decisive item first, and on random weights of the same engine."""

    items: tuple[EvidenceItem, ...] = ()
    substitutes: tuple[EvidenceItem, ...] = ()

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The statuses of the decisive item."""
        return self.items[0].statuses if self.items else ("unverified",)


@attrs.frozen(kw_only=True)
class SupportMatrix:
    """Every model on every kind of device: the cells by model and device.

    The models are those of the engines, then those that only a record names, by their full names. *bounds* has the WER
    that each model of the engines must stay under; None if none is stated.
    """

    engines: tuple[EngineSpec, ...]
    models: tuple[str, ...]
    cells: Mapping[tuple[str, str], SupportCell]
    bounds: Mapping[str, float | None]

    def engine_models(self, engine: str) -> tuple[str, ...]:
        """Return the models of an engine."""
        return tuple(model for model in self.models if model.partition("/")[0] == engine)

    def default_model(self, engine: EngineSpec) -> str:
        """Return the model that the engine's name alone selects."""
        return f"{engine.name}/{engine.default_model or engine.models[0].name}"

    def has_status(self, models: Sequence[str], devices: Sequence[str], wanted: Iterable[Status]) -> bool:
        """Return whether, on each of *devices*, one of *models* has one of the statuses *wanted*."""
        wanted = {*wanted}
        return all(any(wanted & {*self.cells[model, device].statuses} for model in models) for device in devices)

    def has_run(self, models: Sequence[str], devices: Sequence[str]) -> bool:
        """Return whether, on each of *devices* and not simulated, one of *models* ran with any weights."""
        return all(
            any(
                item.ran and "simulated" not in item.statuses
                for model in models
                for item in self.cells[model, device].items
            )
            for device in devices
        )


def build_support_matrix(evidence: Evidence) -> SupportMatrix:
    """Derive the support status of every model from all records.

    The engines are asrlab's own and those that a record names, so that a page is the same on every machine.
    """
    registry = Registry(PluginHost())
    bounds = {resolved.name: resolved.model.wer_bound for resolved in registry.models() if resolved.model}
    items = list(_collect_items(evidence, bounds))
    recorded = {item.engine for item in items}
    own = {model.engine.name for model in registry.models() if model.distribution == "asrlab"}
    engines = tuple(spec for spec in registry.engines() if spec.name in own | recorded)
    named = [f"{spec.name}/{model.name}" for spec in engines for model in spec.models]
    models = tuple(dict.fromkeys([*named, *(item.model for item in items)]))
    cells = {(model, device): _build_cell(model, device, items) for model in models for device in DEVICES}
    return SupportMatrix(engines=engines, models=models, cells=cells, bounds=bounds)


def _collect_items(evidence: Evidence, bounds: Mapping[str, float | None]) -> Iterator[EvidenceItem]:
    for name, result in evidence.runs.items():
        for model in result.models:
            requested = model.info.device.resolved if model.info else result.manifest.request.device
            device = requested.partition(":")[0]
            if device not in DEVICES:  # the model did not load, and no device was requested
                continue
            statuses, reason = _judge_run(result, model, bounds.get(model.model))
            packages = model.info.packages if model.info else ()
            yield EvidenceItem(
                model=model.model,
                device=device,
                statuses=statuses,
                reason=reason,
                ran=model.info is not None and not model.failure,
                record=name,
                date=result.manifest.created,
                machine=result.manifest.machine,
                packages=packages,
                stale=evidence.stale_packages(packages),
            )
    for name, matrix in evidence.matrices.items():
        for cell in matrix.cells:
            statuses, reason = _judge_cell(cell)
            packages = cell.facts.packages if cell.facts else ()
            yield EvidenceItem(
                model=cell.model,
                device=COLUMNS[cell.column].device,
                statuses=statuses,
                reason=reason,
                ran=cell.outcome in ("ran", "failed") and cell.facts is not None,
                record=name,
                date=matrix.date,
                machine=matrix.machine,
                packages=packages,
                stale=evidence.stale_packages(packages),
                is_engine_wide=cell.outcome == "refused",
            )


def _judge_run(result: BenchResult, model: ModelResult, bound: float | None) -> tuple[tuple[Status, ...], str]:
    failure, info = model.failure, model.info
    if failure or info is None:
        kind, message = (failure.kind, failure.message) if failure else ("", "the model was not loaded")
        if kind == "DeviceUnavailableError":  # a machine without the device proves nothing about the model
            return ("unverified",), f"not on that machine: {message}"
        return ("blocked",), f"{kind}: {message}" if kind else message
    limitations = _limitations(random=info.model.weights_random, simulated=info.device.simulated)
    if limitations:
        return limitations, f"{len(model.utterances) - model.failed} utterances ran"
    missing = list(_missing_conditions(result, model, bound))
    if missing:
        return ("unverified",), "; ".join(missing)
    words = model.score.words if model.score else None
    return ("working",), f"{words.errors} errors in {words.reference_length} words" if words else ""


def _limitations(*, random: bool, simulated: bool) -> tuple[Status, ...]:
    found: dict[Status, bool] = {"random-weights": random, "simulated": simulated}
    return tuple(status for status, is_true in found.items() if is_true)


def _missing_conditions(result: BenchResult, model: ModelResult, bound: float | None) -> Iterator[str]:
    """Yield the conditions of ``working`` that the record misses."""
    request, total = result.manifest.request, result.manifest.dataset.utterances
    if model.info is None or model.info.model.weights_sha256 is None:
        yield "the weights have no checksum"
    if not result.complete or len(model.utterances) < total:
        yield f"the run is not complete ({len(model.utterances)} of {total} utterances)"
    if model.failed:
        yield f"{model.failed} of {total} utterances failed"
    if not any(utterance.gates for utterance in model.utterances):
        yield "no quality gate ran"
    if model.failed_gates:
        yield f"{model.failed_gates} gates failed" if model.failed_gates > 1 else "1 gate failed"
    wer = model.score.wer if model.score else None
    if bound is None:
        yield "no WER bound is stated"
    elif request.dataset != _BOUND_DATASET:
        yield f"the WER bound is for the data set {_BOUND_DATASET!r}, not for {result.dataset!r}"
    elif wer is None:
        yield "nothing was scored"
    elif wer >= bound:
        yield f"WER {format_percent(wer)}, not under the bound of {100 * bound:g} %"


def _judge_cell(cell: CellResult) -> tuple[tuple[Status, ...], str]:
    limitations = _limitations(random=bool(cell.facts and cell.facts.info.weights_random), simulated=cell.simulated)
    detail = next((check.detail for check in cell.checks if check.outcome == cell.outcome), "")
    match cell.outcome:
        case "failed":
            return ("blocked", *limitations), f"{cell.failures[0].name}: {cell.failures[0].error}"
        case "refused":  # a missing backend does not depend on the simulation
            return ("blocked",), detail
        case "not here":
            return ("unverified",), f"not on that machine: {detail}"
    ran = f"{sum(check.outcome == 'ran' for check in cell.checks)} checks of the device matrix ran"
    return (limitations, ran) if limitations else (("unverified",), f"{ran}, but no run scores the model")


def _build_cell(model: str, device: str, items: Iterable[EvidenceItem]) -> SupportCell:
    engine = model.partition("/")[0]
    here = [item for item in items if item.device == device and item.engine == engine]
    own = sorted((item for item in here if item.model == model), key=_rank)
    decisive = (
        [item for item in own if item.is_evidence] or [item for item in here if item.is_engine_wide][:1] or own[:1]
    )
    if decisive and "working" in decisive[0].statuses:  # a real failure that is newer than the success comes first
        newer = (item for item in decisive if item.is_real and "blocked" in item.statuses)
        failure = next((item for item in newer if item.date > decisive[0].date), decisive[0])
        decisive = [failure, *(item for item in decisive if item is not failure)]
    substitutes = [item for item in here if item.model != model and "random-weights" in item.statuses]
    return SupportCell(items=tuple(decisive), substitutes=tuple(substitutes))


def _rank(item: EvidenceItem) -> tuple[bool, bool, int, tuple[int, ...]]:
    """Return a sort key: real weights on the real device first; of those ``working`` first, then the newest."""
    blocked_simulation = "blocked" in item.statuses and not item.is_real
    newest = tuple(-ord(char) for char in item.date)
    return not item.is_real, "working" not in item.statuses, len(item.statuses) + blocked_simulation, newest
