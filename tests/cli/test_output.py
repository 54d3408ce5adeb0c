"""Errors for output that cannot be written, and documents that are written to standard output."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from asrlab.cli.main import asrlab
from asrlab.errors import OutputError
from asrlab.output_files import check_target, write_file
from asrlab.terminal import OutputStream

WITHOUT_MODEL_ENGINES = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}
COMMANDS = {
    "bench": ("bench", "tones", "-m", "echo", "--only-table"),
    "compare": ("compare", "run", "again", "--resamples", "10"),
    "completion": ("completion", "bash"),
    "devices": ("devices",),
    "doctor": ("doctor",),
    "models": ("models",),
    "new-plugin": ("new-plugin", "asrlab-new", "--folder", "new-{number}"),
    "patches": ("patches",),
    "plugins": ("plugins",),
    "pull": ("pull", "echo"),
    "report": ("report", "run", "--resamples", "10"),
    "resume": ("resume", "run"),
    "runs": ("runs",),
    "score": ("score", "hypotheses.csv", "--resamples", "10"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo"),
    "tune": ("tune", "echo", "--forget"),
    "verify": ("verify", "page.md"),
}
WITHOUT_JSON = {"completion"}
SLOW = {"bench", "doctor", "patches"}
STREAM_CASES = (("full", False), ("full", True), ("closed", False), ("no-reader", False))
ONE_LINE = "asrlab: standard output cannot be written: "


PATCH = """
import asrlab
from asrlab.patches import Patch, PatchDecision


