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

from .launch import CommandLine, Fate, Forked, Start, Task, import_all, is_pipe_open
from .witness import Findings, Key, Look, Witness, texts_of

__all__ = ["PHASES", "Tally"]

PHASES = (
    "before the manifest", "before a session", "while loading", "in flight", "between two utterances", "after the end",
)  # fmt: skip
_FAREWELL_S = 10.0
_IN_VAIN = 3


@attrs.define(kw_only=True)
class Tally:
    """The kills of a lane, and their findings.

    Attributes:
        kills: Number of kills, by the start method.
        phases: Number of kills in each of `PHASES`.
        runs: Number of completed runs.
        resumes: Number of processes that resumed a run.
        outcomes: Number of outcomes of all runs.
        most_kills: Maximum number of kills of a run.
        torn: Number of kills that left an incomplete line.
        leftovers: Number of killed processes with children that ran 10 s later.
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
        self.complaints = [*self.complaints, *other.complaints][:_IN_VAIN]
        self.findings.add(other.findings)

    @property
    def wrong(self) -> int:
        """Return the counts that must be 0."""
        return self.findings.total + self.leftovers + self.refused


@attrs.define(kw_only=True)
class Lane:
    """A process that kills runs, one run at a time.

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

    def work(self) -> None:
        """Run undisturbed runs first, then kill runs until all kills are made."""
        for name, start in self.starts.items():
            task = self._in(f"undisturbed-{name}")
            fate = start(task, after=None, before_kill=_nothing)
            self._end_of([fate])
            if fate.code:
                sys.exit("\n".join(self.tally.complaints))
            self.spans[name], self.texts = fate.seconds, texts_of(task.run)
        while self.tally.kills.total() < self.kills:
            self._run(self._in(f"run-{self.tally.runs}"))

    def _in(self, name: str) -> Task:
        return attrs.evolve(self.task, run=self.task.run / name)

    def _run(self, task: Task) -> None:
        """Kill one run repeatedly, until it is complete."""
        witness = Witness(run=task.run)
        fates: list[Fate] = []
        before, in_vain = self.tally.kills.total(), 0
        while in_vain < _IN_VAIN:
            name = "command" if self.chance.random() < self.share else "fork"
            rest = self._rest(witness.last)
            last = self.tally.kills.total() >= self.kills
            after = None if last else self.chance.uniform(0, self.spans[name] * rest)
            self.tally.resumes += task.begun
            sessions = _sessions(witness.last)
            fates.append(self.starts[name](task, after=after, before_kill=witness.look))
            look = witness.look()
            if fates[-1].code is None:
                self._killed(name, look, sessions, begun=task.begun)
            elif fates[-1].code == 0:
                self.spans[name] = (self.spans[name] + fates[-1].seconds / rest) / 2  # others use the machine, too
                break
            else:
                in_vain += 1
        self._end_of(fates)
        witness.close(self.texts)
        self.tally.findings.add(witness.findings)
        self.tally.runs += 1
        self.tally.outcomes += len(witness.last.outcomes())
        self.tally.most_kills = max(self.tally.most_kills, self.tally.kills.total() - before)

    def _rest(self, look: Look) -> float:
        """Return the share of a run's time that its rest takes; start and load are about half."""
        return 1 - len(look.outcomes()) / len(self.texts) / 2

    def _killed(self, name: str, look: Look, sessions: int, *, begun: bool) -> None:
        self.tally.kills[name] += 1
        self.tally.phases[_phase(look, sessions, begun=begun)] += 1
        self.tally.torn += look.torn
        print("kill", flush=True)

    def _end_of(self, fates: list[Fate]) -> None:
        """Record the ends of killed processes, after the next process has started, as a user would resume."""
        for fate in fates:
            is_open, output = is_pipe_open(fate.stderr, seconds=_FAREWELL_S)
            self.tally.leftovers += is_open
            if fate.code:
                self.tally.refused += 1
                self.tally.complaints = [*self.tally.complaints, output[-2000:]][:_IN_VAIN]


def _sessions(look: Look) -> int:
    return sum(line.startswith(b'{"record":"session",') for line in look.lines)


def _phase(look: Look, sessions: int, *, begun: bool) -> str:
    """Return the phase in which a process was killed, from the ledger and the number of earlier sessions."""
    if not begun:
        return PHASES[0]
    if _sessions(look) == sessions:
        return PHASES[1]
    kinds = [record["record"] for record in look.records()]
    if kinds[-1] == "session-end":
        return PHASES[5]
    if "loaded" not in kinds[len(kinds) - kinds[::-1].index("session") :]:
        return PHASES[2]
    return PHASES[3] if kinds[-1] == "started" else PHASES[4]


def _nothing() -> None:
    """Do nothing: the process is not killed."""


def main() -> None:
    """Run with the arguments of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--share", type=float, required=True, help="of kills that hit the command line")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("model")
    parser.add_argument("dataset")
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    task = Task(dataset=given.dataset, model=given.model, run=given.folder, options=tuple(given.options))
    lane = Lane(task=task, kills=given.kills, share=given.share, chance=random.Random(given.seed))  # noqa: S311
    os.chdir(given.folder)  # the user's tree is no part of this
    if given.share == 1:
        del lane.starts["fork"]
    else:
        import_all(given.dataset, given.folder, model=given.model)
    lane.work()
    print(json.dumps({"spans": lane.spans, **attrs.asdict(lane.tally)}))


if __name__ == "__main__":
    main()
