"""What a contributor runs: ``nox`` for all that CI checks, ``nox -s NAME`` for one session, ``nox -l`` for the list.

Every session installs a hash-pinned lock and then this checkout without dependencies, so that it runs the versions that
were checked in. ``nox -s lock`` writes the locks anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import nox

PYTHONS = ("3.12", "3.13")
ROOT = Path(__file__).parent
BUILD_TIME = "1735689600"  # 2025-01-01: a fixed time in the archives, so that two builds are the same bytes

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
# A contributor may lack a Python: nox then counts the session as skipped. CI may not.
nox.options.error_on_missing_interpreters = "CI" in os.environ
# Both Pythons and both ends of the supported versions, in two runs of the suite: minimum is on 3.12. The third,
# tests-3.12, is for who wants it; the documentation's code runs on 3.12 with the newest versions anyway.
nox.options.sessions = ["lint", "types", "build", "docs", "minimum", "tests-3.13"]


def install(session: nox.Session, lock: str) -> None:
    """Make the session's environment hold exactly a lock and this checkout."""
    sync(session, lock)
    session.install("--no-deps", "--editable", ".", "--build-constraints", "locks/build.txt")


def sync(session: nox.Session, lock: str) -> None:
    """Make the session's environment hold exactly a lock; what is there already is kept."""
    arguments = ("--require-hashes", "--build-constraints", "locks/build.txt", f"locks/{lock}.txt")
    session.run_install("uv", "pip", "sync", *arguments)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the whole suite with both engines; arguments go to pytest."""
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session(python="3.12")
def minimum(session: nox.Session) -> None:
    """Run the whole suite with the lowest versions that pyproject.toml allows."""
    install(session, "minimum")
    session.run("pytest", *session.posargs)


@nox.session(python="3.12")
def docs(session: nox.Session) -> None:
    """Run the Python blocks of README.md and docs/; the tests of the examples are in the suite."""
    install(session, "test")
    session.run("pytest", "README.md", "docs", *session.posargs)


@nox.session(python="3.12")
def lint(session: nox.Session) -> None:
    """Check lint, format, and that the locks belong to pyproject.toml; arguments go to ruff check."""
    sync(session, "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("python", "tools/locks.py", "--check")


@nox.session(python="3.12")
def types(session: nox.Session) -> None:
    """Check the types of the package and its tools, strictly."""
    install(session, "dev")
    session.run("mypy", *session.posargs)


@nox.session(python="3.12")
def build(session: nox.Session) -> None:
    """Build the archives twice, compare them, and run the wheel where nothing but its own requirements is installed."""
    sync(session, "core")
    folder = Path(session.create_tmp()).resolve()
    builds = [build_archives(session, folder / name) for name in ("first", "second")]
    if builds[0] != builds[1]:
        session.error(f"two builds of one tree differ: {builds[0]} and {builds[1]}")
    wheel = next((folder / "first").glob("*.whl"))
    session.install("--no-deps", str(wheel))
    with session.chdir(folder):  # away from src/, so that the wheel's own files are what runs
        session.run("python", "-I", str(ROOT / "tools" / "check_wheel.py"), str(wheel.resolve()))


def build_archives(session: nox.Session, folder: Path) -> dict[str, str]:
    """Build the sdist, and the wheel from it, with pinned build tools; return the sha256 of each archive."""
    constraints = ("--build-constraints", "locks/build.txt", "--require-hashes")
    session.run(
        *("uv", "build", "--quiet", "--clear", *constraints, "--out-dir", str(folder)),
        env={"SOURCE_DATE_EPOCH": BUILD_TIME},
    )
    archives = sorted((*folder.glob("*.whl"), *folder.glob("*.tar.gz")))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in archives}


@nox.session(venv_backend="none", default=False)
def lock(session: nox.Session) -> None:
    """Write the locks from pyproject.toml; ``-- --upgrade`` for newer versions, ``-- --check`` to compare only."""
    session.run(sys.executable, "tools/locks.py", *session.posargs, external=True)
