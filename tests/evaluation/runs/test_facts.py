from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrlab.audio import Audio, AudioFile
from asrlab.environment import engine_variables, git_state, load_average, utc_timestamp
from asrlab.evaluation.runs.executor import known_timeout, utterance_timeout
from asrlab.evaluation.runs.manifest import GitState


def test_only_listed_variables_are_recorded(monkeypatch: pytest.MonkeyPatch):
    """A token is not recorded, whatever its name."""
    secrets = (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "TORCH_TOKEN",
        "ASRLAB_TOKEN",
        "OMP_SECRET",
        "AWS_SECRET_ACCESS_KEY",
    )
    for name in secrets:
        monkeypatch.setenv(name, "hf_secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("ASRLAB_PATCHES", "none")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    recorded = dict(engine_variables())
    assert recorded["OMP_NUM_THREADS"] == "3"
    assert recorded["ASRLAB_PATCHES"] == "none"
    assert "MKL_NUM_THREADS" not in recorded
    assert not {*secrets} & {*recorded}
    assert "hf_secret" not in recorded.values()
    assert list(recorded) == sorted(recorded)


@pytest.mark.parametrize(
    ("home", "value", "recorded"),
    [
        ("/home/ann", "/home/ann/cache", "~/cache"),
        ("/home/ann", "/home/ann", "~"),
        ("/home/ann", "/home/anna/cache", "/home/anna/cache"),
        ("/home/ann", "/opt:/home/ann:/srv/home/ann", "/opt:~:/srv~"),
        ("/", "/cache", "/cache"),
    ],
)
def test_the_home_directory_is_not_recorded(monkeypatch: pytest.MonkeyPatch, home: str, value: str, recorded: str):
    """A record goes to other people, and a home directory often has a person's name."""
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("OMP_PLACES", value)
    assert dict(engine_variables())["OMP_PLACES"] == recorded


def test_the_load_is_three_numbers():
    """Linux and macOS report three load averages."""
    load = load_average()
    assert load is not None
    assert len(load) == 3
    assert all(each >= 0 for each in load)


def test_the_time_is_in_utc():
    """The timestamp has seconds and the zone."""
    recorded = datetime.fromisoformat(utc_timestamp())
    assert recorded.tzinfo == UTC
    assert abs((datetime.now(UTC) - recorded).total_seconds()) < 5


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs git in a new repository without user settings."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def run(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", *who, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init")
    (tmp_path / "file").write_text("one")
    run("add", "file")
    return run


def test_a_repository_has_a_commit_and_a_state(git: Callable[..., str], tmp_path: Path):
    """Untracked files change nothing; a folder within the repository has the same state."""
    assert git_state(tmp_path) is None  # nothing was ever committed
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "untracked").write_text("x")
    assert git_state(tmp_path / "below") == GitState(commit=commit, changed=False)
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path) == GitState(commit=commit, changed=True)
    git("add", "file")
    assert git_state(tmp_path) == GitState(commit=commit, changed=True)


def test_a_hooks_variables_do_not_count(git: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a hook git names its own repository, which need not be the folder's."""
    git("commit", "-m", "first")
    expected = git_state(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert git_state(tmp_path) == expected
    assert expected is not None


def test_git_is_only_read(git: Callable[..., str], tmp_path: Path):
    """The index is not refreshed, and no program of the repository's settings runs."""
    git("commit", "-m", "first")
    git("config", "core.fsmonitor", f"touch {tmp_path}/ran #")
    os.utime(tmp_path / "file", (1, 1))
    index = (tmp_path / ".git" / "index").read_bytes()
    assert git_state(tmp_path) is not None
    assert (tmp_path / ".git" / "index").read_bytes() == index
    assert not (tmp_path / "ran").exists()


def test_without_a_repository_or_git_there_is_no_commit(
    git: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A missing folder, a plain folder, or no git: nothing is raised."""
    git("commit", "-m", "first")
    assert git_state(tmp_path / "missing") is None
    assert git_state(tmp_path / ".git") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_a_git_that_fails_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Any program with the name of git may be on the path."""
    (tmp_path / "git").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_a_time_limit_follows_the_declared_duration(clips: tuple[Path, ...], tmp_path: Path):
    """The limit is sixty times the duration, at least that of 5 s; for a part of a file, the part's duration counts."""
    assert utterance_timeout(clips[0]) == pytest.approx(426.0)
    assert utterance_timeout(str(clips[0])) == pytest.approx(426.0)
    assert utterance_timeout(clips[0].read_bytes()) == pytest.approx(426.0)
    assert utterance_timeout(clips[1]) == 300.0
    assert utterance_timeout(AudioFile(path=clips[0], offset=1.0)) == pytest.approx(366.0)
    assert utterance_timeout(AudioFile(path="missing", offset=1.0, duration=10.0)) == 600.0
    assert utterance_timeout(Audio(samples=np.zeros(8000 * 20), sample_rate=8000)) == 1200.0


def test_a_time_limit_may_be_known_without_opening_a_file(clips: tuple[Path, ...]):
    """A given limit applies to any audio; parts and arrays have a duration; no file is opened."""
    assert known_timeout(clips[0], 2.5) == 2.5
    assert known_timeout("missing", 2.5) == 2.5
    assert known_timeout(AudioFile(path="missing", duration=10.0), None) == 600.0
    assert known_timeout(Audio(samples=np.zeros(8000 * 20), sample_rate=8000), None) == 1200.0
    unopened: list[Any] = [clips[0], str(clips[0]), clips[0].read_bytes(), AudioFile(path=clips[0], offset=1.0)]
    assert [known_timeout(audio, None) for audio in unopened] == [None] * 4


def test_an_unknown_duration_has_an_hour(tmp_path: Path):
    """Nothing is raised, a pipe does not block, and a false header gives at most a week."""
    os.mkfifo(tmp_path / "pipe")
    unknown: list[Any] = ["missing", b"no audio", tmp_path, tmp_path / "pipe", io.BytesIO(), np.zeros(3), object()]
    assert {utterance_timeout(audio) for audio in unknown} == {3600.0}
    assert utterance_timeout(AudioFile(path="x", duration=1e12)) == 7 * 86_400
