from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "examples" / "plugins").glob("*/pyproject.toml"))


def read(path: Path) -> dict[str, Any]:
    """A pyproject.toml."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_group_plugins_is_what_the_packages_require():
    """What they name besides asrlab is what the lock of the session ``plugins`` is made from, word for word."""
    named = [line for path in PACKAGES for line in read(path)["project"]["dependencies"]]
    others = {line for line in named if Requirement(line).name != "asrlab"}
    assert sorted(others) == sorted(read(ROOT / "pyproject.toml")["dependency-groups"]["plugins"])


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_package_is_one_that_a_stranger_could_have_written(path: Path):
    """It is built as asrlab is, requires asrlab, and offers one plugin, by its own name."""
    facts = read(path)
    project = facts["project"]
    module = project["name"].replace("-", "_")
    assert project["name"] == path.parent.name
    assert facts["build-system"] == read(ROOT / "pyproject.toml")["build-system"]
    assert [line for line in project["dependencies"] if Requirement(line).name == "asrlab"] == ["asrlab>=0.1"]
    assert project["entry-points"] == {"asrlab": {project["name"].removeprefix("asrlab-"): module}}
    assert (path.parent / "src" / module / "py.typed").is_file()


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_every_requirement_has_its_reason(path: Path):
    """Each line of the dependencies has a comment."""
    lines = path.read_text(encoding="utf-8").partition("\ndependencies = [\n")[2].partition("\n]")[0].splitlines()
    assert lines
    assert [line for line in lines if "  # " not in line] == []
