"""``asrlab transcribe``: standard output, folders, several formats, several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import asrlab


@pytest.fixture
def speech(tmp_path: Path, clips: tuple[Path, ...]) -> Path:
    """A folder with two clips under short names, ``one.flac`` (3 s) and ``two.flac`` (4 s)."""
    for name, clip in (("one", clips[1]), ("two", clips[4])):
        (tmp_path / f"{name}.flac").write_bytes(clip.read_bytes())
    return tmp_path


def test_one_file_prints_its_text_alone(asrlab_cli: Any, speech: Path):
    """Standard output is the text and nothing else, standard error is empty."""
    ran = asrlab_cli("transcribe", "one.flac", "-m", "echo", cwd=speech)
    assert (ran.code, ran.out, ran.err) == (0, "loud loud loud\n", "")


def test_several_files_print_their_names_too(asrlab_cli: Any, speech: Path):
    """With more than one file, each text follows its file's name."""
    ran = asrlab_cli("transcribe", "two.flac", "one.flac", "-m", "echo", cwd=speech)
    assert ran.out == "two.flac:\nloud loud loud quiet\none.flac:\nloud loud loud\n"


def test_json_has_a_transcript_for_each_file(asrlab_cli: Any, speech: Path):
    """Each file's object is one that ``Transcript.from_json`` reads."""
    import json

    ran = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "--word-timestamps", "--json", cwd=speech)
    first, second = ran.json["files"]
    assert (first["file"], second["file"]) == ("one.flac", "two.flac")
    transcript = asrlab.Transcript.from_json(json.dumps(second["transcript"]))
    assert transcript.text == "loud loud loud quiet"
    assert [word.text for word in transcript.words or ()] == ["loud", "loud", "loud", "quiet"]
    assert transcript.device.requested == "auto"


def test_standard_input_is_a_dash(asrlab_cli: Any, speech: Path):
    """``-`` reads the audio from a pipe; with -o its file is called stdin."""
    audio = (speech / "one.flac").read_bytes()
    assert asrlab_cli("transcribe", "-", "-m", "echo", stdin=audio).out == "loud loud loud\n"
    written = asrlab_cli("transcribe", "-", "-m", "echo", "-o", "out", stdin=audio, cwd=speech)
    assert (written.code, written.err) == (0, "<stdin> -> out/stdin.txt\n")


def test_bad_standard_input_is_named(asrlab_cli: Any):
    """An empty pipe is refused as <stdin>."""
    ran = asrlab_cli("transcribe", "-", "-m", "echo")
    assert ran.code == 4
    assert "'<stdin>' is empty" in ran.err


def test_a_folder_gets_a_file_for_each_input_and_format(asrlab_cli: Any, speech: Path):
    """-o with several -f writes each, prints nothing on standard output and says where on standard error."""
    formats = ("-f", "txt", "-f", "srt", "-f", "vtt", "-f", "tsv", "-f", "json")
    ran = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "-o", "new/out", *formats, cwd=speech)
    written = sorted(path.name for path in (speech / "new/out").iterdir())
    assert (ran.code, ran.out) == (0, "")
    assert written == sorted(f"{name}.{kind}" for name in ("one", "two") for kind in formats[1::2])
    assert (speech / "new/out/one.txt").read_text() == "loud loud loud\n"
    assert "00:00:00,000 --> 00:00:01,000\nloud\n" in (speech / "new/out/one.srt").read_text()
    assert "one.flac -> new/out/one.srt\n" in ran.err


def test_json_and_a_folder_write_both(asrlab_cli: Any, speech: Path):
    """--json with -o writes a JSON file for each input and prints the object as well."""
    ran = asrlab_cli("transcribe", "one.flac", "-m", "echo", "--json", "-o", "out", cwd=speech)
    assert ran.json["files"][0]["transcript"]["text"] == "loud loud loud"
    assert asrlab.Transcript.from_json((speech / "out/one.json").read_text()).text == "loud loud loud"


