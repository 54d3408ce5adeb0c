"""Help, JSON output, shell completion and output streams of every command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("transcribe", "bench", "models", "devices", "doctor", "pull", "patches", "plugins", "completion")
WITHOUT_MODEL_ENGINES = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples(asrlab_cli: Any, command: str):
    """The help of each command ends with examples that begin with the command."""
    result = asrlab_cli(command, "--help")
    assert (result.code, result.err) == (0, "")
    examples = result.out.partition("Examples:\n")[2].strip().splitlines()
    assert examples
    assert all(f"asrlab {command}" in example or "asrlab plugins" in example for example in examples)


def test_the_group_lists_every_command_and_every_exit_code(asrlab_cli: Any):
    """``asrlab --help`` lists all commands, an example and the meaning of each exit code."""
    result = asrlab_cli("--help")
    assert [command for command in COMMANDS if f"\n  {command} " not in result.out] == []
    assert "asrlab transcribe talk.mp3" in result.out
    assert [code for code in ("0", "1", "2", "3", "4", "70", "74", "130") if f"{code} " not in result.out] == []


def test_help_imports_no_heavy_package():
    """``asrlab --help`` imports neither numpy nor pluggy nor any engine."""
    code = """
import sys
from asrlab.cli.main import main
try:
    main(["--help"])
except SystemExit:
    heavy = ("numpy", "torch", "pluggy", "rich", "av", "soundfile", "ctranslate2", "whisper")
    print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stderr.strip() == "[]"


def test_the_version_option_prints_the_version_of_the_package(asrlab_cli: Any):
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
    """A usage error exits with 2 and prints its reason on standard error only."""
    result = asrlab_cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "--nonsense"), "No such option"),
        (("transcribe", "x.wav", "-f", "srt"), "--json prints every file in one JSON object; leave out -f"),
    ],
)
def test_a_usage_error_with_json_is_also_an_object(asrlab_cli: Any, arguments: tuple[str, ...], message: str):
    """With --json, a usage error is also printed as a JSON object on standard output."""
    result = asrlab_cli(*arguments, "--json")
    assert (result.code, result.json["error"]["exit_code"]) == (2, 2)
    assert message in result.json["error"]["message"]
    assert message in result.err


def test_an_internal_error_exits_with_70(asrlab_cli: Any, tmp_path: Path):
    """An unexpected exception exits with 70, and the message mentions ASRLAB_DEBUG."""
    (tmp_path / "sitecustomize.py").write_text("import asrlab.plugins.manager as m\nm.PluginHost = None\n")
    result = asrlab_cli("models", plugins=[tmp_path])
    assert (result.code, result.out) == (70, "")
    assert "TypeError" in result.err
    assert "ASRLAB_DEBUG=1" in result.err


def test_models_are_listed_with_their_weights(asrlab_cli: Any, weights_cache: Path):
    """The JSON object lists the state of each model's weights, and the table lists every model."""
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
    assert set(rows) <= set(table.out.split())


def test_devices_are_listed_with_the_reasons_for_missing_ones(asrlab_cli: Any):
    """The devices come from each engine's library, and missing ones have a reason."""
    result = asrlab_cli("devices", "--json", ASRLAB_DISABLE_PLUGINS="openai-whisper")
    rows = {row["engine"]: row for row in result.json["engines"]}
    assert set(rows["echo"]) == {"engine", "available", "auto", "missing", "error"}
    assert rows["echo"]["available"] == ["cpu"]
    assert "unsupported device mps" in rows["faster-whisper"]["missing"]["mps"]
    table = asrlab_cli("devices", **WITHOUT_MODEL_ENGINES)
    assert (table.code, table.err) == (0, "asrlab: asking echo ...\n")
    assert "echo runs on the cpu" in table.out


def test_pull_prints_the_path_of_the_weights(asrlab_cli: Any, weights_cache: Path):
    """The output has each model and the path of its weights, and the JSON object also has the checksum."""
    cache = {"ASRLAB_CACHE": str(weights_cache)}
    result = asrlab_cli("pull", "faster-whisper/base", "echo", **cache)
    first, second = result.out.splitlines()
    name, path = first.split("\t")
    assert (result.code, name, second) == (0, "faster-whisper/base", "echo/echo\tneeds no weights")
    assert (Path(path) / "model.bin").is_file()
    row = asrlab_cli("pull", "openai-whisper/base", "--json", **cache).json["models"][0]
    assert row["path"] == path
    assert row["sha256"] == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert row["error"] is None


