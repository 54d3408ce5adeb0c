"""What may be said of a model on a device, by rule, from the records there are.

==================  ====================================================================================================
``working``         an exported run of ``smoke`` with real weights on the real device: complete, no utterance failed, no
                    gate failed, the WER under the model's stated bound
``blocked``         it did not load, a check of the matrix failed, or the engine has no such device; with the words
``random-weights``  it ran, with random numbers for weights
``simulated``       it ran on a device that is only imitated
``unverified``      all else: no record, or one that misses a condition, which is named
==================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import Machine
from asrlab.evaluation.claims.evidence import Evidence, MatrixFile, RunFile
from asrlab.evaluation.matrix.records import COLUMNS, CellResult
from asrlab.evaluation.runs.result import BenchResult, ModelResult
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.transcript import PackageVersion

type Status = Literal["working", "blocked", "random-weights", "simulated", "unverified"]

STATUSES: tuple[Status, ...] = ("working", "blocked", "random-weights", "simulated", "unverified")
DEVICES = ("cpu", "mps", "cuda")
_BOUND_SET = "smoke"


@attrs.frozen(kw_only=True)
class EvidenceItem:
    """What one record says of a model on a device.

    Attributes:
        model: Full name.
        device: A kind: ``cpu``, ``mps`` or ``cuda``.
        statuses: One, or ``random-weights`` and ``simulated`` together.
        reason: What was seen, which condition is missing, or the error.
        ran: Whether the model ran there at all.
        record: The file's name below the folder of evidence.
        date: When it was made: UTC, ISO 8601.
        machine: Where.
        packages: The distributions that took part; empty where none was loaded.
        stale: Those of them that the lock pins in another version, in words.
        engine_wide: Whether it holds for every model of the engine: it has no such device, on any machine.
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
    engine_wide: bool = False

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.model.partition("/")[0]

    @property
    def real(self) -> bool:
        """Whether it tells of the real weights on the real device."""
        return not {"simulated", "random-weights"} & {*self.statuses}

    @property
    def tells(self) -> bool:
        """Whether anything was tried: that a machine lacks a device tells nothing of the model."""
        return self.ran or "blocked" in self.statuses


@attrs.frozen(kw_only=True)
class SupportCell:
    """A model on a device.

    Attributes:
        model: Full name.
        device: A kind.
        standings: What the records say, what counts first.
        stand_ins: What they say of other weights of its engine, which are random.
    """

    model: str
    device: str
    standings: tuple[EvidenceItem, ...] = ()
    stand_ins: tuple[EvidenceItem, ...] = ()

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Those of the standing that counts."""
        return self.standings[0].statuses if self.standings else ("unverified",)


@attrs.frozen(kw_only=True)
class SupportMatrix:
    """Every model on every kind of device.

    Attributes:
        engines: The engines, in order.
        models: Full names, in order: those with a name, then those that only records name.
        cells: By model and device.
        bounds: The WER that each named model must stay under; None where none is stated.
    """

    engines: tuple[EngineSpec, ...]
    models: tuple[str, ...]
    cells: Mapping[tuple[str, str], SupportCell]
    bounds: Mapping[str, float | None]

    def of_engine(self, engine: str) -> tuple[str, ...]:
        """The models of an engine."""
        return tuple(model for model in self.models if model.partition("/")[0] == engine)

    @property
    def named(self) -> frozenset[str]:
        """The models that have a name, rather than those that only a record tells of."""
        return frozenset(self.bounds)

    def default_of(self, engine: EngineSpec) -> str:
        """The model that the engine's name alone stands for."""
        return f"{engine.name}/{engine.default_model or engine.models[0].name}"

    def has(self, models: Iterable[str], devices: Iterable[str], wanted: Iterable[Status]) -> bool:
        """Whether, on each of *devices*, one of *models* has one of the statuses *wanted*."""
        wanted, models = {*wanted}, tuple(models)
        return all(any(wanted & {*self._statuses(model, device)} for model in models) for device in devices)

    def ran(self, models: Iterable[str], devices: Iterable[str]) -> bool:
        """Whether, on each of *devices*, one of *models* ran at all, with whatever weights, and not simulated."""
        models = tuple(models)
        return all(any(self._ran(model, device) for model in models) for device in devices)

    def _ran(self, model: str, device: str) -> bool:
        cell = self.cells.get((model, device))
        return any(each.ran and "simulated" not in each.statuses for each in (cell.standings if cell else ()))

    def _statuses(self, model: str, device: str) -> tuple[Status, ...]:
        cell = self.cells.get((model, device))
        return cell.statuses if cell else ("unverified",)


