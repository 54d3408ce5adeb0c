"""Every command: its help, its JSON, its completion, and where its output goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("transcribe", "bench", "models", "devices", "doctor", "pull", "patches", "plugins", "completion")
FAST = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_loads_no_engine(asrlab_cli: Any, command: str):
    """The help of each command ends with examples that begin as the command does."""
    ran = asrlab_cli(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    examples = ran.out.partition("Examples:\n")[2].strip().splitlines()
    assert examples
    assert all(f"asrlab {command}" in example or "asrlab plugins" in example for example in examples)


def test_the_group_lists_every_command_and_every_exit_code(asrlab_cli: Any):
    """``asrlab --help`` names all commands, an example and what each exit code means."""
    ran = asrlab_cli("--help")
    assert [command for command in COMMANDS if f"\n  {command} " not in ran.out] == []
    assert "asrlab transcribe talk.mp3" in ran.out
    assert [code for code in ("0", "1", "2", "3", "4", "70", "74", "130") if f"{code} " not in ran.out] == []


def test_help_imports_nothing_heavy():
    """``asrlab --help`` loads neither numpy nor pluggy nor any engine."""
    code = """
import sys
from asrlab.cli.main import main
try:
    main(["--help"])
except SystemExit:
    heavy = ("numpy", "torch", "pluggy", "rich", "av", "soundfile", "ctranslate2", "whisper")
    print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_packages(asrlab_cli: Any):
    """``asrlab --version`` prints the version of the package."""
    import asrlab

    assert asrlab_cli("--version").out == f"asrlab, version {asrlab.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("transcribe",), ("bench", "smoke"), ("pull",), ("nonsense",), ("models", "--nonsense"),
     ("transcribe", "x.wav", "--beam-size", "many"), ("transcribe", "x.wav", "-f", "pdf"),
     ("transcribe", "x.wav", "-f", "srt", "-f", "vtt"),
     ("completion", "tcsh")],
    ids=" ".join,
)  # fmt: skip
def test_a_usage_error_exits_with_2_and_prints_no_data(asrlab_cli: Any, arguments: tuple[str, ...]):
    """What cannot be understood exits with 2, with the reason on standard error only."""
    ran = asrlab_cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "--nonsense"), "No such option"),
        (("transcribe", "x.wav", "-f", "srt"), "--json prints every file in one JSON object; leave out -f"),
    ],
)
def test_a_usage_error_with_json_is_an_object_too(asrlab_cli: Any, arguments: tuple[str, ...], message: str):
    """With --json a program that reads standard output finds the error there."""
    ran = asrlab_cli(*arguments, "--json")
    assert (ran.code, ran.json["error"]["exit_code"]) == (2, 2)
    assert message in ran.json["error"]["message"]
    assert message in ran.err


def test_a_fault_exits_with_70_and_one_line(asrlab_cli: Any, tmp_path: Path):
    """What nobody foresaw is called a fault, with the way to see where."""
    (tmp_path / "sitecustomize.py").write_text("import asrlab.plugins.manager as m\nm.PluginHost = None\n")
    ran = asrlab_cli("models", plugins=[tmp_path])
    assert (ran.code, ran.out) == (70, "")
    assert "TypeError" in ran.err
    assert "ASRLAB_DEBUG=1" in ran.err


def test_models_are_listed_with_their_weights(asrlab_cli: Any, weights_cache: Path):
    """The JSON says of each model where its weights are, and the table shows the same."""
    cache = {"ASRLAB_CACHE": str(weights_cache)}
    rows = {row["name"]: row for row in asrlab_cli("models", "--json", **cache).json["models"]}
    assert {"echo/echo", "faster-whisper/base", "openai-whisper/base", "faster-whisper/large-v3"} <= set(rows)
    assert set(rows["echo/echo"]) == {
        *("name", "aliases", "installed", "install", "weights", "weights_bytes", "description", "distribution")
    }
    assert rows["echo/echo"]["weights"] == "none needed"
    assert rows["faster-whisper/base"]["weights"] == "here"
    assert rows["faster-whisper/base"]["weights_bytes"] > 145_217_532
    assert "faster_whisper" in rows["faster-whisper/base"]["aliases"]
    assert rows["faster-whisper/large-v3"]["weights"] == "to fetch"
    table = asrlab_cli("models", **cache)
    assert (table.code, table.err) == (0, "")
    assert [name for name in rows if f" {name} " not in table.out] == []


