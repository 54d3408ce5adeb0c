"""The nox session ``fresh``: its environments, and the detection of registry faults."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from fresh import JOBS, PYTHONS, UPCOMING, Environment, Outcome, environments, is_registry_fault, table
from locks import find_uv

ROOT = Path(__file__).resolve().parents[2]


def test_every_extra_is_tested_on_every_python():
    """Every extra has an environment on every supported Python and on the upcoming one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classified = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert set(PYTHONS) == classified
    expected = {(python, extra) for python in (*PYTHONS, *UPCOMING) for extra in project["optional-dependencies"]}
    environment_pairs = [(environment.python, environment.extra) for environment in environments()]
    assert (set(environment_pairs), len(environment_pairs)) == (expected, len(expected))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_job_runs_once_on_every_python(python: str):
    """Every job runs exactly once on every Python."""
    jobs = [job for environment in environments([python]) if environment.python == python for job in environment.jobs]
    assert sorted(set(jobs)) == sorted({job for jobs in JOBS.values() for job in jobs})
    assert len(jobs) == len(set(jobs))


def test_weights_are_included_if_an_environment_needs_them():
    """A selected environment that needs weights is preceded by theirs, and an unknown name is refused."""
    assert [environment.extra for environment in environments(["all", "3.13"])] == ["weights", "all"]
    assert [environment.extra for environment in environments(["datasets"])] == ["datasets"] * 3
    with pytest.raises(SystemExit, match=r"there is no tensorflow; there are weights, .*, all, 3\.12"):
        environments(["tensorflow"])


def uv_error(*arguments: str, requirements: str, **variables: str) -> str:
    """Return the error output of a failing ``uv pip compile``."""
    uv = find_uv()
    if not shutil.which(uv):
        pytest.skip("uv is not installed")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    command = [uv, "pip", "compile", "--no-cache", "--no-config", *arguments, "-"]
    process = subprocess.run(
        command, input=requirements, capture_output=True, text=True, env=env | variables, check=False
    )
    assert process.returncode != 0
    return process.stderr


def test_an_unreachable_registry_is_a_registry_fault():
    """The error of uv for an unreachable registry is classified as a registry fault."""
    # no process listens on port 9 of this machine
    stderr = uv_error("--index-url", "http://127.0.0.1:9/simple", requirements="attrs", UV_HTTP_RETRIES="0")
    assert is_registry_fault(stderr), stderr


def test_conflicting_requirements_are_not_a_registry_fault():
    """Conflicting and missing versions are not classified as a registry fault."""
    stderr = uv_error("--no-index", requirements="attrs>2\nattrs<1")
    assert not is_registry_fault(stderr), stderr


def test_the_table_has_versions_and_outcomes():
    """The table has one line per environment with its versions, and a dash for each missing package."""
    environment = Environment(python="3.12", extra="faster-whisper", jobs=())
    rows = [
        Outcome(
            environment=environment, status="ok", detail="", versions={"av": "19.0.2", "numpy": "2.5.5"}, seconds=3.4
        ),
        Outcome(environment=Environment(python="3.14", extra="all", jobs=()), status="skipped", detail="no Python"),
    ]
    header, first, second = (line.split() for line in table(rows).splitlines())
    assert dict(zip(header, first, strict=True)) | {"s": "3"} == {
        **dict.fromkeys(header, "-"),
        "Python": "3.12",
        "extra": "faster-whisper",
        "av": "19.0.2",
        "numpy": "2.5.5",
        "s": "3",
        "outcome": "ok",
    }
    assert second[:2] == ["3.14", "all"]
    assert second[-1] == "skipped"


def test_ci_runs_the_session():
    """The session is one of nox's default sessions."""
    names = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    default = next(line for line in names.splitlines() if line.startswith("nox.options.sessions"))
    assert '"fresh"' in default
