"""Sessions for contributors: ``nox`` runs all checks of CI, ``nox -s NAME`` one session, ``nox -l`` lists them.

Every session but ``fresh`` installs a hash-pinned lock and then this checkout without dependencies, so that it runs the
versions that were checked in. ``nox -s lock`` writes the locks anew. ``fresh`` installs what the registry has today.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

import nox
from nox.virtualenv import UV

PYTHONS = ("3.12", "3.13")
ROOT = Path(__file__).parent
RECORDS = ROOT / ".nox" / "matrix-records"
# Lock of each stack: the oldest and newest supported liquid-audio and torch, and both mixtures. openai-whisper has one
# supported version, 20250625, in all of them.
STACKS = {
    "oldest": "minimum",  # liquid-audio 1.2.0, torch 2.9.1
    "newest": "test",  # liquid-audio 1.3.0, torch 2.15
    "liquid-1.2-torch-2.15": "liquid-1.2-torch-2.15",
    "liquid-1.3-torch-2.9": "liquid-1.3-torch-2.9",
}
DEVICES = ("cpu", "mps-sim", "mps", "cuda")
# Tests of the packages that call third-party code, which other versions can break. The matrix covers mps-sim.
THIRD_PARTY_TESTS = tuple(
    f"tests/{path}"
    for path in (
        *("audio", "engines", "evaluation/metrics", "patches", "transcript", "vad", "weights"),
        *("engine", "evaluation/runs/test_bench.py", "test_device.py"),
    )
)
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs")
CI_DEVICES = ("cpu", "mps-sim")
BUILD_TIME = "1735689600"  # 2025-01-01: a fixed time in the archives, so that two builds are the same bytes

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
# nox skips a session if a contributor lacks its Python. In CI, a missing Python is an error.
nox.options.error_on_missing_interpreters = "CI" in os.environ
# Both Pythons, and the oldest and newest supported versions; minimum runs on 3.12. tests-3.12 is optional, because the
# session docs runs on 3.12 with the newest versions. matrix is last, because it prints the records of the others.
nox.options.sessions = ["lint", "types", "build", "fresh", "docs", "plugins", "minimum", "tests-3.13", "matrix"]


def install(session: nox.Session, lock: str) -> None:
    """Make the session's environment hold exactly a lock and this checkout."""
    sync(session, lock)
    session.install("--no-deps", "--editable", ".", "--build-constraints", "locks/build.txt")


def sync(session: nox.Session, lock: str) -> None:
    """Make the session's environment hold exactly a lock, keeping packages that are already installed."""
    arguments = ("--require-hashes", "--build-constraints", "locks/build.txt", f"locks/{lock}.txt")
    session.run_install("uv", "pip", "sync", *arguments)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the whole suite with all engines, then the matrix; arguments go to pytest, and leave the matrix out."""
    install(session, "test")
    ensure_browser(session)
    run_suite(session)
    if not session.posargs:
        run_matrix(session, "python", label=f"{session.python}-newest", devices=CI_DEVICES)


@nox.session(python="3.12", default=False)
def report(session: nox.Session) -> None:
    """Test the HTML report in Chromium if it is installed; arguments go to pytest."""
    install(session, "test")
    ensure_browser(session)
    session.run("pytest", "tests/evaluation/reports/html", *session.posargs)


@nox.session(python="3.12")
def minimum(session: nox.Session) -> None:
    """Run the tests that call third-party code, then the matrix, with the lowest versions of pyproject.toml."""
    install(session, "minimum")
    run_suite(session, "-m", "not slow", *THIRD_PARTY_TESTS)
    if not session.posargs:
        run_matrix(session, "python", label=f"{session.python}-oldest", devices=CI_DEVICES)


def run_suite(session: nox.Session, *paths: str, env: dict[str, str] | None = None, dist: str = "loadfile") -> None:
    """Run pytest with the session's arguments, or on *paths* in two processes, as most tests wait for a program."""
    if session.posargs:
        session.run("pytest", *session.posargs, env=env)
        return
    # one thread per process, without spinning, because two processes share two cores
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    session.run("pytest", "--numprocesses", "2", "--dist", dist, *paths, env=threads | (env or {}))


