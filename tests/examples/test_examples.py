from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder, away from the examples and from the audio."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(name: str, *arguments: str | Path, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run an example as a user does, away from the network."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"ASRLAB_CACHE": str(cache), "ASRLAB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(example: Path):
    """Each example is under 40 lines and says in its docstring how to run it."""
    lines = example.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert any(f"python examples/{example.name}" in line for line in lines[:5])


def test_a_file_is_transcribed_with_times_and_facts(work: Path, weights_cache: Path):
    """Without arguments: the first clip's words with their times, the device, and the checksum of the weights."""
    done = run("transcribe_file.py", cwd=work, cache=weights_cache)
    assert done.returncode == 0, done.stderr
    segment, *facts = done.stdout.splitlines()
    start, end, text = re.fullmatch(r" *([\d.]+) +([\d.]+)  (.+)", segment).groups()  # type: ignore[union-attr]
    assert 0 <= float(start) < float(end) <= 7.1
    assert "leisure to consider how much there might be prudently in his power" in text
    assert facts[0] == "language  en"
    assert facts[1].startswith("audio     7.10 s, transcribed in ")
    assert facts[2].startswith("device    c")
    assert facts[3] == f"weights   faster-whisper/base, sha256 {BASE_SHA256}"


def test_a_missing_file_is_a_line_not_a_traceback(work: Path, weights_cache: Path):
    """A file that is not there ends the first example with code 1 and one line that names it."""
    done = run("transcribe_file.py", "gone.wav", cwd=work, cache=weights_cache)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "gone.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_models_are_compared_with_counts(work: Path, weights_cache: Path):
    """Two models have few errors in the smoke set's 70 words, and five clips of one speaker are no proof."""
    models = ("faster-whisper/base", "faster-whisper/tiny.en")
    done = run("compare_models.py", "--models", *models, cwd=work, cache=weights_cache)
    assert done.returncode == 0, done.stderr
    pattern = r"(\S+): WER [\d.]+% \(([0-4]) errors in 70 words, 0 utterances failed\), RTFx ([\d.]+)"
    lines = done.stdout.splitlines()
    found = [re.fullmatch(pattern, line) for line in lines[:2]]
    assert [match and match[1] for match in found] == list(models)
    assert ["too few to tell" in line for line in lines[2:]] == [True, True]
    assert all(match and float(match[3]) > 0 for match in found)


def test_a_mistyped_model_is_a_line_not_a_traceback(work: Path, weights_cache: Path):
    """A model that does not exist ends the second example before anything runs, naming what is near."""
    models = ("--models", "faster-whisper/base", "faster-whisper/bsae")
    done = run("compare_models.py", *models, cwd=work, cache=weights_cache)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "faster-whisper/base" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_is_subtitled_past_a_bad_file(work: Path, clips: tuple[Path, ...], weights_cache: Path):
    """Two clips, one in a subfolder, get their subtitles; a broken one and one of the same name are reported."""
    (work / "talks" / "more").mkdir(parents=True)
    shutil.copy(clips[1], work / "talks" / "a.flac")
    shutil.copy(clips[1], work / "talks" / "a.ogg")  # known by its content; would overwrite the other's subtitles
    (work / "talks" / "b.mp3").write_bytes(b"<html>not audio</html>")
    shutil.copy(clips[4], work / "talks" / "more" / "c.flac")
    done = run("subtitle_folder.py", "talks", "-o", "talks", cwd=work, cache=weights_cache)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["talks/a.srt", "talks/more/c.srt", "2 of 4 files have subtitles"]
    assert [word in done.stderr for word in ("a.ogg", "b.mp3", "Traceback")] == [True, True, False]
    assert not (work / "talks" / "b.srt").exists()
    first, times, text, *_ = (work / "talks" / "a.srt").read_text(encoding="utf-8").splitlines()
    assert (first, text.lower().replace("-", " ").rstrip(".")) == ("1", "he was not an ill disposed young man")
    assert re.fullmatch(r"00:00:0\d,\d{3} --> 00:00:0[12],\d{3}", times)


def test_the_embedded_clips_are_subtitled_without_arguments(work: Path, weights_cache: Path):
    """Without arguments the third example writes five files into ``subtitles`` and ends with code 0."""
    done = run("subtitle_folder.py", cwd=work, cache=weights_cache)
    assert done.returncode == 0, done.stderr
    assert len(list((work / "subtitles").glob("*.srt"))) == 5
    assert done.stdout.endswith("5 of 5 files have subtitles\n")
