"""Output that cannot be written, whichever command writes it, and documents on standard output."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asrlab.cli.main import asrlab
from asrlab.errors import OutputError
from asrlab.output_files import check_target, write_file

FAST = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}
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
WAYS = (("full", False), ("full", True), ("closed", False), ("gone", False))
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
    """A folder with a plugin that offers a patch, so that asrlab patches has something to print."""
    return write_distribution(tmp_path_factory.mktemp("plugin"), "small", source=PATCH)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, small_folder: Path) -> Path:
    """A folder with a data set, a finished run, hypotheses and a document."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(small_folder, folder / "tones")
    (folder / "hypotheses.csv").write_text("utt_id,text,reference\na,one,one\n")
    (folder / "page.md").write_text("Nothing is claimed here.\n")
    (folder / "evidence").mkdir()
    assert asrlab_cli("bench", "tones", "-m", "echo", "--run", "run", cwd=folder, **FAST).code == 0
    shutil.copytree(folder / "run", folder / "again")
    return folder


@pytest.fixture(scope="module")
def ended(workplace: Path, plugin: Path, run_forked: Any) -> dict[str, dict[tuple[str, bool], Any]]:
    """How each command ended, by its name, where its standard output led, and whether it had --json."""
    asked = [
        (name, stream, as_json)
        for name in COMMANDS
        for stream, as_json in WAYS
        if not (as_json and name in WITHOUT_JSON) and not (stream == "closed" and name in SLOW)
    ]
    cases = [
        (
            [*(part.format(number=number) for part in COMMANDS[name]), *(["--json"] if as_json else [])],
            {"stdout": stream},
        )
        for number, (name, stream, as_json) in enumerate(asked)
    ]
    done = run_forked(cases, folder=workplace, plugins=[plugin], **FAST)
    found: dict[str, dict[tuple[str, bool], Any]] = {name: {} for name in COMMANDS}
    for (name, stream, as_json), each in zip(asked, done, strict=True):
        found[name][stream, as_json] = each
    return found


def test_every_command_is_here():
    """A new command gets its line in the table above."""
    assert set(COMMANDS) == set(asrlab.lazy)


@pytest.mark.parametrize("name", COMMANDS)
def test_standard_output_that_cannot_be_written_is_one_line_and_74(ended: Any, name: str):
    """A full disk or a closed stream: one line says so, the exit code is its own, and nothing else is printed."""
    for (stream, as_json), done in ended[name].items():
        if stream == "gone":
            continue
        beside = ("next:", "  ", "then write")  # what a command says of next steps; of its progress it says "... ..."
        lines = done.stderr.decode().splitlines()
        lines = [line for line in lines if not line.startswith(beside) and not line.endswith(" ...")]
        assert (done.code, len(lines)) == (74, 1), (stream, as_json, done)
        assert lines[0].startswith(ONE_LINE)
        assert ("No space left" if stream == "full" else "the stream is closed") in lines[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_is_gone_is_no_error_of_any_command(ended: Any, name: str):
    """``asrlab ... | head -0`` ends with 0, without a word about it."""
    done = ended[name]["gone", False]
    assert done.code == 0, done
    assert b"Broken" not in done.stderr


REAL = {
    "help": ("--help",),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "--json"),
}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>/dev/full", "2>&-", "<&-", "| :"])
def test_a_shell_sees_the_same(asrlab_cli: Any, workplace: Path, name: str, redirection: str):
    """Lost diagnostics and a closed input change neither output nor exit code; Python's own complaints never appear."""
    command = f"{sys.executable} -m asrlab {' '.join(REAL[name])} {redirection}"
    # a plugin that is not there is a line on standard error, so that there is something to lose
    environment = asrlab_cli.environment(ASRLAB_DISABLE_PLUGINS=FAST["ASRLAB_DISABLE_PLUGINS"] + ",no-such-plugin")
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (74 if redirection.startswith(">") else 0)
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (redirection in {"2>/dev/full", "2>&-", "<&-"})


def test_a_closed_standard_input_is_told(asrlab_cli: Any, workplace: Path):
    """``transcribe - <&-`` is bad input, not a fault."""
    command = f"{sys.executable} -m asrlab transcribe - -m echo <&-"
    environment = asrlab_cli.environment(**FAST)
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=workplace, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"standard input is closed" in done.stderr


