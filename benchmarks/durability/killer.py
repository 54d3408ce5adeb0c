"""A process without threads that kills runs at random times, one after another, and prints the results as JSON."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Self

import attrs

from .launch import CommandLine, Forked, ProcessResult, Start, Task, import_all, is_pipe_open
from .ledger_observer import Findings, Key, LedgerObserver, LedgerState, load_texts

__all__ = ["PHASES", "Tally"]

PHASES = (
    "before the manifest", "before a session", "while loading", "in flight", "between two utterances", "after the end",
)  # fmt: skip
_EXIT_TIMEOUT_S = 10.0
_MAX_FAILURES = 3


@attrs.define(kw_only=True)
class Tally:
    """The kills of one process, and their findings.

    Attributes:
        kills: Number of kills, by the start method.
        phases: Number of kills in each of `PHASES`.
        runs: Number of completed runs.
        resumes: Number of processes that resumed a run.
        outcomes: Number of outcomes of all runs.
        most_kills: Maximum number of kills of a run.
        torn: Number of kills that left an incomplete line.
        leftovers: Number of killed processes with children that still ran after 10 s.
        refused: Number of processes that ended with an error.
        complaints: Output of the first of those processes.
        findings: Errors in the records.
    """

    kills: Counter[str] = attrs.field(factory=Counter, converter=Counter)
    phases: Counter[str] = attrs.field(factory=Counter, converter=Counter)
    runs: int = 0
    resumes: int = 0
    outcomes: int = 0
    most_kills: int = 0
    torn: int = 0
    leftovers: int = 0
    refused: int = 0
    complaints: list[str] = attrs.field(factory=list)
    findings: Findings = attrs.field(factory=Findings)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Restore a tally from ``attrs.asdict``."""
        return cls(**{**plain, "findings": Findings(**plain["findings"])})

    def add(self, other: Self) -> None:
        """Add the counts of *other*."""
        self.kills += other.kills
        self.phases += other.phases
        for name in ("runs", "resumes", "outcomes", "torn", "leftovers", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most_kills = max(self.most_kills, other.most_kills)
        self.complaints = [*self.complaints, *other.complaints][:_MAX_FAILURES]
        self.findings.add(other.findings)

    @property
    def wrong(self) -> int:
        """Return the counts that must be 0."""
        return self.findings.total + self.leftovers + self.refused


@attrs.define(kw_only=True)
class Killer:
    """Random kills of runs, one run at a time.

    Attributes:
        task: The run; each run has a new folder.
        kills: Number of kills to make.
        share: Share of kills of the command line.
        chance: Random generator for times and processes.
        starts: Start methods by name.
        spans: Seconds of a whole run, by start method.
        texts: Texts of an undisturbed run.
        tally: Results so far.
    """

    task: Task
    kills: int
    share: float
    chance: random.Random
    starts: dict[str, Start] = attrs.field(factory=lambda: {"command": CommandLine(), "fork": Forked()})
    spans: dict[str, float] = attrs.field(factory=dict)
    texts: dict[Key, str] = attrs.field(factory=dict)
    tally: Tally = attrs.field(factory=Tally)

    def run(self) -> None:
        """Run undisturbed runs first, then kill runs until the number of kills is reached."""
        for name, start in self.starts.items():
            task = self._create_task(f"undisturbed-{name}")
            result = start(task, after=None, before_kill=_do_nothing)
            self._check_exits([result])
            if result.code:
                sys.exit("\n".join(self.tally.complaints))
            self.spans[name], self.texts = result.seconds, load_texts(task.run)
        while self.tally.kills.total() < self.kills:
            self._kill_run(self._create_task(f"run-{self.tally.runs}"))

    def _create_task(self, name: str) -> Task:
        return attrs.evolve(self.task, run=self.task.run / name)

    def _kill_run(self, task: Task) -> None:
        """Kill one run repeatedly, until it is complete."""
        observer = LedgerObserver(run=task.run)
        results: list[ProcessResult] = []
        before, failures = self.tally.kills.total(), 0
        while failures < _MAX_FAILURES:
            name = "command" if self.chance.random() < self.share else "fork"
            share = self._remaining_share(observer.last)
            last = self.tally.kills.total() >= self.kills
            after = None if last else self.chance.uniform(0, self.spans[name] * share)
            self.tally.resumes += task.begun
            sessions = _count_sessions(observer.last)
            results.append(self.starts[name](task, after=after, before_kill=observer.observe))
            state = observer.observe()
            if results[-1].code is None:
                self._count_kill(name, state, sessions, begun=task.begun)
            elif results[-1].code == 0:
                # the mean of two times, because the load of the machine varies
                self.spans[name] = (self.spans[name] + results[-1].seconds / share) / 2
                break
            else:
                failures += 1
        self._check_exits(results)
        observer.compare_outcomes(self.texts)
        self.tally.findings.add(observer.findings)
        self.tally.runs += 1
        self.tally.outcomes += len(observer.last.outcomes())
        self.tally.most_kills = max(self.tally.most_kills, self.tally.kills.total() - before)

    def _remaining_share(self, state: LedgerState) -> float:
        """Return the share of a run's time that remains; start and load are about half of the time."""
        return 1 - len(state.outcomes()) / len(self.texts) / 2

    def _count_kill(self, name: str, state: LedgerState, sessions: int, *, begun: bool) -> None:
        self.tally.kills[name] += 1
        self.tally.phases[_phase(state, sessions, begun=begun)] += 1
        self.tally.torn += state.torn
        print("kill", flush=True)

    def _check_exits(self, results: list[ProcessResult]) -> None:
        """Check how processes ended, after the next process has started, as if a user had resumed the run."""
        for result in results:
            is_open, output = is_pipe_open(result.stderr, seconds=_EXIT_TIMEOUT_S)
            self.tally.leftovers += is_open
            if result.code:
                self.tally.refused += 1
                self.tally.complaints = [*self.tally.complaints, output[-2000:]][:_MAX_FAILURES]


def _count_sessions(state: LedgerState) -> int:
    return sum(line.startswith(b'{"record":"session",') for line in state.lines)


def _phase(state: LedgerState, sessions: int, *, begun: bool) -> str:
    """Return the phase in which a process was killed, from the ledger and the number of earlier sessions."""
    if not begun:
        return PHASES[0]
    if _count_sessions(state) == sessions:
        return PHASES[1]
    kinds = [record["record"] for record in state.records()]
    if kinds[-1] == "session-end":
        return PHASES[5]
    if "loaded" not in kinds[len(kinds) - kinds[::-1].index("session") :]:
        return PHASES[2]
    return PHASES[3] if kinds[-1] == "started" else PHASES[4]


def _do_nothing() -> None:
    """Do nothing, because the process is not killed."""


def main() -> None:
    """Run with the arguments of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--share", type=float, required=True, help="share of kills of the command line")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("model")
    parser.add_argument("dataset")
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    task = Task(
        dataset=arguments.dataset, model=arguments.model, run=arguments.folder, options=tuple(arguments.options)
    )
    killer = Killer(task=task, kills=arguments.kills, share=arguments.share, chance=random.Random(arguments.seed))  # noqa: S311
    os.chdir(arguments.folder)  # independent of the caller's working directory
    if arguments.share == 1:
        del killer.starts["fork"]
    else:
        import_all(arguments.dataset, arguments.folder, model=arguments.model)
    killer.run()
    print(json.dumps({"spans": killer.spans, **attrs.asdict(killer.tally)}))


if __name__ == "__main__":
    main()
