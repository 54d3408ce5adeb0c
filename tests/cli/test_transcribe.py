"""Tests of ``asrlab transcribe``: standard output, folders, and several formats and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import asrlab


@pytest.fixture
def speech(tmp_path: Path, clips: tuple[Path, ...]) -> Path:
    """Return a folder with two clips under short names, ``one.flac`` (3 s) and ``two.flac`` (4 s)."""
    for name, clip in (("one", clips[1]), ("two", clips[4])):
        (tmp_path / f"{name}.flac").write_bytes(clip.read_bytes())
    return tmp_path


def test_one_file_prints_only_its_text(asrlab_cli: Any, speech: Path):
    """Standard output has only the text, and standard error is empty."""
    result = asrlab_cli("transcribe", "one.flac", "-m", "echo", cwd=speech)
    assert (result.code, result.out, result.err) == (0, "loud loud loud\n", "")


def test_several_files_print_their_names(asrlab_cli: Any, speech: Path):
    """With more than one file, each text follows the name of its file."""
    result = asrlab_cli("transcribe", "two.flac", "one.flac", "-m", "echo", cwd=speech)
    assert result.out == "two.flac:\nloud loud loud quiet\none.flac:\nloud loud loud\n"


def test_json_has_a_transcript_for_each_file(asrlab_cli: Any, speech: Path):
    """``Transcript.from_json`` reads the transcript of each file."""
    import json

    result = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "--word-timestamps", "--json", cwd=speech)
    first, second = result.json["files"]
    assert (first["file"], second["file"]) == ("one.flac", "two.flac")
    transcript = asrlab.Transcript.from_json(json.dumps(second["transcript"]))
    assert transcript.text == "loud loud loud quiet"
    assert [word.text for word in transcript.words or ()] == ["loud", "loud", "loud", "quiet"]
    assert transcript.device.requested == "auto"


def test_a_dash_reads_standard_input(asrlab_cli: Any, speech: Path):
    """``-`` reads the audio from a pipe, and -o names the output file stdin."""
    audio = (speech / "one.flac").read_bytes()
    assert asrlab_cli("transcribe", "-", "-m", "echo", stdin=audio).out == "loud loud loud\n"
    written = asrlab_cli("transcribe", "-", "-m", "echo", "-o", "out", stdin=audio, cwd=speech)
    assert (written.code, written.err) == (0, "<stdin> -> out/stdin.txt\n")


def test_bad_standard_input_is_named(asrlab_cli: Any):
    """An empty pipe is refused, and the error names it <stdin>."""
    result = asrlab_cli("transcribe", "-", "-m", "echo")
    assert result.code == 4
    assert "'<stdin>' is empty" in result.err


def test_a_folder_gets_a_file_for_each_input_and_format(asrlab_cli: Any, speech: Path):
    """-o with several -f writes every format of every file and prints the paths on standard error only."""
    formats = ("-f", "txt", "-f", "srt", "-f", "vtt", "-f", "tsv", "-f", "json")
    result = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "-o", "new/out", *formats, cwd=speech)
    written = sorted(path.name for path in (speech / "new/out").iterdir())
    assert (result.code, result.out) == (0, "")
    assert written == sorted(f"{name}.{file_format}" for name in ("one", "two") for file_format in formats[1::2])
    assert (speech / "new/out/one.txt").read_text() == "loud loud loud\n"
    assert "00:00:00,000 --> 00:00:01,000\nloud\n" in (speech / "new/out/one.srt").read_text()
    assert "one.flac -> new/out/one.srt\n" in result.err


def test_an_output_with_the_ending_of_a_format_is_one_file(asrlab_cli: Any, speech: Path):
    """``-o one.srt`` writes that file in the format of its ending, and is refused for several files or formats."""
    result = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "one.SRT", cwd=speech)
    assert (result.code, result.out, result.err) == (0, "", "one.flac -> one.SRT\n")
    assert "00:00:00,000 --> 00:00:01,000\nloud\n" in (speech / "one.SRT").read_text()
    for arguments in (("one.flac", "two.flac"), ("one.flac", "-f", "vtt")):
        result = asrlab_cli("transcribe", *arguments, "-m", "echo", "-o", "two.srt", cwd=speech)
        assert result.code == 2
        assert "-o two.srt names one file in the format srt; with several FILEs or formats, name a folder" in result.err
    assert not (speech / "two.srt").exists()


def test_the_audio_files_in_a_folder_are_transcribed(asrlab_cli: Any, speech: Path):
    """A folder stands for its audio files in order, and other files in it are left out."""
    (speech / "notes.txt").write_text("no audio")
    result = asrlab_cli("transcribe", ".", "-m", "echo", cwd=speech)
    assert (result.code, result.out) == (0, "one.flac:\nloud loud loud\ntwo.flac:\nloud loud loud quiet\n")


def test_json_and_a_folder_write_both(asrlab_cli: Any, speech: Path):
    """--json with -o writes a JSON file for each input and also prints the object."""
    result = asrlab_cli("transcribe", "one.flac", "-m", "echo", "--json", "-o", "out", cwd=speech)
    assert result.json["files"][0]["transcript"]["text"] == "loud loud loud"
    assert asrlab.Transcript.from_json((speech / "out/one.json").read_text()).text == "loud loud loud"


def test_an_existing_output_is_replaced(asrlab_cli: Any, speech: Path):
    """A longer file is replaced completely, and a link is replaced without a change to its target."""
    out = speech / "out"
    out.mkdir()
    (speech / "link-target").write_text("x" * 1000)
    (out / "one.txt").symlink_to(speech / "link-target")
    (out / "two.txt").write_text("y" * 1000)
    result = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert result.code == 0
    assert (out / "one.txt").read_text() == "loud loud loud\n"
    assert (out / "two.txt").read_text() == "loud loud loud quiet\n"
    assert (speech / "link-target").read_text() == "x" * 1000
    assert sorted(path.name for path in out.iterdir()) == ["one.txt", "two.txt"]


def test_an_output_has_the_permissions_of_any_new_file(asrlab_cli: Any, speech: Path):
    """An output file has the permissions that the umask gives to every new file."""
    asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", cwd=speech)
    (speech / "plain").touch()
    assert (speech / "out/one.txt").stat().st_mode == (speech / "plain").stat().st_mode


def test_two_inputs_with_one_name_are_refused_before_transcription(asrlab_cli: Any, speech: Path):
    """Inputs whose output files have the same name are refused, and no file is written."""
    (speech / "a").mkdir()
    (speech / "a/one.flac").write_bytes((speech / "one.flac").read_bytes())
    result = asrlab_cli("transcribe", "one.flac", "a/one.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert result.code == 2
    assert "one.flac and a/one.flac would both be written to one" in result.err
    assert not (speech / "out").exists()


@pytest.mark.parametrize("output_folder", ["file/below", "/proc/asrlab", "/proc"])
def test_an_unwritable_output_folder_is_refused_before_loading(asrlab_cli: Any, speech: Path, output_folder: str):
    """An output folder that cannot be written exits with 74 before a model is loaded."""
    if output_folder.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("this machine has no /proc, which refuses files")
    (speech / "file").write_text("not a folder")
    result = asrlab_cli("transcribe", "one.flac", "-m", "no-such-model", "-o", output_folder, cwd=speech)
    assert result.code == 74
    assert f"{output_folder} cannot be written: " in result.err


def test_an_output_that_cannot_be_replaced_is_named(asrlab_cli: Any, speech: Path):
    """A folder at the path of the output file exits with 74, and no partial file remains."""
    (speech / "out/one.txt").mkdir(parents=True)
    result = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert result.code == 74
    assert "out/one.txt cannot be written: Is a directory" in result.err
    assert [path.name for path in (speech / "out").iterdir()] == ["one.txt"]


def test_openai_whisper_transcribes_several_files(asrlab_cli: Any, weights_cache: Path, speech: Path):
    """One loaded model transcribes several files, and each transcript has the weights and the device."""
    options = ("-m", "openai-whisper/base", "--language", "en", "--device", "cpu", "--json")
    result = asrlab_cli("transcribe", "two.flac", "one.flac", *options, cwd=speech, ASRLAB_CACHE=str(weights_cache))
    texts = [entry["transcript"]["text"] for entry in result.json["files"]]
    assert result.code == 0
    assert texts == ["He might even have been made amiable himself.", "He was not an ill-disposed young man."]
    metadata = result.json["files"][1]["transcript"]["asrlab"]
    assert metadata["model"]["engine"] == "openai-whisper"
    assert metadata["device"] == {"requested": "cpu", "resolved": "cpu", "reason": "", "simulated": False}
    assert metadata["model"]["weights_sha256"] == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def test_scoring_formats_name_the_recording_after_its_file(asrlab_cli: Any, speech: Path):
    """Scoring formats name the recording after its file, and TextGrid files end in .TextGrid."""
    formats = [part for file_format in ("ctm", "stm", "trn", "textgrid", "jsonl") for part in ("-f", file_format)]
    result = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", *formats, cwd=speech)
    assert result.code == 0, result.err
    written = {path.suffix: path.read_text(encoding="utf-8") for path in (speech / "out").iterdir()}
    assert set(written) == {".ctm", ".stm", ".trn", ".TextGrid", ".jsonl"}
    assert written[".trn"] == "loud loud loud (one)\n"
    assert written[".ctm"].startswith("one 1 0.000 ")
    assert '"audio_filepath": "one.flac"' in written[".jsonl"]


def test_subtitles_follow_the_line_options(asrlab_cli: Any, speech: Path):
    """Shorter and fewer lines make more cues, and a length of 0 does not split a segment."""
    short = ("--max-line-length", "9", "--max-lines", "1")
    short_lines = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-f", "srt", *short, cwd=speech)
    unlimited = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-f", "srt", "--max-line-length", "0", cwd=speech)
    assert short_lines.out.count("-->") >= unlimited.out.count("-->")
    assert all(len(line) <= 9 for line in short_lines.out.splitlines() if "-->" not in line)


def test_an_invalid_engine_option_is_refused(asrlab_cli: Any, clips: tuple[Path, ...]):
    """An engine option that the engine lacks is refused, and so is a value without a name."""
    result = asrlab_cli("transcribe", clips[1], "-m", "echo/echo", "--engine-option", "patience=2")
    assert (result.code, result.out) == (2, "")
    assert "echo/echo has no engine option 'patience'; it has none" in result.err
    result = asrlab_cli("transcribe", clips[1], "-m", "echo/echo", "--engine-option", "patience")
    assert (result.code, result.out) == (2, "")
    assert "'patience' is not NAME=VALUE" in result.err


def test_a_model_without_its_engine_is_suggested_with_each_engine(asrlab_cli: Any, speech: Path):
    """``-m base`` is refused with the names of the engines' models of that name."""
    result = asrlab_cli("transcribe", "one.flac", "-m", "base", cwd=speech)
    assert result.code == 3
    assert "there is no model 'base'; did you mean faster-whisper/base or openai-whisper/base?" in result.err