def build_support_matrix(evidence: Evidence, host: PluginHost | None = None) -> SupportMatrix:
    """What may be said, from all records.

    Args:
        evidence: The records.
        host: The plugins whose engines there are; None takes the engines that come with asrlab, and those of plugins
            that a record names, so that a page is the same wherever it is made.
    """
    registry = Registry(host or PluginHost())
    standings = list(_standings(evidence, registry))
    told = {standing.model.partition("/")[0] for standing in standings}
    own = {model.engine.name for model in registry.models() if model.distribution == "asrlab"}
    engines = tuple(spec for spec in registry.engines() if host or spec.name in own | told)
    named = [f"{spec.name}/{model.name}" for spec in engines for model in spec.models]
    models = tuple(dict.fromkeys([*named, *(standing.model for standing in standings)]))
    cells = [_cell(model, device, standings) for model in models for device in DEVICES]
    return SupportMatrix(
        engines=engines,
        models=models,
        cells={(cell.model, cell.device): cell for cell in cells},
        bounds=_bounds(registry),
    )


def _bounds(registry: Registry) -> dict[str, float | None]:
    return {resolved.name: resolved.model.wer_bound for resolved in registry.models() if resolved.model}


def _standings(evidence: Evidence, registry: Registry) -> Iterator[EvidenceItem]:
    bounds = _bounds(registry)
    for run in evidence.runs:
        for model in run.result.models:
            yield from _of_run(run, model, bounds.get(model.model), evidence)
    for matrix in evidence.matrices:
        for cell in matrix.record.cells:
            yield _of_cell(matrix, cell, evidence)


def _of_run(run: RunFile, model: ModelResult, bound: float | None, evidence: Evidence) -> Iterator[EvidenceItem]:
    """Nothing where the model did not load and nobody said on which device it should."""
    manifest = run.result.manifest
    asked = model.info.device.resolved if model.info else manifest.request.device
    device = asked.partition(":")[0]
    if device not in DEVICES:
        return
    statuses, reason = _judged(run.result, model, bound)
    packages = model.info.packages if model.info else ()
    yield EvidenceItem(
        model=model.model,
        device=device,
        statuses=statuses,
        reason=reason,
        ran=model.info is not None and not model.failure,
        record=run.name,
        date=manifest.created,
        machine=manifest.machine,
        packages=packages,
        stale=evidence.stale(packages),
    )


def _judged(result: BenchResult, model: ModelResult, bound: float | None) -> tuple[tuple[Status, ...], str]:
    failure, info = model.failure, model.info
    if failure or info is None:
        kind, message = (failure.kind, failure.message) if failure else ("", "it was not loaded")
        if kind == "DeviceUnavailableError":  # what a machine lacks says nothing of the model
            return ("unverified",), f"not on that machine: {message}"
        return ("blocked",), f"{kind}: {message}" if kind else message
    less = _less(random=info.model.weights_random, simulated=info.device.simulated)
    if less:
        return less, f"{len(model.utterances) - model.failed} utterances ran"
    missing = list(_missing(result, model, bound))
    return (("unverified",), "; ".join(missing)) if missing else (("working",), _score_of(model))


def _less(*, random: bool, simulated: bool) -> tuple[Status, ...]:
    """What makes a record one of something else than the model on the device."""
    weights: tuple[Status, ...] = ("random-weights",) if random else ()
    return (*weights, "simulated") if simulated else weights