def test_pull_continues_after_a_model_that_fails(asrlab_cli: Any):
    """If one of two models cannot be fetched, the other one is pulled and the exit code is 1."""
    result = asrlab_cli("pull", "faster-whisper/large-v3", "echo", "--json")
    assert result.code == 1
    assert [row["error"] is None for row in result.json["models"]] == [False, True]
    assert asrlab_cli("pull", "faster-whisper/large-v3").code == 4
    assert asrlab_cli("pull", "faster-whisper/huge").code == 3


def test_plugins_are_shown_as_a_table(asrlab_cli: Any, third_party: Path):
    """The table has each plugin's distribution and the features that the plugin provides."""
    result = asrlab_cli("plugins", plugins=[third_party])
    assert (result.code, result.err) == (0, "")
    row = next(line for line in result.out.splitlines() if "third_party" in line)
    assert "third-party 1.0" in row
    assert "engine third; dataset third-set" in row
    assert "patch " in result.out
    assert "patche " not in result.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_parse_the_completion_script(asrlab_cli: Any, tmp_path: Path, shell: str):
    """The completion script names the command, and the shell parses the script if the shell is installed."""
    result = asrlab_cli("completion", shell)
    assert result.code == 0
    assert "_ASRLAB_COMPLETE" in result.out
    assert "asrlab" in result.out
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(result.out)
        subprocess.run([shell, "-n", script], check=True)


def _complete(asrlab_cli: Any, words: str, *, plugins: tuple[Path, ...] = ()) -> list[str]:
    result = asrlab_cli(
        plugins=plugins, _ASRLAB_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
    )
    assert result.err == ""
    return [line.partition(",")[2] for line in result.out.splitlines()]


def test_model_names_are_completed(asrlab_cli: Any, third_party: Path):
    """Model names, also those of plugins, complete for transcribe, bench and pull."""
    assert _complete(asrlab_cli, "asrlab bench smoke -m faster-whisper/ti") == [
        "faster-whisper/tiny",
        "faster-whisper/tiny.en",
    ]
    assert _complete(asrlab_cli, "asrlab transcribe -m ech") == ["echo/echo"]
    assert _complete(asrlab_cli, "asrlab pull third/cal", plugins=(third_party,)) == ["third/calm"]


def test_commands_and_data_sets_are_completed(asrlab_cli: Any, third_party: Path):
    """Commands and the names of data sets are completed."""
    assert _complete(asrlab_cli, "asrlab tra") == ["transcribe"]
    assert _complete(asrlab_cli, "asrlab bench th", plugins=(third_party,)) == ["third-set", "th"]


