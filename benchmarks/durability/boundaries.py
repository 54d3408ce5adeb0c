"""A process without threads that kills a run at every call that changes its folder, once each, and prints JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from .clips import write_clips
from .disk import Disk, KillPoint, When
from .launch import import_all
from .ledger_observer import Findings, Key, LedgerObserver, LedgerState, load_texts

__all__ = ["Boundaries"]


@attrs.define(kw_only=True)
class Boundaries:
    """The kills at each call, and their findings.

    Attributes:
        utterances: Number of utterances in the run.
        calls: Number of calls that change the folder, in an undisturbed run.
        kills: Number of kills of a first run.
        resumes_from: Number of first kills after which the resumed run also was killed at every call.
        kills_in_resumes: Number of kills of resumed runs.
        power_cuts: Number of kills that lost data that was not synced.
        failures: Number of cases with a finding or a wrong exit status.
        examples: Descriptions of the first failures.
        findings: Counts of findings.
    """

    utterances: int
    calls: list[str] = attrs.field(factory=list)
    kills: int = 0
    resumes_from: int = 0
    kills_in_resumes: int = 0
    power_cuts: int = 0
    failures: int = 0
    examples: list[str] = attrs.field(factory=list)
    findings: Findings = attrs.field(factory=Findings)


@attrs.frozen
class ProcessEnd:
    """A forked process that wrote a run.

    Attributes:
        code: Exit status; -9 if the process killed itself.
        n_reported: Number of outcomes that the process reported.
        calls: The calls, if the process ended normally.
        message: The traceback of an error.
    """

    code: int
    n_reported: int = 0
    calls: tuple[str, ...] = ()
    message: str = ""


@attrs.define(kw_only=True)
class _Cases:
    """The cases, run one after another in a temporary folder.

    Attributes:
        quick: True to skip equivalent cases: after a call equals before the next call, and of several folders with the
            same numbers of lines in the same files only one is resumed.
    """

    dataset: Path
    folder: Path
    quick: bool
    result: Boundaries
    shapes: set[object] = attrs.field(factory=set)
    texts: dict[Key, str] = attrs.field(factory=dict)

    def run(self, *, first_kills: int | None) -> None:
        """Run all cases; *first_kills* of them, or all if None, with a second kill in the resume."""
        undisturbed = self._fork(self._create_folder("undisturbed"), None)
        if undisturbed.code or undisturbed.message:
            sys.exit(undisturbed.message)
        self.texts = load_texts(self.folder / "undisturbed" / "run")
        self.result.calls = list(undisturbed.calls)
        for point in self._kill_points(undisturbed.calls):
            self._kill_once(point)
        for point in _select_evenly(list(self._kill_points(undisturbed.calls)), first_kills):
            self._kill_twice(point)

    def _kill_points(self, calls: Sequence[str]) -> Iterator[KillPoint]:
        """Yield the points around each call and in the middle of each write, with and without a power cut."""
        whens: tuple[When, ...] = ("before", "half") if self.quick else ("before", "half", "after")
        for power_cut in (False, True):
            for number, call in enumerate(calls):
                for when in whens:
                    if when != "half" or (call.startswith("write") and not power_cut):
                        yield KillPoint(call=number, when=when, power_cut=power_cut)

    def _create_folder(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        return self.folder / name / "run"

    def _kill_once(self, point: KillPoint) -> None:
        """Kill a run at *point*, then resume the run to its end."""
        run = self._create_folder("once")
        observer = LedgerObserver(run=run)
        self._kill(observer, point)
        self.result.kills += 1
        self._finish(observer, f"killed {_describe(point, self.result.calls)}")

    def _kill_twice(self, first: KillPoint) -> None:
        """Kill a run at *first*, and its resume at every point."""
        begun = self._create_folder("begun")
        observer = LedgerObserver(run=begun)
        self._kill(observer, first)
        calls = self._fork(self._copy(begun), None).calls
        self.result.resumes_from += 1
        for second in self._kill_points(calls):
            if second.power_cut or not first.power_cut:
                resumed = LedgerObserver(run=self._copy(begun), last=observer.last)
                self._kill(resumed, second, doubtful=not first.power_cut)
                self.result.kills_in_resumes += 1
                description = f"killed {_describe(first, self.result.calls)}, and resumed {_describe(second, calls)}"
                self._finish(resumed, description)

    def _copy(self, begun: Path) -> Path:
        run = self._create_folder("again")
        if begun.exists():
            shutil.copytree(begun, run)
        return run

    def _kill(self, observer: LedgerObserver, point: KillPoint, *, doubtful: bool = False) -> None:
        """Kill a process, and require every reported outcome; a power cut may lose outcomes that were not reported."""
        ended = self._fork(observer.run, point, doubtful=doubtful)
        self.result.power_cuts += point.power_cut
        if point.power_cut and doubtful:
            observer.last = LedgerState()
        observer.require_outcomes(ended.n_reported)
        if ended.code != -signal.SIGKILL:
            self._add_failure(f"{point} was not reached: {ended}")

    def _finish(self, observer: LedgerObserver, description: str) -> None:
        ended, shape = ProcessEnd(0), _count_lines(observer.run)
        if not self.quick or shape not in self.shapes:
            ended = self._fork(observer.run, None)
            observer.compare_outcomes(self.texts)
        self.shapes.add(shape)
        if ended.code or observer.findings.total:
            self._add_failure(f"{description}: {observer.findings} {ended.message[-600:]}".rstrip())
        self.result.findings.add(observer.findings)

    def _add_failure(self, description: str) -> None:
        self.result.failures += 1
        self.result.examples = [*self.result.examples, description][:5]

    def _fork(self, run: Path, point: KillPoint | None, *, doubtful: bool = False) -> ProcessEnd:
        """Write the run in a forked process, which kills itself at *point*."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            _write_run(self.dataset, Disk(run, point, doubtful=doubtful), run, writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            messages = [json.loads(line) for line in pipe]
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        counts = [message for message in messages if isinstance(message, int)]
        last = messages[-1] if messages and isinstance(messages[-1], dict) else {}
        return ProcessEnd(code, max(counts, default=0), tuple(last.get("calls", ())), last.get("message", ""))


