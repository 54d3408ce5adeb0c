from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "examples" / "plugins").glob("*/pyproject.toml"))


def read(path: Path) -> dict[str, Any]:
    """Return the content of a pyproject.toml."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_group_plugins_has_the_requirements_of_the_packages():
    """The dependency group has exactly the requirements of the packages besides asrlab."""
    dependencies = [line for path in PACKAGES for line in read(path)["project"]["dependencies"]]
    others = {line for line in dependencies if Requirement(line).name != "asrlab"}
    assert sorted(others) == sorted(read(ROOT / "pyproject.toml")["dependency-groups"]["plugins"])


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_package_has_the_form_of_a_third_party_plugin(path: Path):
    """A package has asrlab's build system, requires asrlab, and provides one plugin under its own name."""
    pyproject = read(path)
    project = pyproject["project"]
    module = project["name"].replace("-", "_")
    assert project["name"] == path.parent.name
    assert pyproject["build-system"] == read(ROOT / "pyproject.toml")["build-system"]
    assert [line for line in project["dependencies"] if Requirement(line).name == "asrlab"] == ["asrlab>=0.1"]
    assert project["entry-points"] == {"asrlab": {project["name"].removeprefix("asrlab-"): module}}
    assert (path.parent / "src" / module / "py.typed").is_file()


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_every_requirement_has_its_reason(path: Path):
    """Every dependency has a comment with its reason."""
    lines = path.read_text(encoding="utf-8").partition("\ndependencies = [\n")[2].partition("\n]")[0].splitlines()
    assert lines
    assert [line for line in lines if "  # " not in line] == []
