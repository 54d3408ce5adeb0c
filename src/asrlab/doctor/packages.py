"""Faults of an engine's installed packages, and the commands that repair them."""

from __future__ import annotations

import csv
import operator
import re
import shlex
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version
from asrlab.installation import extra_requirements, install_command, runnable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "<": operator.lt, ">": operator.gt}


@attrs.frozen(kw_only=True)
class Repair:
    """A fault of an engine's packages.

    Attributes:
        reason: The fault; empty if none was identified.
        command: The command that repairs it; empty if none is known.
    """

    reason: str = ""
    command: str = ""


def find_repair(spec: EngineSpec) -> Repair:
    """Find the fault of an engine that is installed but does not import.

    A file that shadows the package is renamed. Packages with missing files are installed again in the same version.
    Packages outside of their bounds are replaced. Otherwise all packages of the engine are installed again.
    """
    shadow = _find_shadow(spec)
    if shadow:
        command = shlex.join(["mv", str(shadow), f"{shadow}.disabled"])
        return Repair(
            reason=f"{spec.import_name} is imported from {shadow}, which {spec.distribution} did not install",
            command=command,
        )
    damaged = list(damaged_distributions([name for name in (spec.distribution, *spec.reported_distributions) if name]))
    if damaged:
        pins = [f"{dist.name}=={dist.version}" for dist, _ in damaged]
        reason = "; ".join(f"{dist.name} {dist.version} lacks {missing}" for dist, missing in damaged)
        return Repair(reason=reason, command=install_command("--no-deps", *pins, reinstall=True))
    outside = outside_of_bounds(spec)
    if outside:
        return Repair(reason="; ".join(outside), command=runnable(spec.install))
    return Repair(command=runnable(spec.install, reinstall=True))


def outside_of_bounds(spec: EngineSpec) -> list[str]:
    """Return a sentence for each installed package outside of the bounds of asrlab's extra for an engine."""
    extra = re.search(r"asrlab\[([\w-]+)\]", spec.install)
    sentences = []
    for requirement in extra_requirements(extra[1]) if extra else ():
        name = _NAME.match(requirement)
        version = installed_version(name[0]) if name else None
        if name and version and not _is_within(release_of(version), requirement[len(name[0]) :]):
            sentences.append(f"{name[0]} {version} is installed, and {requirement} is needed")
    return sentences


def _is_within(release: tuple[int, ...], bounds: str) -> bool:
    """Return whether a release is within bounds such as ``>=2.9.1,<2.12``; other operators are ignored."""
    for sign, number in re.findall(r"(>=|<=|==|<|>)\s*([\d.]+)", bounds):
        width = max(len(release), len(wanted := release_of(number)))
        have, want = (numbers + (0,) * (width - len(numbers)) for numbers in (release, wanted))
        if not _COMPARE[sign](have, want):
            return False
    return True


def release_of(version: str) -> tuple[int, ...]:
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


def damaged_distributions(names: list[str]) -> Iterator[tuple[metadata.Distribution, str]]:
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