@asrlab.plugin.hookimpl
def asrlab_patches():
    decision = PatchDecision(status="not-needed", reason="-")
    return [Patch(name="small-patch", distribution="numpy", versions=("1",), devices=("cpu",), reason="-",
                  issue_url="-", obsolete_when="-", module="numpy", changes={}, check=lambda *_: decision)]
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, write_distribution: Any) -> Path:
    """Return a folder with a plugin that provides a patch, so that ``asrlab patches`` prints an entry."""
    return write_distribution(tmp_path_factory.mktemp("plugin"), "small", source=PATCH)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, small_folder: Path) -> Path:
    """Return a folder with a data set, a finished run, hypotheses and a document."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(small_folder, folder / "tones")
    (folder / "hypotheses.csv").write_text("utt_id,text,reference\na,one,one\n")
    (folder / "page.md").write_text("Nothing is claimed here.\n")
    (folder / "evidence").mkdir()
    assert asrlab_cli("bench", "tones", "-m", "echo", "--run", "run", cwd=folder, **WITHOUT_MODEL_ENGINES).code == 0
    shutil.copytree(folder / "run", folder / "again")
    return folder


@pytest.fixture(scope="module")
def results(workplace: Path, plugin: Path, run_forked: Any) -> dict[str, dict[tuple[str, bool], Any]]:
    """Return the result of each command by its name, the destination of standard output, and --json."""
    runs = [
        (name, stream, as_json)
        for name in COMMANDS
        for stream, as_json in STREAM_CASES
        if not (as_json and name in WITHOUT_JSON) and not (stream == "closed" and name in SLOW)
    ]
    cases = [
        (
            [*(part.format(number=number) for part in COMMANDS[name]), *(["--json"] if as_json else [])],
            {"stdout": stream},
        )
        for number, (name, stream, as_json) in enumerate(runs)
    ]
    results = run_forked(cases, folder=workplace, plugins=[plugin], **WITHOUT_MODEL_ENGINES)
    by_command: dict[str, dict[tuple[str, bool], Any]] = {name: {} for name in COMMANDS}
    for (name, stream, as_json), result in zip(runs, results, strict=True):
        by_command[name][stream, as_json] = result
    return by_command


def test_every_command_has_a_case():
    """Every command has a case in the table above."""
    assert set(COMMANDS) == set(asrlab.lazy)


@pytest.mark.parametrize("name", COMMANDS)
def test_unwritable_standard_output_exits_with_74(results: Any, name: str):
    """A full disk or a closed stream is reported in one line, and the command exits with 74."""
    for (stream, as_json), result in results[name].items():
        if stream == "no-reader":
            continue
        hint_prefixes = ("next:", "  ", "then write")  # hints about next steps
        lines = result.stderr.decode().splitlines()
        lines = [line for line in lines if not line.startswith(hint_prefixes) and not line.endswith(" ...")]
        assert (result.code, len(lines)) == (74, 1), (stream, as_json, result)
        assert lines[0].startswith(ONE_LINE)
        assert ("No space left" if stream == "full" else "the stream is closed") in lines[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_output_pipe_is_not_an_error(results: Any, name: str):
    """Every command whose output pipe has no reader exits with 0 and prints no error about the pipe."""
    result = results[name]["no-reader", False]
    assert result.code == 0, result
    assert b"Broken" not in result.stderr


SHELL_CASES = {
    "help": ("--help",),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "--json"),
}


@pytest.mark.parametrize("name", SHELL_CASES)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>/dev/full", "2>&-", "<&-", "| :"])
def test_redirections_of_a_shell_are_handled(asrlab_cli: Any, workplace: Path, name: str, redirection: str):
    """Lost diagnostics and a closed input change neither output nor exit code, and Python reports nothing."""
    command = f"{sys.executable} -m asrlab {' '.join(SHELL_CASES[name])} {redirection}"
    # the name of a missing plugin causes a line on standard error, so that the stream has output to lose
    environment = asrlab_cli.environment(
        ASRLAB_DISABLE_PLUGINS=WITHOUT_MODEL_ENGINES["ASRLAB_DISABLE_PLUGINS"] + ",no-such-plugin"
    )
    result = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == (74 if redirection.startswith(">") else 0)
    assert "Exception ignored" not in result.stderr
    assert "Traceback" not in result.stderr
    assert bool(result.stdout) == (redirection in {"2>/dev/full", "2>&-", "<&-"})


def test_a_closed_standard_input_is_bad_input(asrlab_cli: Any, workplace: Path):
    """``transcribe - <&-`` is bad input and not an internal error."""
    command = f"{sys.executable} -m asrlab transcribe - -m echo <&-"
    environment = asrlab_cli.environment(**WITHOUT_MODEL_ENGINES)
    result = subprocess.run(
        ["/bin/bash", "-c", command], cwd=workplace, env=environment, capture_output=True, check=False
    )
    assert (result.returncode, result.stdout) == (4, b"")
    assert b"standard input is closed" in result.stderr


FILE_CASES = {
    "report": ("report", "run", "--resamples", "10", "-o", "{folder}/page.html"),
    "export": ("runs", "run", "--export", "{folder}/run.jsonl"),
    "texts": ("runs", "run", "--texts", "{folder}/run.csv"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "-o", "{folder}/out"),
    "bench": ("bench", "tones", "-m", "echo", "--run", "{folder}/run"),
    "new-plugin": ("new-plugin", "asrlab-new", "--folder", "{folder}/new"),
}


@pytest.fixture(scope="module")
def file_results(run_forked: Any, workplace: Path) -> list[tuple[str, str, Any]]:
    """Return the path and the result of each command whose output path cannot be written."""
    (workplace / "a-file").write_text("in the way")
    cases = [("a-file", name) for name in FILE_CASES] + [("/dev/full", name) for name in FILE_CASES]
    # the other commands create the folder, or refuse an existing one
    cases += [("places", name) for name in ("report", "export", "texts")]
    commands = [(tuple(part.format(folder=folder) for part in FILE_CASES[name]), {}) for folder, name in cases]
    for arguments, _ in commands[-3:]:
        (workplace / arguments[-1]).mkdir(parents=True)
    results = run_forked(commands, folder=workplace, **WITHOUT_MODEL_ENGINES)
    return [(name, command[0][-1], result) for (_, name), command, result in zip(cases, commands, results, strict=True)]


def test_an_unwritable_file_exits_with_74(file_results: Any, workplace: Path):
    """Each command reports the path and the reason in one line, exits with 74 and leaves no file."""
    for name, path, result in file_results:
        [line] = result.stderr.decode().splitlines()
        assert (result.code, result.stdout) == (74, b""), (name, result)
        assert path in line
        assert any(reason in line for reason in ("Not a directory", "Is a directory", "File exists")), line
    assert [entry for entry in (workplace / "places").rglob("*") if entry.is_file()] == []


FILE_SIZE_LIMIT_PROGRAM = """
import resource, sys
from pathlib import Path
from asrlab.errors import OutputError
from asrlab.output_files import write_file

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_file(Path(sys.argv[1]), b"x" * 5000)
except OutputError as error:
    print(error.path, error.reason)