def ensure_browser(session: nox.Session) -> None:
    """Install Chromium for the tests of the HTML report in CI on Debian; elsewhere these tests skip."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    if "CI" in os.environ and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "--quiet", env=quiet, external=True)
        packages = ("chromium", "chromium-driver")
        session.run(
            "apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages, env=quiet, external=True
        )


def run_matrix(session: nox.Session, python: str, *, label: str, devices: tuple[str, ...], record: str = "") -> None:
    """Run every engine on *devices* and leave a record that the session matrix prints."""
    path = RECORDS / f"{record or label}.json"
    chosen = [argument for device in devices for argument in ("--device", device)]
    # two cells at a time: each uses one thread, mostly for imports and loading
    command = ("-m", "asrlab.evaluation.matrix", *chosen, "--jobs", "2", "--label", label, "--record", str(path))
    session.run(python, *command)


@nox.session(python="3.12")
def matrix(session: nox.Session) -> None:
    """Print the records of tests, minimum and the sessions matrix-* as one table."""
    records = sorted(map(str, RECORDS.glob("*.json")))
    if not records:
        session.skip(f"no records in {RECORDS.relative_to(ROOT)}; run: nox -s minimum tests-3.13")
    install(session, "core")
    session.run("python", "-m", "asrlab.evaluation.matrix", "--merge", *records)


def add_matrix_session(python: str, stack: str, device: str) -> None:
    """Add the session of one device, Python and stack; sessions of the same Python and stack share an environment."""

    def run_device(session: nox.Session) -> None:
        if reason := unavailable_reason(device):
            session.skip(reason)
        environment = ROOT / ".nox" / f"matrix-{python}-{stack}"
        interpreter = environment / "bin" / "python"
        # nox would create one environment of 5 GB per session
        if not interpreter.exists():
            session.run(UV, "venv", "--quiet", "--python", python, str(environment))
        builds = ("--python", str(environment), "--build-constraints", "locks/build.txt")
        session.run(UV, "pip", "sync", *builds, "--require-hashes", f"locks/{STACKS[stack]}.txt")
        session.run(UV, "pip", "install", "--quiet", *builds, "--no-deps", "--editable", ".")
        label = f"{python}-{stack}"
        run_matrix(session, str(interpreter), label=label, devices=(device,), record=f"{label}-{device}")

    run_device.__doc__ = f"Run the matrix on {device}, Python {python}, {stack}."
    name = f"matrix-{python}-{stack}-{device}"
    nox.session(name=name, venv_backend="none", tags=[device], default=False)(run_device)


def unavailable_reason(device: str) -> str:
    """Return the reason why this machine cannot have *device*, or an empty string."""
    if device == "mps" and (sys.platform, platform.machine()) != ("darwin", "arm64"):
        return f"mps needs a Mac with Apple silicon; this is {platform.system()} on {platform.machine()}"
    if device == "mps-sim" and sys.platform == "darwin":
        return "mps-sim needs Linux: torch for macOS is built with MPS, which cannot be simulated"
    if device == "cuda" and not (shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists()):
        return "cuda needs an NVIDIA GPU: neither nvidia-smi nor /dev/nvidiactl exists"
    return ""


for _python in PYTHONS:
    for _stack in STACKS:
        for _device in DEVICES:
            add_matrix_session(_python, _stack, _device)


@nox.session(python="3.12")
def plugins(session: nox.Session) -> None:
    """Install the packages under examples/plugins/ as wheels, and test them; arguments go to pytest.

    asrlab is installed as a wheel, and the tests run in copies without src/, so that this checkout is not used.
    """
    sync(session, "plugins")
    folder = Path(session.create_tmp()).resolve()
    constraints = ("--build-constraints", "locks/build.txt", "--require-hashes")
    session.run("uv", "build", "--quiet", "--clear", "--wheel", *constraints, "--out-dir", str(folder / "asrlab"))
    packages = sorted((ROOT / "examples" / "plugins").glob("asrlab-*"))
    # --reinstall: uv considers a folder unchanged as long as its pyproject.toml is
    wheels = (*(folder / "asrlab").glob("*.whl"), *packages)
    session.install("--no-deps", "--reinstall", *map(str, wheels), "--build-constraints", "locks/build.txt")
    session.run("uv", "pip", "check")
    for package in packages:
        copy = folder / package.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("src", "__pycache__", ".pytest_cache"))
        with session.chdir(copy):
            run_suite(session, dist="loadscope")


@nox.session(python="3.12")
def docs(session: nox.Session) -> None:
    """Build the pages into build/html, verify them against the records, and run their code; arguments go to pytest."""
    install(session, "dev")
    ensure_browser(session)
    site = ROOT / "build" / "html"
    shutil.rmtree(site, ignore_errors=True)  # an earlier build leaves pages with an old table of contents
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-q", "-b", "html", "docs", str(site))
    session.run("asrlab", "verify", *DOCUMENTS)
    run_suite(session, *DOCUMENTS, "tests/docs", env={"ASRLAB_TEST_SITE": str(site)})


@nox.session(python="3.12")
def lint(session: nox.Session) -> None:
    """Check lint, format, prose, and that the locks match pyproject.toml; arguments go to ruff check."""
    sync(session, "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("python", "tools/prose.py")
    session.run("python", "tools/locks.py", "--check")


@nox.session(python="3.12")
def types(session: nox.Session) -> None:
    """Check the types of the package and its tools, strictly."""
    install(session, "dev")
    session.run("mypy", *session.posargs)


@nox.session(python="3.12")
def build(session: nox.Session) -> None:
    """Build the archives twice, compare them, and run the wheel with only its own requirements installed."""
    sync(session, "core")
    folder = Path(session.create_tmp()).resolve()
    builds = [build_archives(session, folder / name) for name in ("first", "second")]
    if builds[0] != builds[1]:
        session.error(f"two builds of one tree differ: {builds[0]} and {builds[1]}")
    wheel = next((folder / "first").glob("*.whl"))
    session.install("--no-deps", str(wheel))
    with session.chdir(folder):  # outside of src/, so that the wheel's own files run
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


@nox.session(venv_backend="none")
def fresh(session: nox.Session) -> None:
    """Install each extra from the newest packages on each Python, and transcribe; arguments select extras."""
    session.run(sys.executable, "tools/fresh.py", *session.posargs, external=True)


@nox.session(venv_backend="none", default=False)
def lock(session: nox.Session) -> None:
    """Write the locks from pyproject.toml; ``-- --upgrade`` takes newer versions, ``-- --check`` only compares."""
    session.run(sys.executable, "tools/locks.py", *session.posargs, external=True)