def _write_run(dataset: Path, disk: Disk, run: Path, pipe: int) -> None:
    """Write the run and exit: report the number of outcomes to *pipe* whenever it changes, and the calls at the end."""
    from asrlab.evaluation.runs.bench import bench
    from asrlab.evaluation.runs.runner import RunProgress
    from asrlab.plugins.manager import PluginHost
    from asrlab.testing.in_process import InProcessExecutor

    write = os.write

    def report(progress: RunProgress) -> None:
        write(pipe, f"{progress.done}\n".encode())

    code, message = 1, ""
    try:
        disk.watch()
        host = PluginHost(points=())  # loading plugins takes longer than the rest of the run
        bench(dataset, models="echo", run=run, executor=InProcessExecutor(), progress=report, host=host)
        code = 0
        if disk.unseen:
            code, message = 2, f"written by calls that are not intercepted: {disk.unseen}"
    except BaseException:  # noqa: BLE001 - a fork must not continue the work of its parent
        message = traceback.format_exc()
    finally:
        write(pipe, json.dumps({"calls": disk.calls, "message": message}).encode() + b"\n")
        os._exit(code)


def _count_lines(run: Path) -> object:
    """Return the files of a run, their numbers of lines, and whether the last line is complete."""
    contents = {path.name: path.read_bytes() for path in run.glob("*.*")}
    return frozenset((name, content.count(b"\n"), content[-1:]) for name, content in contents.items())


def _select_evenly(points: list[KillPoint], count: int | None) -> list[KillPoint]:
    """Return *count* of *points*, evenly distributed; all if None."""
    if count is None or count >= len(points):
        return points
    return [points[len(points) * (2 * number + 1) // (2 * count)] for number in range(count)]


def _describe(point: KillPoint, calls: Sequence[str]) -> str:
    when = "halfway through" if point.when == "half" else point.when
    return f"{when} {calls[point.call]} (call {point.call}){', power cut' if point.power_cut else ''}"


def main() -> None:
    """Run with the arguments of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, required=True)
    parser.add_argument(
        "--first-kills", type=int, help="number of first kills after which the resume is killed, too (default: all)"
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="skip cases that are equivalent to another case")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    os.chdir(folder)  # independent of the caller's working directory
    dataset = write_clips(folder / "clips", arguments.utterances)
    import_all(dataset, folder)
    gc.freeze()
    result = Boundaries(utterances=arguments.utterances)
    cases = _Cases(dataset=dataset, folder=folder, quick=arguments.quick, result=result)
    cases.run(first_kills=arguments.first_kills)
    print(json.dumps(attrs.asdict(cases.result)))


if __name__ == "__main__":
    main()
