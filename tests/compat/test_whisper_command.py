"""The look-alike of the ``whisper`` command, over an engine that needs no weights."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import pytest

from asrlab.compat.whisper.command import main, parser_of


def test_files_are_written_beside_each_other(tmp_path: Path, clips: tuple[Path, ...]):
    """All five by default, named after the audio."""
    assert main([str(clips[1]), "--model", "echo/echo", "-o", str(tmp_path), "--verbose", "None"]) == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".srt", ".tsv", ".txt", ".vtt"]
    assert (tmp_path / f"{clips[1].stem}.txt").read_text() == "loud\nloud\nloud\n"
    assert json.loads((tmp_path / f"{clips[1].stem}.json").read_text())["language"] == "en"


def test_a_bad_file_does_not_end_the_rest(tmp_path: Path, clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """It is told on standard error, and the code says that some failed."""
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    assert main([str(bad), str(clips[1]), "--model", "echo/echo", "-o", str(tmp_path), "-f", "txt"]) == 1
    shown = capsys.readouterr()
    assert "bad.wav: AudioError" in shown.err
    assert "[00:00.000 --> 00:01.000]  loud" in shown.out
    assert (tmp_path / f"{clips[1].stem}.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--model", "bsae"], 3, "bsae"),
        (["--model", "echo/echo", "--device", "cuda"], 3, "cuda"),
        (["--model", "echo/echo", "--clip_timestamps", "0,1"], 2, "clip_timestamps='0,1'"),
        (["--model", "echo/echo", "--beam_size", "5"], 2, "beam_size=5"),
    ],
)
def test_codes_mean_something(
    tmp_path: Path,
    clips: tuple[Path, ...],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
):
    """3 for what is not there, 2 for what cannot be done; what was given counts, defaults do not."""
    assert main([str(clips[1]), *arguments, "-o", str(tmp_path)]) == code
    assert told in capsys.readouterr().err


def test_subtitle_flags_want_words(clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """As upstream."""
    with pytest.raises(SystemExit) as caught:
        main([str(clips[1]), "--model", "echo/echo", "--max_line_width", "20"])
    assert caught.value.code == 2
    assert "--max_line_width requires --word_timestamps True" in capsys.readouterr().err


def test_it_has_upstreams_flags_and_defaults(monkeypatch: pytest.MonkeyPatch):
    """Each flag of the installed openai-whisper, and no other, with its default; but for the device."""
    transcribe = pytest.importorskip("whisper.transcribe", reason="openai-whisper is not installed")
    monkeypatch.setattr(sys, "argv", ["whisper", "--help"])
    monkeypatch.setenv("COLUMNS", "10000")
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        transcribe.cli()
    theirs, ours = _flags(printed.getvalue()), _flags(parser_of().format_help())
    assert sorted(theirs) == sorted(ours)
    assert {name for name in theirs if theirs[name] != ours[name]} <= {"device", "temperature"}
    assert (theirs["temperature"], ours["temperature"]) == ("0", "0.0")


def _flags(text: str) -> dict[str, str]:
    """Name and default of each."""
    found = re.findall(r"^  --(\w+)(?:(?!^  --).)*?\(default: (.*?)\)$", text, re.MULTILINE | re.DOTALL)
    assert len(found) > 20
    return dict(found)
