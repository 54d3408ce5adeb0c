"""Helpers that run several commands in forks of one process, each with its own standard streams."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STREAMS = ("stdout", "stderr")
DRIVER = r"""
import json, os, pty, select, sys
import asrlab.cli.main
import asrlab.cli.comparison_view, asrlab.cli.run_view
import asrlab.evaluation.reports.comparison, asrlab.evaluation.reports.html_report, asrlab.evaluation.runs.bench
import asrlab.loading, rich.progress


def attach(descriptor, kind, mode):
    name = ("stdin", "stdout", "stderr")[descriptor]
    if kind == "closed":
        os.close(descriptor)
        setattr(sys, name, None)
        return
    if kind == "full":
        opened = os.open("/dev/full", mode)
    elif kind == "no-reader":
        read, opened = os.pipe()
        os.close(read)
    else:
        opened = kind
    os.dup2(opened, descriptor)
    setattr(sys, name, os.fdopen(descriptor, "r" if descriptor == 0 else "w", closefd=False))


def run(case):
    ends = {}
    streams = dict(case["streams"])
    for name in ("stdout", "stderr"):
        if streams.get(name, "pipe") == "pipe":
            ends[name] = os.pipe()
        elif streams[name] == "terminal":
            ends[name] = pty.openpty()
    pid = os.fork()
    if pid == 0:
        if "cwd" in case:
            os.chdir(case["cwd"])
        os.environ.update(case.get("environment", {}))
        attach(0, streams.get("stdin") or os.open(os.devnull, os.O_RDONLY), os.O_RDONLY)
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            attach(descriptor, ends[name][1] if name in ends else streams[name], os.O_WRONLY)
        for read, write in ends.values():
            os.close(read)
            os.close(write)
        sys.argv = ["asrlab", *case["arguments"]]
        asrlab.cli.main.main()
        raise AssertionError("main always exits")
    for _, write in ends.values():
        os.close(write)
    output = {name: b"" for name in ("stdout", "stderr")}
    reading = {read: name for name, (read, _) in ends.items()}
    while reading:
        for read in select.select(list(reading), [], [])[0]:
            try:
                data = os.read(read, 65536)
            except OSError:  # a terminal whose other end is closed
                data = b""
            if not data:
                del reading[read]
                os.close(read)
                continue
            output[ends_name(ends, read)] += data
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status)} | {name: data.decode("latin-1") for name, data in output.items()}


def ends_name(ends, read):
    return next(name for name, pair in ends.items() if pair[0] == read)


if __name__ == "__main__":
    results = []
    for case in json.load(open(sys.argv[1])):
        results.append(run(case))
    json.dump(results, open(sys.argv[2], "w"))
    os._exit(0)
"""


@attrs.frozen(kw_only=True)
class CommandResult:
    """Result of a command that has exited.

    Attributes:
        code: The exit code. Negative if a signal ended the command.
        stdout: The command's standard output if it was a pipe or a terminal.
        stderr: The command's standard error if it was a pipe or a terminal.
    """

    code: int
    stdout: bytes
    stderr: bytes


@pytest.fixture(scope="session")
def run_forked(asrlab_cli: Any) -> Callable[..., list[CommandResult]]:
    """Return a function that runs commands in order within a folder.

    Each case consists of the arguments and the destination of each stream: ``pipe`` (the default), ``terminal``,
    ``full``, ``closed`` or ``no-reader``.
    """

    def run(
        cases: Sequence[tuple[Sequence[str], dict[str, str]]],
        *,
        folder: Path,
        plugins: Sequence[Path] = (),
        **variables: str,
    ) -> list[CommandResult]:
        cases_path, results_path, driver = (folder / name for name in (".cases.json", ".results.json", ".driver.py"))
        case_records = [{"arguments": list(map(str, arguments)), "streams": streams} for arguments, streams in cases]
        cases_path.write_text(json.dumps(case_records), encoding="utf-8")
        driver.write_text(DRIVER, encoding="utf-8")
        process = subprocess.run(
            [sys.executable, driver, cases_path, results_path],
            cwd=folder,
            env=asrlab_cli.environment(plugins=plugins, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        results = json.loads(results_path.read_text(encoding="utf-8"))
        for path in (cases_path, results_path, driver):
            path.unlink()
        return [
            CommandResult(code=result["code"], **{name: result[name].encode("latin-1") for name in STREAMS})
            for result in results
        ]

    return run
