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
from .disk import Disk, Place, When
from .launch import import_all
from .witness import Findings, Key, Look, Witness, texts_of

__all__ = ["Boundaries"]


@attrs.define(kw_only=True)
class Boundaries:
    """The kills, and their findings.

    Attributes:
        utterances: Number of utterances in the run.
        calls: Number of calls that change the folder, in an undisturbed run.
        kills: Number of kills of a first run.
        resumes_from: Number of first kills after which the resumed run was killed at every call, too.
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
class Ended:
    """A forked process that wrote a run.

    Attributes:
        code: Exit status; -9 if the process killed itself.
        n_reported: Number of outcomes that the process reported.
        calls: The calls, if the process ended normally.
        message: The error.
    """

    code: int
    n_reported: int = 0
    calls: tuple[str, ...] = ()
    message: str = ""


@attrs.define(kw_only=True)
class _Trial:
    """Cases one after another, each in a temporary folder.

    Attributes:
        quick: Skip equivalent cases: after a call equals before the next call, and a folder with the same number of
            lines in the same files is resumed once.
    """

    dataset: Path
    folder: Path
    quick: bool
    done: Boundaries
    shapes: set[object] = attrs.field(factory=set)
    texts: dict[Key, str] = attrs.field(factory=dict)

    def work(self, *, first_kills: int | None) -> None:
        """Run all cases; *first_kills* of them, or all if None, with a second kill in the resume."""
        undisturbed = self._fork(self._fresh("undisturbed"), None)
        if undisturbed.code or undisturbed.message:
            sys.exit(undisturbed.message)
        self.texts = texts_of(self.folder / "undisturbed" / "run")
        self.done.calls = list(undisturbed.calls)
        for place in self._places(undisturbed.calls):
            self._once(place)
        for place in _some(list(self._places(undisturbed.calls)), first_kills):
            self._again(place)

    def _places(self, calls: Sequence[str]) -> Iterator[Place]:
        """Yield the places around each call and in the middle of each write, with and without a power cut."""
        whens: tuple[When, ...] = ("before", "half") if self.quick else ("before", "half", "after")
        for power_cut in (False, True):
            for number, call in enumerate(calls):
                for when in whens:
                    if when != "half" or (call.startswith("write") and not power_cut):
                        yield Place(call=number, when=when, power_cut=power_cut)

    def _fresh(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        return self.folder / name / "run"

    def _once(self, place: Place) -> None:
        """Kill a run at *place*, then resume it to its end."""
        run = self._fresh("once")
        witness = Witness(run=run)
        self._kill(witness, place)
        self.done.kills += 1
        self._finish(witness, f"killed {_named(place, self.done.calls)}")

    def _again(self, first: Place) -> None:
        """Kill a run at *first*, and its resume at every place."""
        begun = self._fresh("begun")
        witness = Witness(run=begun)
        self._kill(witness, first)
        calls = self._fork(self._copy(begun), None).calls
        self.done.resumes_from += 1
        for second in self._places(calls):
            if second.power_cut or not first.power_cut:
                later = Witness(run=self._copy(begun), last=witness.last)
                self._kill(later, second, doubtful=not first.power_cut)
                self.done.kills_in_resumes += 1
                description = f"killed {_named(first, self.done.calls)}, and resumed {_named(second, calls)}"
                self._finish(later, description)

    def _copy(self, begun: Path) -> Path:
        run = self._fresh("again")
        if begun.exists():
            shutil.copytree(begun, run)
        return run

    def _kill(self, witness: Witness, place: Place, *, doubtful: bool = False) -> None:
        """Kill a process, and require every reported outcome; a power cut may lose outcomes that were not reported."""
        ended = self._fork(witness.run, place, doubtful=doubtful)
        self.done.power_cuts += place.power_cut
        if place.power_cut and doubtful:
            witness.last = Look()
        witness.look_for(ended.n_reported)
        if ended.code != -signal.SIGKILL:
            self._failed(f"{place} was never reached: {ended}")

    def _finish(self, witness: Witness, description: str) -> None:
        ended, shape = Ended(0), _shape(witness.run)
        if not self.quick or shape not in self.shapes:
            ended = self._fork(witness.run, None)
            witness.close(self.texts)
        self.shapes.add(shape)
        if ended.code or witness.findings.total:
            self._failed(f"{description}: {witness.findings} {ended.message[-600:]}".rstrip())
        self.done.findings.add(witness.findings)

    def _failed(self, description: str) -> None:
        self.done.failures += 1
        self.done.examples = [*self.done.examples, description][:5]

    def _fork(self, run: Path, place: Place | None, *, doubtful: bool = False) -> Ended:
        """Write the run in a forked process, which kills itself at *place*."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            _write_run(self.dataset, Disk(run, place, doubtful=doubtful), run, writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            messages = [json.loads(line) for line in pipe]
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        counts = [message for message in messages if isinstance(message, int)]
        last = messages[-1] if messages and isinstance(messages[-1], dict) else {}
        return Ended(code, max(counts, default=0), tuple(last.get("calls", ())), last.get("message", ""))


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
        host = PluginHost(points=())  # looking for plugins takes longer than all the rest
        bench(dataset, models="echo", run=run, executor=InProcessExecutor(), progress=report, host=host)
        code = 0
        if disk.unseen:
            code, message = 2, f"written past the watched calls: {disk.unseen}"
    except BaseException:  # noqa: BLE001 - a fork must not go on with what its parent was at
        message = traceback.format_exc()
    finally:
        write(pipe, json.dumps({"calls": disk.calls, "message": message}).encode() + b"\n")
        os._exit(code)


def _shape(run: Path) -> object:
    """Return the files of a run, their numbers of lines, and whether the last line is complete."""
    contents = {path.name: path.read_bytes() for path in run.glob("*.*")}
    return frozenset((name, content.count(b"\n"), content[-1:]) for name, content in contents.items())


def _some(places: list[Place], count: int | None) -> list[Place]:
    """Return *count* items, evenly spread."""
    if count is None or count >= len(places):
        return places
    return [places[len(places) * (2 * number + 1) // (2 * count)] for number in range(count)]


def _named(place: Place, calls: Sequence[str]) -> str:
    when = "halfway through" if place.when == "half" else place.when
    return f"{when} {calls[place.call]} (call {place.call}){', power cut' if place.power_cut else ''}"


def main() -> None:
    """Run with the arguments of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, required=True)
    parser.add_argument("--first-kills", type=int, help="after which the resume is killed as well; all if not given")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="leave out what is the same as another case")
    given = parser.parse_args()
    folder = given.folder.resolve()
    os.chdir(folder)  # the user's tree is no part of this
    dataset = write_clips(folder / "clips", given.utterances)
    import_all(dataset, folder)
    gc.freeze()
    done = Boundaries(utterances=given.utterances)
    trial = _Trial(dataset=dataset, folder=folder, quick=given.quick, done=done)
    trial.work(first_kills=given.first_kills)
    print(json.dumps(attrs.asdict(trial.done)))


if __name__ == "__main__":
    main()
