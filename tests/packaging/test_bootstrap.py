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
    """A checkout with just what the bootstrap reads, so that no test touches the real one's environments."""
    for name in ("tools/bootstrap.py", "locks/bootstrap.txt", "locks/build.txt", "locks/dev.txt", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def bootstrap(checkout: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the bootstrap of a checkout, with only *path* as PATH and no registry to reach."""
    env = {**os.environ, "PATH": str(path or checkout), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    env.pop("PIP_FIND_LINKS", None)
    env["PIP_CONFIG_FILE"] = os.devnull
    command = [sys.executable, "-S", str(checkout / "tools" / "bootstrap.py"), *arguments]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False, timeout=60)


def script(path: Path, body: str) -> None:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("arguments", [(), ("deploy",)])
def test_an_unknown_job_shows_the_usage_and_exits_2(checkout: Path, arguments: tuple[str, ...]) -> None:
    """No job, or one that does not exist, is a usage error that lists the jobs."""
    result = bootstrap(checkout, *arguments)
    assert result.returncode == 2
    assert "bootstrap.py demo" in result.stderr
    assert not (checkout / ".venv").exists()


def test_without_uv_and_without_a_registry_the_message_says_what_to_do(checkout: Path) -> None:
    """Where neither uv nor a way to get it is there, the last line says how to go on, without a traceback."""
    result = bootstrap(checkout, "test")
    assert result.returncode == 1
    assert "run this command again" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("answer", ["exit 127", "echo 'uv 0.4.30'"], ids=["does not run", "too old"])
def test_an_unusable_uv_on_path_is_passed_over(checkout: Path, answer: str) -> None:
    """A version manager's shim with nothing behind it, or an old uv, is asked for its version and then left alone."""
    script(checkout / "bin" / "uv", f'echo "$@" >> {checkout}/calls\n{answer}')
    assert bootstrap(checkout, "test", path=checkout / "bin").returncode == 1
    assert (checkout / "calls").read_text(encoding="utf-8") == "--version\n"


FAKE_PYTHON = """#!/bin/sh
[ "$1" = --version ] && echo Python && exit
echo ran "$@"
exit 7
"""


def fake_uv(checkout: Path, *, sync_code: int = 0) -> Path:
    """Put a uv on PATH that notes its calls and makes an environment whose Python shows its arguments and exits 7."""
    body = f"""PATH=/usr/bin:/bin
echo "$@" >> calls
case "$1 $2" in
  "--version ") echo "uv 99.0.0" ;;
  "python find") echo /usr/bin/python3.12 ;;
  "venv "*) rm -rf .venv; mkdir -p .venv/bin; cp -p fake_python .venv/bin/python ;;
  "pip sync") exit {sync_code} ;;
esac"""
    script(checkout / "bin" / "uv", body)
    (checkout / "fake_python").write_text(FAKE_PYTHON, encoding="utf-8")
    (checkout / "fake_python").chmod(0o755)
    return checkout / "bin"


def test_the_jobs_arguments_and_exit_code_are_passed_on(checkout: Path) -> None:
    """What follows the job reaches nox, and nox's exit code is the bootstrap's."""
    result = bootstrap(checkout, "test", "--", "-s", "lint", path=fake_uv(checkout))
    assert result.stdout == "ran -m nox -s lint\n"
    assert result.returncode == 7


def test_a_second_run_installs_nothing(checkout: Path) -> None:
    """An environment that is complete and whose locks are unchanged is used as it is."""
    path = fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    (checkout / "calls").unlink()
    assert bootstrap(checkout, "test", path=path).returncode == 7
    assert not (checkout / "calls").exists()


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    """A lock that changed since is synchronised into the environment that is there."""
    path = fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    (checkout / "calls").unlink()
    (checkout / "locks" / "dev.txt").write_text("# other\n", encoding="utf-8")
    bootstrap(checkout, "test", path=path)
    calls = (checkout / "calls").read_text(encoding="utf-8")
    assert "pip sync" in calls
    assert "venv --quiet" not in calls


def test_a_broken_set_up_starts_over(checkout: Path) -> None:
    """After a failed installation the job does not run, and the next run makes the environment anew."""
    failed = bootstrap(checkout, "test", path=fake_uv(checkout, sync_code=2))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "installing locks/dev.txt failed" in failed.stderr
    (checkout / "calls").unlink()
    assert bootstrap(checkout, "test", path=fake_uv(checkout)).returncode == 7
    assert "venv --quiet --clear" in (checkout / "calls").read_text(encoding="utf-8")


def test_an_environment_moved_from_elsewhere_is_made_anew(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A moved checkout's scripts point to the old place, so its environment is not reused."""
    path = fake_uv(checkout)
    bootstrap(checkout, "test", path=path)
    moved = tmp_path_factory.mktemp("elsewhere") / "asrlab"
    shutil.copytree(checkout, moved)
    (moved / "calls").unlink()
    bootstrap(moved, "test", path=moved / "bin")
    assert "venv --quiet --clear" in (moved / "calls").read_text(encoding="utf-8")


def test_an_update_that_failed_starts_over(checkout: Path) -> None:
    """An environment that was complete once is not trusted again after an update broke off half way."""
    bootstrap(checkout, "test", path=fake_uv(checkout))
    lock = checkout / "locks" / "dev.txt"
    before = lock.read_bytes()
    lock.write_text("# other\n", encoding="utf-8")
    assert bootstrap(checkout, "test", path=fake_uv(checkout, sync_code=2)).returncode == 1
    lock.write_bytes(before)
    (checkout / "calls").unlink()
    bootstrap(checkout, "test", path=fake_uv(checkout))
    assert "venv --quiet --clear" in (checkout / "calls").read_text(encoding="utf-8")