def _missing(result: BenchResult, model: ModelResult, bound: float | None) -> Iterator[str]:
    """The conditions of ``working`` that the record misses."""
    request, total = result.manifest.request, result.manifest.dataset.utterances
    if model.info is None or model.info.model.weights_sha256 is None:
        yield "its weights have no checksum"
    if not result.complete or len(model.utterances) < total:
        yield f"the run is not complete ({len(model.utterances)} of {total} utterances)"
    if model.failed:
        yield f"{model.failed} of {total} utterances failed"
    if not any(utterance.gates for utterance in model.utterances):
        yield "no gate was asked"
    if model.failed_gates:
        yield f"{model.failed_gates} gates failed" if model.failed_gates > 1 else "1 gate failed"
    wer = model.score.wer if model.score else None
    if bound is None:
        yield "no bound of its WER is stated"
    elif request.dataset != _BOUND_SET:
        yield f"its bound holds for the set {_BOUND_SET!r}, and this is {result.dataset!r}"
    elif wer is None:
        yield "nothing was scored"
    elif wer >= bound:
        yield f"WER {100 * wer:.2f} %, not under its bound of {100 * bound:g} %"


def _score_of(model: ModelResult) -> str:
    words = model.score.words if model.score else None
    return f"{words.errors} errors in {words.reference_length} words" if words else ""


def _of_cell(matrix: MatrixFile, cell: CellResult, evidence: Evidence) -> EvidenceItem:
    statuses, reason = _judged_cell(cell)
    record, packages = matrix.record, cell.facts.packages if cell.facts else ()
    return EvidenceItem(
        model=cell.model,
        device=COLUMNS[cell.column].device,
        statuses=statuses,
        reason=reason,
        ran=cell.outcome in ("ran", "failed") and cell.facts is not None,
        record=matrix.name,
        date=record.date,
        machine=record.machine,
        packages=packages,
        stale=evidence.stale(packages),
        engine_wide=cell.outcome == "refused",
    )


def _judged_cell(cell: CellResult) -> tuple[tuple[Status, ...], str]:
    less = _less(random=bool(cell.facts and cell.facts.info.weights_random), simulated=cell.simulated)
    said = next((check.detail for check in cell.checks if check.outcome == cell.outcome), "")
    match cell.outcome:
        case "failed":
            first = cell.first_failure
            return ("blocked", *less), f"{first.name}: {first.error}" if first else ""
        case "refused":  # what an engine has no backend for, it lacks simulated or not
            return ("blocked",), said
        case "not here":
            return ("unverified",), f"not on that machine: {said}"
    ran = f"{cell.count('ran')} checks of the matrix ran"
    return (less, ran) if less else (("unverified",), f"{ran}, and no run scores it")


def _cell(model: str, device: str, standings: Iterable[EvidenceItem]) -> SupportCell:
    engine = model.partition("/")[0]
    here = [each for each in standings if each.device == device and each.engine == engine]
    own = sorted((each for each in here if each.model == model), key=_order)
    told = [each for each in own if each.tells] or [each for each in here if each.engine_wide][:1] or own[:1]
    stand_ins = [each for each in here if each.model != model and "random-weights" in each.statuses]
    return SupportCell(model=model, device=device, standings=_latest_first(tuple(told)), stand_ins=tuple(stand_ins))


def _order(standing: EvidenceItem) -> tuple[bool, bool, int, tuple[int, ...]]:
    """Real weights on the real device before all else; of those ``working`` first, then the latest."""
    blocked_imitation = "blocked" in standing.statuses and not standing.real
    latest = tuple(-ord(char) for char in standing.date)
    return not standing.real, "working" not in standing.statuses, len(standing.statuses) + blocked_imitation, latest


def _latest_first(standings: tuple[EvidenceItem, ...]) -> tuple[EvidenceItem, ...]:
    """The same with a block in front that was met after the success in front."""
    if not standings or "working" not in standings[0].statuses:
        return standings
    later = [each for each in standings[1:] if each.real and "blocked" in each.statuses]
    later = [each for each in later if each.date > standings[0].date]
    return (*later[:1], *(each for each in standings if each not in later[:1]))
