"""The session ``fresh``: what it makes, and how it tells a fault of the registry from one of asrlab's."""

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


def test_every_extra_is_made_on_every_python():
    """Each of pyproject.toml's extras, alone, on each Python that it names and on the one to come."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classified = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert set(PYTHONS) == classified
    wanted = {(python, extra) for python in (*PYTHONS, *UPCOMING) for extra in project["optional-dependencies"]}
    made = [(environment.python, environment.extra) for environment in environments()]
    assert (set(made), len(made)) == (wanted, len(wanted))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_job_is_done_on_every_python(python: str):
    """Alone on the first, together on the others; the weights are taken from their packages once."""
    done = [job for environment in environments([python]) if environment.python == python for job in environment.jobs]
    assert sorted(set(done)) == sorted({job for jobs in JOBS.values() for job in jobs})
    assert len(done) == len(set(done))


def test_weights_are_made_for_whoever_needs_them():
    """One environment by name has that of the weights before it, unless it needs none; a wrong name is refused."""
    assert [environment.extra for environment in environments(["all", "3.13"])] == ["weights", "all"]
    assert [environment.extra for environment in environments(["datasets"])] == ["datasets"] * 3
    with pytest.raises(SystemExit, match=r"there is no tensorflow; there are weights, .*, all, 3\.12"):
        environments(["tensorflow"])


def output_of(*arguments: str, given: str, **variables: str) -> str:
    """What uv prints when it fails."""
    uv = find_uv()
    if not shutil.which(uv):
        pytest.skip("uv is not installed")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    command = [uv, "pip", "compile", "--no-cache", "--no-config", *arguments, "-"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=env | variables, check=False)
    assert done.returncode != 0
    return done.stderr


def test_a_registry_that_does_not_answer_is_no_fault_of_asrlabs():
    """With nothing at the registry's address uv's error is known for what it is."""
    # port 9 of this machine: nothing listens there
    printed = output_of("--index-url", "http://127.0.0.1:9/simple", given="attrs", UV_HTTP_RETRIES="0")
    assert is_registry_fault(printed), printed


def test_packages_that_do_not_fit_are_a_fault():
    """Versions that exclude each other, and a name that no index has, are not the registry's fault."""
    printed = output_of("--no-index", given="attrs>2\nattrs<1")
    assert not is_registry_fault(printed), printed


def test_the_table_has_versions_and_outcomes():
    """A line an environment, with the versions that matter, and a dash where a package is not there."""
    made = Environment(python="3.12", extra="faster-whisper", jobs=())
    rows = [
        Outcome(environment=made, status="ok", detail="", versions={"av": "19.0.2", "numpy": "2.5.5"}, seconds=3.4),
        Outcome(environment=Environment(python="3.14", extra="all", jobs=()), status="skipped", detail="no Python"),
    ]
    head, first, second = (line.split() for line in table(rows).splitlines())
    assert dict(zip(head, first, strict=True)) | {"s": "3"} == {
        **dict.fromkeys(head, "-"),
        "Python": "3.12",
        "extra": "faster-whisper",
        "av": "19.0.2",
        "numpy": "2.5.5",
        "s": "3",
        "outcome": "ok",
    }
    assert second[:2] == ["3.14", "all"]
    assert second[-1] == "skipped"


def test_ci_runs_it():
    """The session is one of those that run without a name."""
    names = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    default = next(line for line in names.splitlines() if line.startswith("nox.options.sessions"))
    assert '"fresh"' in default
