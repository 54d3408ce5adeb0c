"""The drop-in replacement of the ``whisper`` command, over an engine that needs no weights."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import pytest

from asrlab.compat.whisper.__main__ import build_parser, main


def test_all_formats_are_written_by_default(tmp_path: Path, clips: tuple[Path, ...]):
    """The command writes files in all five formats by default, named after the audio."""
    assert main([str(clips[1]), "--model", "echo/echo", "-o", str(tmp_path), "--verbose", "None"]) == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".srt", ".tsv", ".txt", ".vtt"]
    assert (tmp_path / f"{clips[1].stem}.txt").read_text() == "loud\nloud\nloud\n"
    assert json.loads((tmp_path / f"{clips[1].stem}.json").read_text())["language"] == "en"


def test_a_bad_file_does_not_end_the_rest(tmp_path: Path, clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """A bad file is reported on standard error, and the exit code is 1."""
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    assert main([str(bad), str(clips[1]), "--model", "echo/echo", "-o", str(tmp_path), "-f", "txt"]) == 1
    output = capsys.readouterr()
    assert "bad.wav: AudioError" in output.err
    assert "[00:00.000 --> 00:01.000]  loud" in output.out
    assert (tmp_path / f"{clips[1].stem}.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "bsae"], 3, "bsae"),
        (["--model", "echo/echo", "--device", "cuda"], 3, "cuda"),
        (["--model", "echo/echo", "--clip_timestamps", "0,1"], 2, "clip_timestamps='0,1'"),
        (["--model", "echo/echo", "--beam_size", "5"], 2, "beam_size=5"),
    ],
)
def test_exit_codes_name_the_error(
    tmp_path: Path,
    clips: tuple[Path, ...],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
):
    """The exit code is 3 for an unknown model or device, and 2 for an unsupported flag that was given."""
    assert main([str(clips[1]), *arguments, "-o", str(tmp_path)]) == code
    assert message in capsys.readouterr().err


def test_subtitle_flags_require_word_timestamps(clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """A flag for subtitles without ``--word_timestamps True`` is a usage error, as in upstream's command."""
    with pytest.raises(SystemExit) as caught:
        main([str(clips[1]), "--model", "echo/echo", "--max_line_width", "20"])
    assert caught.value.code == 2
    assert "--max_line_width requires --word_timestamps True" in capsys.readouterr().err


def test_flags_and_defaults_are_upstreams(monkeypatch: pytest.MonkeyPatch):
    """The flags and defaults are those of the installed openai-whisper, except for the device."""
    transcribe = pytest.importorskip("whisper.transcribe", reason="openai-whisper is not installed")
    monkeypatch.setattr(sys, "argv", ["whisper", "--help"])
    monkeypatch.setenv("COLUMNS", "10000")
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        transcribe.cli()
    theirs, ours = _parse_flags(printed.getvalue()), _parse_flags(build_parser().format_help())
    assert sorted(theirs) == sorted(ours)
    assert {name for name in theirs if theirs[name] != ours[name]} <= {"device", "temperature"}
    assert (theirs["temperature"], ours["temperature"]) == ("0", "0.0")


def _parse_flags(text: str) -> dict[str, str]:
    """Return the name and the default of each flag in a help text."""
    flags = re.findall(r"^  --(\w+)(?:(?!^  --).)*?\(default: (.*?)\)$", text, re.MULTILINE | re.DOTALL)
    assert len(flags) > 20
    return dict(flags)
