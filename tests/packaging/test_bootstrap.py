from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the files that the bootstrap reads, so that the real environments stay unchanged."""
    for name in ("tools/bootstrap.py", "locks/bootstrap.txt", "locks/build.txt", "locks/dev.txt", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def bootstrap(checkout: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the bootstrap of a checkout with *path* as PATH and without a package registry."""
    env = {**os.environ, "PATH": str(path or checkout), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    env.pop("PIP_FIND_LINKS", None)
    env["PIP_CONFIG_FILE"] = os.devnull
    command = [sys.executable, "-S", str(checkout / "tools" / "bootstrap.py"), *arguments]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False, timeout=60)


def write_script(path: Path, body: str) -> None:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("arguments", [(), ("deploy",)])
def test_an_unknown_job_shows_the_usage_and_exits_2(checkout: Path, arguments: tuple[str, ...]) -> None:
    """A missing or unknown job is a usage error that lists the jobs."""
    result = bootstrap(checkout, *arguments)
    assert result.returncode == 2
    assert "bootstrap.py demo" in result.stderr
    assert not (checkout / ".venv").exists()


def test_without_uv_and_registry_the_error_has_the_next_step(checkout: Path) -> None:
    """If uv cannot be obtained, the last line has the next step and no traceback is printed."""
    result = bootstrap(checkout, "test")
    assert result.returncode == 1
    assert "run this command again" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("uv_body", ["exit 127", "echo 'uv 0.4.30'"], ids=["does not run", "too old"])
def test_an_unusable_uv_on_path_is_ignored(checkout: Path, uv_body: str) -> None:
    """A uv that is too old or does not run is asked for its version and not used."""
    write_script(checkout / "bin" / "uv", f'echo "$@" >> {checkout}/calls\n{uv_body}')
    assert bootstrap(checkout, "test", path=checkout / "bin").returncode == 1
    assert (checkout / "calls").read_text(encoding="utf-8") == "--version\n"


FAKE_PYTHON = """#!/bin/sh
[ "$1" = --version ] && echo Python && exit
echo args "$@"
exit 7
"""


def write_fake_uv(checkout: Path, *, sync_code: int = 0) -> Path:
    """Write a fake uv that logs its calls and creates an environment with a fake Python."""
    body = f"""PATH=/usr/bin:/bin
echo "$@" >> calls
case "$1 $2" in
  "--version ") echo "uv 99.0.0" ;;
  "python find") echo /usr/bin/python3.12 ;;
  "venv "*) rm -rf .venv; mkdir -p .venv/bin; cp -p fake_python .venv/bin/python ;;
  "pip sync") exit {sync_code} ;;
esac"""
    write_script(checkout / "bin" / "uv", body)
    (checkout / "fake_python").write_text(FAKE_PYTHON, encoding="utf-8")
    (checkout / "fake_python").chmod(0o755)
    return checkout / "bin"


def test_arguments_and_exit_code_are_passed_through(checkout: Path) -> None:
    """The arguments after the job are passed to nox, and the exit code of nox is returned."""
    result = bootstrap(checkout, "test", "--", "-s", "lint", path=write_fake_uv(checkout))
    assert result.stdout == "args -m nox -s lint\n"
    assert result.returncode == 7


def test_a_second_run_installs_no_packages(checkout: Path) -> None:
    """A complete environment with unchanged locks is used without an installation."""
    path = write_fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    (checkout / "calls").unlink()
    assert bootstrap(checkout, "test", path=path).returncode == 7
    assert not (checkout / "calls").exists()


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    """A changed lock is installed into the existing environment."""
    path = write_fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    (checkout / "calls").unlink()
    (checkout / "locks" / "dev.txt").write_text("# other\n", encoding="utf-8")
    bootstrap(checkout, "test", path=path)
    calls = (checkout / "calls").read_text(encoding="utf-8")
    assert "pip sync" in calls
    assert "venv --quiet" not in calls


def test_a_failed_installation_starts_again(checkout: Path) -> None:
    """After a failed installation the job does not run, and the next run creates a new environment."""
    failed = bootstrap(checkout, "test", path=write_fake_uv(checkout, sync_code=2))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "installing locks/dev.txt failed" in failed.stderr
    (checkout / "calls").unlink()
    assert bootstrap(checkout, "test", path=write_fake_uv(checkout)).returncode == 7
    assert "venv --quiet --clear" in (checkout / "calls").read_text(encoding="utf-8")


def test_a_moved_environment_is_created_again(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The environment of a moved checkout is not reused, because its scripts point to the old path."""
    path = write_fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    moved_checkout = tmp_path_factory.mktemp("elsewhere") / "asrlab"
    shutil.copytree(checkout, moved_checkout)
    (moved_checkout / "calls").unlink()
    bootstrap(moved_checkout, "test", path=moved_checkout / "bin")
    assert "venv --quiet --clear" in (moved_checkout / "calls").read_text(encoding="utf-8")


def test_a_failed_update_starts_again(checkout: Path) -> None:
    """After a failed update the next run creates a new environment, even if the lock is restored."""
    bootstrap(checkout, "test", path=write_fake_uv(checkout))
    lock = checkout / "locks" / "dev.txt"
    before = lock.read_bytes()
    lock.write_text("# other\n", encoding="utf-8")
    assert bootstrap(checkout, "test", path=write_fake_uv(checkout, sync_code=2)).returncode == 1
    lock.write_bytes(before)
    (checkout / "calls").unlink()
    bootstrap(checkout, "test", path=write_fake_uv(checkout))
    assert "venv --quiet --clear" in (checkout / "calls").read_text(encoding="utf-8")