def test_devices_say_what_is_there_and_why_the_rest_is_not(asrlab_cli: Any):
    """Each engine's backend answers for itself; CTranslate2 has no MPS and says so."""
    ran = asrlab_cli("devices", "--json", ASRLAB_DISABLE_PLUGINS="openai-whisper")
    rows = {row["engine"]: row for row in ran.json["engines"]}
    assert set(rows["echo"]) == {"engine", "available", "auto", "missing", "error"}
    assert rows["echo"]["available"] == ["cpu"]
    assert "unsupported device mps" in rows["faster-whisper"]["missing"]["mps"]
    table = asrlab_cli("devices", **FAST)
    assert (table.code, table.err) == (0, "asrlab: asking echo ...\n")
    assert "echo runs on the cpu" in table.out


def test_pull_prints_where_the_weights_are(asrlab_cli: Any, weights_cache: Path):
    """Data is the model and the path; a model without weights says so; JSON has the checksum too."""
    cache = {"ASRLAB_CACHE": str(weights_cache)}
    ran = asrlab_cli("pull", "faster-whisper/base", "echo", **cache)
    first, second = ran.out.splitlines()
    name, path = first.split("\t")
    assert (ran.code, name, second) == (0, "faster-whisper/base", "echo/echo\tneeds no weights")
    assert (Path(path) / "model.bin").is_file()
    row = asrlab_cli("pull", "openai-whisper/base", "--json", **cache).json["models"][0]
    assert row["path"] == path
    assert row["sha256"] == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert row["error"] is None


def test_pull_goes_on_after_a_model_that_fails(asrlab_cli: Any):
    """One of two models cannot be fetched offline: the other is, and the code is 1."""
    ran = asrlab_cli("pull", "faster-whisper/large-v3", "echo", "--json")
    assert ran.code == 1
    assert [row["error"] is None for row in ran.json["models"]] == [False, True]
    assert asrlab_cli("pull", "faster-whisper/large-v3").code == 4
    assert asrlab_cli("pull", "faster-whisper/huge").code == 3


def test_plugins_are_shown_as_a_table(asrlab_cli: Any, third_party: Path):
    """The table names each plugin's distribution and offers."""
    ran = asrlab_cli("plugins", plugins=[third_party])
    assert (ran.code, ran.err) == (0, "")
    row = next(line for line in ran.out.splitlines() if "third_party" in line)
    assert "third-party 1.0" in row
    assert "engine third, dataset third-set" in row
    assert "patch " in ran.out
    assert "patche " not in ran.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_the_shell_can_read(asrlab_cli: Any, tmp_path: Path, shell: str):
    """The script names the command, and the shell, where it is installed, parses it."""
    ran = asrlab_cli("completion", shell)
    assert ran.code == 0
    assert "_ASRLAB_COMPLETE" in ran.out
    assert "asrlab" in ran.out
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(ran.out)
        subprocess.run([shell, "-n", script], check=True)


def _complete(asrlab_cli: Any, words: str, *, plugins: tuple[Path, ...] = ()) -> list[str]:
    ran = asrlab_cli(
        plugins=plugins, _ASRLAB_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
    )
    assert ran.err == ""
    return [line.partition(",")[2] for line in ran.out.splitlines()]


def test_model_names_are_completed(asrlab_cli: Any, third_party: Path):
    """Models complete after -m of transcribe and bench and as arguments of pull, those of plugins too."""
    assert _complete(asrlab_cli, "asrlab bench smoke -m faster-whisper/ti") == [
        "faster-whisper/tiny",
        "faster-whisper/tiny.en",
    ]
    assert _complete(asrlab_cli, "asrlab transcribe -m ech") == ["echo/echo"]
    assert _complete(asrlab_cli, "asrlab pull third/cal", plugins=(third_party,)) == ["third/calm"]