"""


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path):
    """After a failed write, the previous file is complete and no partial file exists."""
    (tmp_path / "page.html").write_bytes(b"before")
    command = [sys.executable, "-c", FILE_SIZE_LIMIT_PROGRAM, tmp_path / "page.html"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"{tmp_path / 'page.html'} File too large\n"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("page.html", b"before")]


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path: Path):
    """A replaced file keeps its permissions, and a link is followed unless *follow_link* is False."""
    (tmp_path / "private").write_bytes(b"before")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "link").symlink_to("private")
    write_file(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "private").read_bytes() == b"after"
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    write_file(tmp_path / "link", b"here", follow_link=False)
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "private").read_bytes() == b"after"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path):
    """A device file is written to and not replaced, and a full device is an error."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="No space left"):
        write_file(Path("/dev/full"), b"text")
    write_file(Path("/dev/null"), b"text")
    check_target(tmp_path / "pipe")
    assert [stat.S_ISCHR(Path(name).stat().st_mode) for name in ("/dev/null", "/dev/full")] == [True, True]
    with pytest.raises(OutputError, match="Is a directory"):
        check_target(tmp_path)


STANDARD_OUTPUT_CASES = {
    "report": ("report", "run", "--resamples", "10", "-o", "-"),
    "export": ("runs", "run", "--export", "-"),
    "texts": ("runs", "run", "--texts", "-"),
    "trn": ("runs", "run", "--texts", "-", "-f", "trn"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "-o", "-"),
}


@pytest.fixture(scope="module")
def standard_output_results(run_forked: Any, workplace: Path) -> dict[str, tuple[Any, Any]]:
    """Return the results of each document command, with a pipe and with a full disk as standard output."""
    cases = [
        (STANDARD_OUTPUT_CASES[name], streams) for name in STANDARD_OUTPUT_CASES for streams in ({}, {"stdout": "full"})
    ]
    results = iter(run_forked(cases, folder=workplace, **WITHOUT_MODEL_ENGINES))
    return {name: (next(results), next(results)) for name in STANDARD_OUTPUT_CASES}


@pytest.mark.parametrize("name", STANDARD_OUTPUT_CASES)
def test_a_dash_writes_to_standard_output(standard_output_results: Any, workplace: Path, name: str):
    """Standard output has only the document, no file is named ``-``, and a full disk exits with 74."""
    result, full_result = standard_output_results[name]
    assert result.code == 0, result
    prefixes = {
        "report": b"<!doctype html>",
        "export": b'{"record":"manifest"',
        "texts": b"utt_id,text",
        "trn": b"loud (a-first)\n",
        "transcribe": b"loud\n",
    }
    assert result.stdout.lower().startswith(prefixes[name])
    assert (full_result.code, full_result.stderr.decode().startswith(ONE_LINE)) == (74, True)
    assert not (workplace / "-").exists()
    if name == "export":
        assert [json.loads(line)["record"] for line in result.stdout.splitlines()][-1] == "outcome"


@pytest.mark.parametrize("name", ["report", "export", "texts"])
def test_two_documents_on_standard_output_are_refused(asrlab_cli: Any, workplace: Path, name: str):
    """``-o - --json`` is refused because both documents would be mixed on standard output."""
    result = asrlab_cli(*STANDARD_OUTPUT_CASES[name], "--json", cwd=workplace, **WITHOUT_MODEL_ENGINES)
    assert result.code == 2
    assert "would both write to standard output" in result.err


def test_a_guard_is_finalized_with_its_last_reference():
    """No collection of garbage flushes a guard after its stream was closed."""
    gc.disable()
    try:
        guard = OutputStream(io.StringIO(), "standard output")
        view, reference = guard.unescaped(), weakref.ref(guard)
        del guard, view
        assert reference() is None
    finally:
        gc.enable()
