"""The provenance of systems and runs: weights, device, patches, packages and machine, as text."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics import describe_normalizers
from asrlab.evaluation.reports.formatting import format_share
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.result import BenchResult
from asrlab.transcript import ModelInfo, PatchStatus


@attrs.frozen(kw_only=True)
class SystemFacts:
    """The provenance of a system.

    Attributes:
        name: The system's name.
        run: The run's name.
        device: The requested and the used device, with number format and threads.
        device_reason: The reason why the used device differs from the requested one; empty if it does not.
        weights: The source of the weights; ``none`` for an engine without weights.
        weights_sha256: The checksum of the weights; empty without weights.
        weights_known: The status of the checksum in the catalogue.
        packages: The packages with their versions.
        patches: The patches of the run with their status.
        backend: The build of torch, and the GPU; empty if torch was not imported.
    """

    name: str
    run: str
    device: str
    device_reason: str
    weights: str
    weights_sha256: str
    weights_known: str
    packages: tuple[tuple[str, str], ...]
    patches: tuple[PatchStatus, ...]
    backend: str


@attrs.frozen(kw_only=True)
class RunFacts:
    """The provenance of a run.

    Attributes:
        run: The run's name.
        facts: Pairs of a label and a value.
    """

    run: str
    facts: tuple[tuple[str, str], ...]


def describe_device(info: TranscriberInfo) -> str:
    """Describe the requested and the used device, the number format and the threads."""
    threads = f", {info.threads} threads" if info.threads else ""
    return f"{info.device.requested} → {info.device} ({info.compute_type}{threads})"


def system_facts(system: System) -> SystemFacts:
    """Return the provenance of a system."""
    info, model = system.info, system.info.model
    return SystemFacts(
        name=system.name,
        run=system.run,
        device=describe_device(info),
        device_reason=info.device.reason,
        weights=model.weights_source or "none",
        weights_sha256=model.weights_sha256 or "",
        weights_known=_checksum_status(model),
        packages=tuple((package.name, package.version) for package in info.packages),
        patches=system.model.patches,
        backend=system.model.backend,
    )


def _checksum_status(model: ModelInfo) -> str:
    if model.weights_random:
        return "random numbers, for tests"
    if not model.weights_sha256:
        return ""
    return "as in the catalogue" if model.weights_pinned else "recorded, not in the catalogue"


def run_facts(result: BenchResult) -> RunFacts:
    """Return the provenance of a run, with the settings that may change what engines do."""
    return RunFacts(run=result.manifest.run, facts=tuple(_run_facts(result)))


def _run_facts(result: BenchResult) -> Iterator[tuple[str, str]]:
    manifest = result.manifest
    machine, dataset, request = manifest.machine, manifest.dataset, manifest.request
    yield "data set", f"{dataset.name}: {dataset.utterances} utterances, {dataset.source}"
    yield "licence of the data", dataset.licence or "unknown"
    yield "fingerprint", dataset.fingerprint
    yield "started", manifest.created
    yield "duration", f"{result.seconds:.1f} s"
    yield "machine", f"{machine.processor or 'unknown processor'}, {machine.cores} cores, {machine.architecture}"
    yield "system", f"{machine.system}, {machine.python}"
    if result.load_averages:
        yield "load before", ", ".join(f"{average[0]:.2f}" for average in result.load_averages if average)
    if loads := [each.load for each in result.passes]:
        others, stolen = max(load.others_share for load in loads), max(load.stolen_share for load in loads)
        yield "load during", f"other programs up to {format_share(others)} of the cores, stolen {format_share(stolen)}"
    yield "variables", ", ".join(f"{name}={value}" for name, value in manifest.environment) or "none that matter"
    if manifest.git:
        yield "source tree", f"{manifest.git.commit}{', changed' if manifest.git.changed else ''}"
    options = [f"{name} {value}" for name, value in attrs.asdict(request.options).items() if value not in (None, False)]
    yield "options", ", ".join([*options, f"repeat {request.repeat}", f"warmup {request.warmup}"])
    normalizers = describe_normalizers(manifest.normalizer, manifest.normalizers)
    yield "normalizer", f"{normalizers} ({manifest.normalizer_version})"
    for failure in manifest.plugin_failures:
        yield "failed plugin", str(failure)