FILES = {
    "report": ("report", "run", "--resamples", "10", "-o", "{place}/page.html"),
    "export": ("runs", "run", "--export", "{place}/run.jsonl"),
    "texts": ("runs", "run", "--texts", "{place}/run.csv"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "-o", "{place}/out"),
    "bench": ("bench", "tones", "-m", "echo", "--run", "{place}/run"),
    "new-plugin": ("new-plugin", "asrlab-new", "--folder", "{place}/new"),
}


@pytest.fixture(scope="module")
def refused(run_forked: Any, workplace: Path) -> list[tuple[str, str, Any]]:
    """How each command ends whose file is below a file, in the place of a folder, or below a device: path and end."""
    (workplace / "a-file").write_text("in the way")
    places = [("a-file", name) for name in FILES] + [("/dev/full", name) for name in FILES]
    # the others make the folder, or refuse one that is there
    places += [("places", name) for name in ("report", "export", "texts")]
    cases = [(tuple(part.format(place=place) for part in FILES[name]), {}) for place, name in places]
    for arguments, _ in cases[-3:]:
        (workplace / arguments[-1]).mkdir(parents=True)
    ended = run_forked(cases, folder=workplace, **FAST)
    return [(name, case[0][-1], each) for (_, name), case, each in zip(places, cases, ended, strict=True)]


def test_a_file_that_cannot_be_written_is_74_with_path_and_reason(refused: Any, workplace: Path):
    """Each command that writes a file names it and the reason in one line, and leaves nothing there."""
    for name, path, done in refused:
        [line] = done.stderr.decode().splitlines()
        assert (done.code, done.stdout) == (74, b""), (name, done)
        assert path in line
        assert any(reason in line for reason in ("Not a directory", "Is a directory", "File exists")), line
    assert [entry for entry in (workplace / "places").rglob("*") if entry.is_file()] == []


LIMITED = """
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


def test_nothing_half_written_is_left_when_a_disk_is_full(tmp_path: Path):
    """The file that was there is whole, and no part of the new one is beside it."""
    (tmp_path / "page.html").write_bytes(b"before")
    command = [sys.executable, "-c", LIMITED, tmp_path / "page.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'page.html'} File too large\n"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("page.html", b"before")]


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path: Path):
    """What only its owner may read stays so; a link leads to the new content, unless the folder must not be left."""
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
    """``-o /dev/null`` leaves the device, and a full one is an error."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="No space left"):
        write_file(Path("/dev/full"), b"text")
    write_file(Path("/dev/null"), b"text")
    check_target(tmp_path / "pipe")
    assert [stat.S_ISCHR(Path(name).stat().st_mode) for name in ("/dev/null", "/dev/full")] == [True, True]
    with pytest.raises(OutputError, match="Is a directory"):
        check_target(tmp_path)


DASH = {
    "report": ("report", "run", "--resamples", "10", "-o", "-"),
    "export": ("runs", "run", "--export", "-"),
    "texts": ("runs", "run", "--texts", "-"),
    "trn": ("runs", "run", "--texts", "-", "-f", "trn"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo", "-o", "-"),
}


@pytest.fixture(scope="module")
def dashed(run_forked: Any, workplace: Path) -> dict[str, tuple[Any, Any]]:
    """Each document on standard output, and how the command ends where that is full."""
    cases = [(DASH[name], streams) for name in DASH for streams in ({}, {"stdout": "full"})]
    ended = iter(run_forked(cases, folder=workplace, **FAST))
    return {name: (next(ended), next(ended)) for name in DASH}


@pytest.mark.parametrize("name", DASH)
def test_a_dash_is_standard_output(dashed: Any, workplace: Path, name: str):
    """The document and nothing else is there, no file is called ``-``, and a full disk is told as ever."""
    done, full = dashed[name]
    assert done.code == 0, done
    begins = {
        "report": b"<!doctype html>",
        "export": b'{"record":"manifest"',
        "texts": b"utt_id,text",
        "trn": b"loud (a-first)\n",
        "transcribe": b"loud\n",
    }
    assert done.stdout.lower().startswith(begins[name])
    assert (full.code, full.stderr.decode().startswith(ONE_LINE)) == (74, True)
    assert not (workplace / "-").exists()
    if name == "export":
        assert [json.loads(line)["record"] for line in done.stdout.splitlines()][-1] == "outcome"


@pytest.mark.parametrize("name", ["report", "export", "texts"])
def test_two_documents_on_standard_output_are_refused(asrlab_cli: Any, workplace: Path, name: str):
    """``-o - --json`` would mix them."""
    ran = asrlab_cli(*DASH[name], "--json", cwd=workplace, **FAST)
    assert ran.code == 2
    assert "would both write to standard output" in ran.err
