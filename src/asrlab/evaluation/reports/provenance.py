"""What a system was: its weights, device, patches and packages, and where it ran; each fact in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics import describe_normalizers, get_profile
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.result import BenchResult
from asrlab.transcript import PatchStatus


@attrs.frozen(kw_only=True)
class SystemFacts:
    """What a system was made of.

    Attributes:
        name: Its name.
        run: The run's name.
        device: Asked for and used, with number format and threads.
        device_reason: Why the device used is another than the one asked for; empty where it is the same.
        weights: Where they came from; ``none`` for an engine without.
        weights_sha256: Their checksum; empty without.
        weights_known: What is known of the checksum.
        packages: With their versions.
        patches: Those of the run, with what became of each.
        backend: The build of torch, and the GPU; empty where none was imported.
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
    """Where and how a run was made.

    Attributes:
        run: Its name.
        facts: Pairs of a label and a value.
    """

    run: str
    facts: tuple[tuple[str, str], ...]


def describe_device(info: TranscriberInfo) -> str:
    """The device asked for and the one used, the number format and the threads."""
    threads = f", {info.threads} threads" if info.threads else ""
    return f"{info.device.requested} → {info.device} ({info.compute_type}{threads})"


def system_facts(system: System) -> SystemFacts:
    """What is known of a system."""
    info, model = system.info, system.info.model
    return SystemFacts(
        name=system.name,
        run=system.run,
        device=describe_device(info),
        device_reason=info.device.reason,
        weights=model.weights_source or "none",
        weights_sha256=model.weights_sha256 or "",
        weights_known=_known(system),
        packages=tuple((package.name, package.version) for package in info.packages),
        patches=system.model.patches,
        backend=system.model.backend,
    )


def _known(system: System) -> str:
    model = system.info.model
    if model.weights_random:
        return "random numbers, for tests"
    if not model.weights_sha256:
        return ""
    return "as in the catalogue" if model.weights_pinned else "recorded, not in the catalogue"


def run_caveats(results: Sequence[BenchResult], systems: Sequence[System]) -> tuple[str, ...]:
    """What makes figures mean less than they seem to, a sentence each: what is simulated, random, or not there."""
    return tuple(_cautions(results, systems))


def _cautions(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from synthetic_caveats(system)
        if system.unfit:
            yield system.unfit.sentence(system.name)
    yield from normalizer_caveats(results)
    for result in results:
        if not result.complete:
            yield f"the run {result.manifest.run} is not complete; its figures may change"
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} did not load ({model.failure.kind}): {model.failure.message}"


def synthetic_caveats(system: System) -> Iterator[str]:
    """A sentence each, if its weights are random and if its device is simulated."""
    if system.random:
        yield f"{system.name} has random weights: its texts, and their error rate, mean nothing"
    if system.simulated:
        yield f"{system.name} ran on a simulated {system.info.device.resolved}: nothing is shown about a real one"


def normalizer_caveats(results: Sequence[BenchResult]) -> Iterator[str]:
    """Yield a sentence for each run that was recorded with another version of its normalizer than scores it now."""
    for result in results:
        manifest = result.manifest
        version = get_profile(manifest.normalizer).version
        if version != manifest.normalizer_version:
            yield (
                f"the run {manifest.run} was recorded with the normalizer {manifest.normalizer} "
                f"({manifest.normalizer_version}); here its texts are scored anew, by the rules of today ({version}), "
                "so error rates may differ from those shown then"
            )


def run_facts(result: BenchResult) -> RunFacts:
    """Where a run was made, and what may change what engines do there."""
    return RunFacts(run=result.manifest.run, facts=tuple(_run_facts(result)))


def _run_facts(result: BenchResult) -> Iterator[tuple[str, str]]:
    manifest = result.manifest
    machine, data = manifest.machine, manifest.dataset
    yield "data set", f"{data.name}: {data.utterances} utterances, {data.source}"
    yield "licence of the data", data.licence or "not known"
    yield "fingerprint", data.fingerprint
    yield "begun", manifest.created
    yield "took", f"{result.seconds:.1f} s in all"
    yield "machine", f"{machine.processor or 'processor not told'}, {machine.cores} cores, {machine.architecture}"
    yield "system", f"{machine.system}, {machine.python}"
    if result.load_averages:
        yield "load before it", ", ".join(f"{average[0]:.2f}" for average in result.load_averages if average)
    if loads := [each.load for each in result.passes]:
        others, stolen = max(load.others_share for load in loads), max(load.stolen_share for load in loads)
        yield "load during it", f"other programs up to {100 * others:.0f} % of the cores, stolen {100 * stolen:.0f} %"
    yield "variables", ", ".join(f"{name}={value}" for name, value in manifest.environment) or "none that count"
    if manifest.git:
        yield "own tree", f"{manifest.git.commit}{', changed' if manifest.git.changed else ''}"
    yield "options", _options(result)
    told = describe_normalizers(manifest.normalizer, manifest.normalizers)
    yield "normalizer", f"{told} ({manifest.normalizer_version})"
    for failure in manifest.plugin_failures:
        yield "plugin that failed", str(failure)


def _options(result: BenchResult) -> str:
    request = result.manifest.request
    given = [f"{name} {value}" for name, value in attrs.asdict(request.options).items() if value not in (None, False)]
    return ", ".join([*given, f"repeat {request.repeat}", f"warmup {request.warmup}"])
