"""Install each extra from the newest packages, as a new user does, and check that it works.

python tools/fresh.py                    every extra, on every Python that is tested
python tools/fresh.py all 3.13           only the environments that are named by extra, Python, or both

asrlab is a wheel of this checkout; nothing is locked. Each environment is made anew, must import, satisfy
``asrlab doctor``, and do the extra's main job where no other environment of the list does it with the same packages.
An environment that worked is removed again. The exit code is 1 where one did not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from locks import find_uv

__all__ = ["Environment", "Outcome", "environments", "is_registry_fault", "table"]

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".nox" / "fresh"
JOB = Path(__file__).with_name("fresh_job.py")

PYTHONS = ("3.12", "3.13")
UPCOMING = ("3.14",)  # skipped, not failed, without wheels or an interpreter

JOBS = {
    "weights": ("weights",),
    "datasets": ("datasets",),
    "faster-whisper": ("faster-whisper/base",),
    "openai-whisper": ("openai-whisper/base",),
    "liquid-audio": ("liquid-audio/tiny",),
    "all": ("datasets", "faster-whisper/base", "openai-whisper/base", "liquid-audio/tiny"),
}
# The packages whose versions decide whether the extras work, in the order of the table.
PACKAGES = (
    *("torch", "torchaudio", "transformers", "liquid-audio", "openai-whisper", "faster-whisper", "ctranslate2"),
    *("onnxruntime", "av", "numpy", "huggingface-hub", "datasets"),
)
# Source: uv 0.13, what it prints where a registry cannot be reached, refuses, or sends something else.
_REGISTRY = re.compile(
    r"error sending request|Request failed after|Failed to (?:fetch|download)|dns error|Connection (?:refused|reset)"
    r"|operation timed out|HTTP status (?:server|client) error",
    re.IGNORECASE,
)
MINUTES = 15
"""Time limit of one step."""


class StepError(Exception):
    """A step that failed, with what it printed last."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One extra on one Python.

    Attributes:
        python: Python version, such as ``3.12``.
        extra: A name of pyproject.toml's optional dependencies.
        jobs: Jobs of the environment; empty if another environment does them.
    """

    python: str
    extra: str
    jobs: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The folder of the virtual environment."""
        return FOLDER / f"{self.python}-{self.extra}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of an environment.

    Attributes:
        environment: The environment.
        status: ``ok``, ``failed``, ``skipped``, or ``registry`` where packages could not be had.
        detail: The checks that passed, or the reason.
        versions: Installed versions by distribution.
        seconds: Duration in seconds.
    """

    environment: Environment
    status: str
    detail: str
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def environments(wanted: Sequence[str] = ()) -> list[Environment]:
    """Return the environments to make, of the *wanted* extras and Pythons; all if none is named.

    On the first Python each extra alone does its job, on the others ``all`` does all jobs: none is done twice there.
    """
    extras = [extra for extra in JOBS if extra in wanted] or list(JOBS)
    pythons = [python for python in (*PYTHONS, *UPCOMING) if python in wanted] or [*PYTHONS, *UPCOMING]
    if unknown := set(wanted) - set(JOBS) - {*PYTHONS, *UPCOMING}:
        known = ", ".join((*JOBS, *PYTHONS, *UPCOMING))
        raise SystemExit(f"fresh: there is no {', '.join(sorted(unknown))}; there are {known}")
    found = [
        Environment(python=python, extra=extra, jobs=JOBS[extra] if (python == PYTHONS[0]) != (extra == "all") else ())
        for python in pythons
        for extra in extras
    ]
    # weights first: the other jobs take them from its store
    needs = any("whisper" in job for environment in found for job in environment.jobs)
    if needs and not any(environment.extra == "weights" and environment.jobs for environment in found):
        found = [Environment(python=pythons[0], extra="weights", jobs=JOBS["weights"]), *found]
    return found


def is_registry_fault(output: str) -> bool:
    """Return whether an installer failed because of the registry or the way to it."""
    return _REGISTRY.search(output) is not None


def run(*command: str | Path) -> str:
    """Run a step with its own store and runs folder, and return its output.

    Raises:
        StepError: It failed, or took too long.
    """
    strangers = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}
    env = {name: value for name, value in os.environ.items() if name not in strangers}
    env |= {"ASRLAB_CACHE": str(FOLDER / "store"), "ASRLAB_RUNS": str(FOLDER / "runs"), "COLUMNS": "200"}
    arguments = list(map(str, command))
    try:
        done = subprocess.run(
            arguments, cwd=FOLDER, env=env, capture_output=True, text=True, check=False, timeout=MINUTES * 60
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{Path(arguments[0]).name} did not end within {MINUTES} minutes") from error
    if done.returncode:
        raise StepError(f"{done.stdout}\n{done.stderr}".strip() or f"ended with {done.returncode}")
    return done.stdout


def try_environment(environment: Environment, *, wheel: Path, uv: str) -> Outcome:
    """Create an environment, check it, and remove it if the checks pass."""
    start = time.monotonic()
    outcome = _tried(environment, wheel=wheel, uv=uv)
    if outcome.status in ("ok", "skipped"):
        shutil.rmtree(environment.path, ignore_errors=True)
    outcome = replace(outcome, seconds=time.monotonic() - start)
    name = f"{environment.extra} on Python {environment.python}"
    print(f"fresh: {name}: {outcome.status}: {outcome.detail} ({outcome.seconds:.0f} s)", flush=True)
    return outcome


def _tried(environment: Environment, *, wheel: Path, uv: str) -> Outcome:
    def ended(status: str, detail: str, versions: dict[str, str] | None = None) -> Outcome:
        return Outcome(environment=environment, status=status, detail=detail, versions=versions or {})

    upcoming = environment.python in UPCOMING
    try:
        found = run(uv, "python", "find", "--no-python-downloads", "--no-project", "--system", environment.python)
    except StepError:
        return ended("skipped" if upcoming else "failed", f"no Python {environment.python} is on this machine")
    path, python = environment.path, environment.path / "bin" / "python"
    try:
        run(uv, "venv", "--quiet", "--clear", "--no-project", "--python", found.strip(), path)
        run(uv, "pip", "install", "--quiet", "--python", python, f"asrlab[{environment.extra}] @ {wheel.as_uri()}")
    except StepError as error:
        if is_registry_fault(str(error)):
            return ended("registry", f"packages could not be had, so nothing was tested: {_last(error)}")
        return ended("skipped" if upcoming else "failed", f"not installed: {_last(error)}")
    step = "job"
    try:
        # first: a new environment compiles its modules on import, and the doctor has a time limit
        answer = run(python, JOB, path, *environment.jobs)
        step = "doctor"
        run(path / "bin" / "asrlab", "doctor")
    except StepError as error:
        return ended("failed", f"{step}: {_problem(str(error))}; the environment is kept: {path}")
    passed = ("import", *environment.jobs, "doctor")
    return ended("ok", ", ".join(passed), json.loads(answer.splitlines()[-1])["versions"])


def _last(error: StepError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _problem(output: str) -> str:
    """Return the problems that the doctor reports, else the last line."""
    problems = [line.strip() for line in output.splitlines() if line.startswith("problem")]
    return "; ".join(problems) or _last(StepError(output))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the versions and the outcome of each environment as lines of text."""
    rows: list[tuple[str, ...]] = [("Python", "extra", *PACKAGES, "s", "outcome")]
    for outcome in outcomes:
        versions = [outcome.versions.get(package, "-") for package in PACKAGES]
        environment = outcome.environment
        rows.append((environment.python, environment.extra, *versions, f"{outcome.seconds:.0f}", outcome.status))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def build_wheel(uv: str) -> Path:
    """Build the wheel of this checkout with pinned build tools."""
    folder = FOLDER / "wheel"
    constraints = ("--build-constraints", ROOT / "locks" / "build.txt", "--require-hashes")
    run(uv, "build", "--quiet", "--clear", "--wheel", *constraints, "--out-dir", folder, ROOT)
    return next(folder.glob("*.whl"))


def main() -> int:
    """Try the environments, print their table, and return 1 where one did not work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="EXTRA|PYTHON", help="only these; all if none is given")
    todo = environments(parser.parse_args().wanted)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    uv = find_uv()
    wheel = build_wheel(uv)
    weights = [environment for environment in todo if environment.extra == "weights" and environment.jobs]
    outcomes = {environment: try_environment(environment, wheel=wheel, uv=uv) for environment in weights}
    with ThreadPoolExecutor(2) as pool:  # half of an environment's time is spent waiting for the disk
        others = [environment for environment in todo if environment not in outcomes]
        for outcome in pool.map(lambda environment: try_environment(environment, wheel=wheel, uv=uv), others):
            outcomes[outcome.environment] = outcome
    print(table([outcomes[environment] for environment in todo]))
    counts = {
        status: sum(outcome.status == status for outcome in outcomes.values()) for status in ("failed", "registry")
    }
    if counts["registry"]:
        print(f"fresh: {counts['registry']} environments were not tested, because the package registry did not answer")
    return 1 if any(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