def test_an_existing_output_is_replaced_whole(asrlab_cli: Any, speech: Path):
    """A longer file of the same name leaves nothing behind; a link to it is replaced, not written through."""
    out = speech / "out"
    out.mkdir()
    (speech / "precious").write_text("x" * 1000)
    (out / "one.txt").symlink_to(speech / "precious")
    (out / "two.txt").write_text("y" * 1000)
    ran = asrlab_cli("transcribe", "one.flac", "two.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert ran.code == 0
    assert (out / "one.txt").read_text() == "loud loud loud\n"
    assert (out / "two.txt").read_text() == "loud loud loud quiet\n"
    assert (speech / "precious").read_text() == "x" * 1000
    assert sorted(path.name for path in out.iterdir()) == ["one.txt", "two.txt"]


def test_an_output_has_the_permissions_of_any_new_file(asrlab_cli: Any, speech: Path):
    """The file may be read by whom the umask lets read."""
    asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", cwd=speech)
    (speech / "plain").touch()
    assert (speech / "out/one.txt").stat().st_mode == (speech / "plain").stat().st_mode


def test_two_inputs_with_one_name_are_refused_before_anything_runs(asrlab_cli: Any, speech: Path):
    """a/one.flac and one.flac would both be one.txt: neither is written."""
    (speech / "a").mkdir()
    (speech / "a/one.flac").write_bytes((speech / "one.flac").read_bytes())
    ran = asrlab_cli("transcribe", "one.flac", "a/one.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert ran.code == 2
    assert "one.flac and a/one.flac would both be written to one" in ran.err
    assert not (speech / "out").exists()


@pytest.mark.parametrize("place", ["file/below", "/proc/asrlab", "/proc"])
def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_runs(
    asrlab_cli: Any, speech: Path, place: str
):
    """A folder below a file, or on a file system that takes no files, exits with 74 before a model is loaded."""
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("there is no /proc here to refuse a file")
    (speech / "file").write_text("not a folder")
    ran = asrlab_cli("transcribe", "one.flac", "-m", "no-such-model", "-o", place, cwd=speech)
    assert ran.code == 74
    assert f"{place} cannot be written: " in ran.err


def test_an_output_that_cannot_be_replaced_is_named(asrlab_cli: Any, speech: Path):
    """A folder in the place of the output file exits with 74 and leaves no half-written file."""
    (speech / "out/one.txt").mkdir(parents=True)
    ran = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", cwd=speech)
    assert ran.code == 74
    assert "out/one.txt cannot be written: Is a directory" in ran.err
    assert [path.name for path in (speech / "out").iterdir()] == ["one.txt"]


def test_openai_whisper_transcribes_several_files(asrlab_cli: Any, weights_cache: Path, speech: Path):
    """Several files go through one loaded model, with the weights and the device in each transcript."""
    options = ("-m", "openai-whisper/base", "--language", "en", "--device", "cpu", "--json")
    ran = asrlab_cli("transcribe", "two.flac", "one.flac", *options, cwd=speech, ASRLAB_CACHE=str(weights_cache))
    texts = [entry["transcript"]["text"] for entry in ran.json["files"]]
    assert ran.code == 0
    assert texts == ["He might even have been made amiable himself.", "He was not an ill-disposed young man."]
    facts = ran.json["files"][1]["transcript"]["asrlab"]
    assert facts["model"]["engine"] == "openai-whisper"
    assert facts["device"] == {"requested": "cpu", "resolved": "cpu", "reason": "", "simulated": False}
    assert facts["model"]["weights_sha256"] == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def test_scoring_formats_and_grids_carry_the_files_name(asrlab_cli: Any, speech: Path):
    """What other programs read names the recording after its file; TextGrid has the ending that Praat looks for."""
    formats = [part for kind in ("ctm", "stm", "trn", "textgrid", "jsonl") for part in ("-f", kind)]
    ran = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-o", "out", *formats, cwd=speech)
    assert ran.code == 0, ran.err
    written = {path.suffix: path.read_text(encoding="utf-8") for path in (speech / "out").iterdir()}
    assert set(written) == {".ctm", ".stm", ".trn", ".TextGrid", ".jsonl"}
    assert written[".trn"] == "loud loud loud (one)\n"
    assert written[".ctm"].startswith("one 1 0.000 ")
    assert '"audio_filepath": "one.flac"' in written[".jsonl"]


def test_subtitles_are_laid_out_as_asked(asrlab_cli: Any, speech: Path):
    """A shorter line and one line a cue make more cues; 0 leaves a segment whole."""
    short = ("--max-line-length", "9", "--max-lines", "1")
    cut = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-f", "srt", *short, cwd=speech)
    whole = asrlab_cli("transcribe", "one.flac", "-m", "echo", "-f", "srt", "--max-line-length", "0", cwd=speech)
    assert cut.out.count("-->") >= whole.out.count("-->")
    assert all(len(line) <= 9 for line in cut.out.splitlines() if "-->" not in line)


def test_options_that_only_one_engine_knows_are_taken_by_name(asrlab_cli: Any, clips: tuple[Path, ...]):
    """The value is JSON or plain text; what is no pair, and what the engine lacks, is refused."""
    ran = asrlab_cli("transcribe", clips[1], "-m", "echo/echo", "--engine-option", "patience=2")
    assert (ran.code, ran.out) == (2, "")
    assert "echo/echo has no engine option 'patience'; it has none" in ran.err
    ran = asrlab_cli("transcribe", clips[1], "-m", "echo/echo", "--engine-option", "patience")
    assert (ran.code, ran.out) == (2, "")
    assert "'patience' is not NAME=VALUE" in ran.err