def test_commands_and_data_sets_are_completed(asrlab_cli: Any, third_party: Path):
    """Commands, and the names of data sets beside files."""
    assert _complete(asrlab_cli, "asrlab tra") == ["transcribe"]
    assert _complete(asrlab_cli, "asrlab bench th", plugins=(third_party,)) == ["third-set", "th"]


def test_a_broken_plugin_is_silent_while_completing(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """A warning would land in the middle of the command line that is being typed."""
    write_distribution(tmp_path, "broken", source="raise RuntimeError")
    assert _complete(asrlab_cli, "asrlab transcribe -m ech", plugins=(tmp_path,)) == ["echo/echo"]


@pytest.mark.parametrize(
    "arguments", [("models", "--json"), ("models",), ("transcribe", "{clip}", "-m", "echo")], ids=" ".join
)
def test_a_reader_that_went_away_is_no_error(asrlab_cli: Any, clips: tuple[Path, ...], arguments: tuple[str, ...]):
    """``asrlab ... | head -0`` exits with 0 and says nothing."""
    read, write = os.pipe()
    os.close(read)
    command = [argument.format(clip=clips[1]) for argument in arguments]
    with asrlab_cli.start(*command, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        err = process.stderr.read()
    assert (process.returncode, err) == (0, "")


def test_a_bench_shows_its_table_and_the_texts(asrlab_cli: Any, small_folder: Path):
    """Data is a table and each utterance's texts with the differences marked; --only-table leaves those out."""
    ran = asrlab_cli("bench", small_folder, "-m", "echo", **FAST)
    assert (ran.code, ran.err) == (0, "")
    assert "100.00 % (3/3)" in ran.out
    assert "a-first\n  reference  heard\n  echo/echo  [-heard-] {+loud+}\n" in ran.out
    only = asrlab_cli("bench", small_folder, "-m", "echo", "--only-table", **FAST)
    assert "100.00 % (3/3)" in only.out
    assert "[-heard-]" not in only.out


def test_a_bench_with_failures_exits_with_1_and_names_them(asrlab_cli: Any, small_folder: Path, third_party: Path):
    """Failures are lines on standard error; the table is still there."""
    ran = asrlab_cli("bench", small_folder, "-m", "third/abort", "-m", "third/load-raises", plugins=[third_party])
    assert ran.code == 1
    assert "third/abort: b-odd: crashed: the worker process died of SIGABRT" in ran.err
    assert "third/load-raises: EngineUnavailableError: engine 'third' failed" in ran.err
    assert "not loaded" in ran.out


def test_a_bench_takes_a_manifest(asrlab_cli: Any, small_folder: Path):
    """A JSONL manifest with parts of files is a data set; its JSON has everything."""
    manifest = small_folder.parent / "tones.jsonl"
    lines = [
        {"audio_filepath": "tones/a-first.wav", "text": "loud", "lang": "en"},
        {"audio_filepath": "tones/c-last.wav", "text": "quiet", "lang": "en", "offset": 0.1, "duration": 0.2},
    ]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = asrlab_cli("bench", manifest, "-m", "echo", "--json", **FAST)
    model = ran.json["models"][0]
    assert (ran.code, ran.json["dataset"]) == (0, "tones.jsonl")
    assert model["score"]["words"] == {"hits": 1, "substitutions": 1, "deletions": 0, "insertions": 0}
    assert model["score"]["wer"] == 0.5
    assert model["score"]["normalizer"] == "english"
    assert [utterance["id"] for utterance in model["utterances"]] == ["tones/a-first", "tones/c-last@0.1"]
    assert model["utterances"][1]["transcript"]["duration"] == pytest.approx(0.2)
    assert model["peak_resident_bytes"] > 2**20


@pytest.mark.parametrize("name", ["smoek", "empty"])
def test_a_data_set_that_is_none_exits_with_4_before_weights_are_looked_for(asrlab_cli: Any, tmp_path: Path, name: str):
    """A mistyped name or an empty folder is said at once, not after the weights have been fetched."""
    (tmp_path / "empty").mkdir()
    ran = asrlab_cli("bench", name, "-m", "faster-whisper/large-v3", cwd=tmp_path)
    assert ran.code == 4
    assert "did you mean smoke" in ran.err or "holds no audio" in ran.err