def test_completion_prints_no_warning_for_a_broken_plugin(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """A broken plugin prints no warning during completion, because it would land in the command line."""
    write_distribution(tmp_path, "broken", source="raise RuntimeError")
    assert _complete(asrlab_cli, "asrlab transcribe -m ech", plugins=(tmp_path,)) == ["echo/echo"]


@pytest.mark.parametrize(
    "arguments", [("models", "--json"), ("models",), ("transcribe", "{clip}", "-m", "echo")], ids=" ".join
)
def test_a_closed_output_pipe_is_not_an_error(asrlab_cli: Any, clips: tuple[Path, ...], arguments: tuple[str, ...]):
    """A command whose output pipe has no reader exits with 0 and prints no error."""
    read, write = os.pipe()
    os.close(read)
    command = [argument.format(clip=clips[1]) for argument in arguments]
    with asrlab_cli.start(*command, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        err = process.stderr.read()
    assert (process.returncode, err) == (0, "")


def test_a_bench_shows_its_table_and_the_worst_texts(asrlab_cli: Any, small_folder: Path):
    """A bench prints its table, the utterances with the most errors and where the rest is, but not every text."""
    bench = ("bench", small_folder, "-m", "echo")
    result = asrlab_cli(*bench, **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.err) == (0, "")
    assert "100.00 % (3/3)" in result.out
    assert "a-first\n  echo/echo  1/1  [-heard-] {+loud+}\n" in result.out
    assert "  reference  " not in result.out
    assert "latency" not in result.out
    assert re.search("\nall figures and texts: asrlab runs .* --verbose\nas a page: asrlab report .*\n$", result.out)
    only = asrlab_cli(*bench, "--only-table", **WITHOUT_MODEL_ENGINES)
    assert "100.00 % (3/3)" in only.out
    assert "[-heard-]" not in only.out
    every = asrlab_cli(*bench, "--verbose", **WITHOUT_MODEL_ENGINES)
    assert "latency" in every.out
    assert "a-first\n  reference  heard\n  echo/echo  [-heard-] {+loud+}\n" in every.out


def test_at_most_ten_failures_of_a_bench_are_shown(asrlab_cli: Any, tmp_path: Path):
    """Further failures are counted, and --verbose shows every one."""
    for number in range(12):
        (tmp_path / f"{number}.wav").write_bytes(b"<html>not found</html>")
        (tmp_path / f"{number}.txt").write_text("one")
    result = asrlab_cli("bench", tmp_path, "-m", "echo", **WITHOUT_MODEL_ENGINES)
    assert result.code == 1
    assert result.err.count("AudioError") == 10
    assert result.err.endswith("\nand 2 more\n")
    run = result.out.rpartition("asrlab report ")[2].strip()
    assert asrlab_cli("runs", run, "--verbose").err.count("AudioError") == 12


def test_a_bench_of_several_models_begins_with_the_verdict(asrlab_cli: Any, small_folder: Path, third_party: Path):
    """The first line of the output is the conclusion of a comparison of the models."""
    result = asrlab_cli("bench", small_folder, "-m", "echo", "-m", "third/calm", plugins=[third_party])
    assert result.code == 0
    assert result.out.splitlines()[0].endswith("too few to tell (3 utterances)")


def test_a_bench_with_failures_exits_with_1_and_names_them(asrlab_cli: Any, small_folder: Path, third_party: Path):
    """Failures of a bench are lines on standard error, the table is still printed, and the exit code is 1."""
    result = asrlab_cli("bench", small_folder, "-m", "third/abort", "-m", "third/load-raises", plugins=[third_party])
    assert result.code == 1
    assert "third/abort: b-odd: crashed: the worker process died of SIGABRT" in result.err
    assert "third/load-raises: EngineUnavailableError: engine 'third' failed" in result.err
    assert "not loaded" in result.out


def test_a_bench_reads_a_manifest(asrlab_cli: Any, small_folder: Path):
    """A JSONL manifest with excerpts of files is a data set, and the JSON output has all its results."""
    manifest = small_folder.parent / "tones.jsonl"
    lines = [
        {"audio_filepath": "tones/a-first.wav", "text": "loud", "lang": "en"},
        {"audio_filepath": "tones/c-last.wav", "text": "quiet", "lang": "en", "offset": 0.1, "duration": 0.2},
    ]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = asrlab_cli("bench", manifest, "-m", "echo", "--json", **WITHOUT_MODEL_ENGINES)
    model = result.json["models"][0]
    assert (result.code, result.json["dataset"]) == (0, "tones.jsonl")
    assert model["score"]["words"] == {"hits": 1, "substitutions": 1, "deletions": 0, "insertions": 0}
    assert model["score"]["wer"] == 0.5
    assert model["score"]["normalizer"] == "english"
    assert [utterance["id"] for utterance in model["utterances"]] == ["tones/a-first", "tones/c-last@0.1"]
    assert model["utterances"][1]["transcript"]["duration"] == pytest.approx(0.2)
    assert model["peak_resident_bytes"] > 2**20


@pytest.mark.parametrize("name", ["smoek", "empty"])
def test_a_bad_data_set_exits_with_4_before_weights_are_needed(asrlab_cli: Any, tmp_path: Path, name: str):
    """An unknown data set or an empty folder exits with 4 before the weights are looked up."""
    (tmp_path / "empty").mkdir()
    result = asrlab_cli("bench", name, "-m", "faster-whisper/large-v3", cwd=tmp_path)
    assert result.code == 4
    assert "did you mean smoke" in result.err or "holds no audio" in result.err
