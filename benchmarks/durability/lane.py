"""Kills one run after the other at random times, as a process without threads: prints what it did as JSON."""

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

from .launch import CommandLine, Fate, Forked, Start, Task, held_open, import_all
from .witness import Findings, Key, Look, Witness, texts_of

__all__ = ["PHASES", "Tally"]

PHASES = (
    "before the manifest", "before a session", "while loading", "in flight", "between two utterances", "after the end",
)  # fmt: skip
_FAREWELL_S = 10.0
_IN_VAIN = 3


@attrs.define(kw_only=True)
class Tally:
    """What a lane did, and found.

    Attributes:
        kills: By the way the killed process was started.
        phases: What the killed process was at, by `PHASES`.
        runs: Brought to their end.
        resumes: Processes that went on with a run.
        outcomes: Of all runs together.
        most_kills: Of one run.
        torn: Kills that left a part of a line.
        leftovers: Killed processes of which something still ran 10 s later.
        refused: Processes that ended with an error by themselves.
        complaints: What the first of those said.
        findings: What was wrong in the records.
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
        """Read back what ``attrs.asdict`` gave."""
        return cls(**{**plain, "findings": Findings(**plain["findings"])})

    def add(self, other: Self) -> None:
        """Count *other* in."""
        self.kills += other.kills
        self.phases += other.phases
        for name in ("runs", "resumes", "outcomes", "torn", "leftovers", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most_kills = max(self.most_kills, other.most_kills)
        self.complaints = [*self.complaints, *other.complaints][:_IN_VAIN]
        self.findings.add(other.findings)

    @property
    def wrong(self) -> int:
        """Everything that is to be 0."""
        return self.findings.total + self.leftovers + self.refused


@attrs.define(kw_only=True)
class Lane:
    """One run at a time.

    Attributes:
        task: What each run is of; its folder is made anew for each.
        kills: To be made.
        share: Of the kills that hit the command line.
        chance: Says when, and whom.
        starts: The ways to start a process, by name.
        spans: Seconds that a whole run takes, by the same.
        texts: Of an undisturbed run.
        tally: What was done.
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
        """Undisturbed runs first, then one run after the other until all kills are made."""
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
        """One run, killed again and again, to its end."""
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
        """Which part of a whole run's time the rest of one takes; starting and loading is about half of it."""
        return 1 - len(look.outcomes()) / len(self.texts) / 2

    def _killed(self, name: str, look: Look, sessions: int, *, begun: bool) -> None:
        self.tally.kills[name] += 1
        self.tally.phases[_phase(look, sessions, begun=begun)] += 1
        self.tally.torn += look.torn
        print("kill", flush=True)

    def _end_of(self, fates: list[Fate]) -> None:
        """Whether all processes are gone: a killed one is not asked before the next has begun, as a user would not."""
        for fate in fates:
            held, said = held_open(fate.stderr, seconds=_FAREWELL_S)
            self.tally.leftovers += held
            if fate.code:
                self.tally.refused += 1
                self.tally.complaints = [*self.tally.complaints, said[-2000:]][:_IN_VAIN]


def _sessions(look: Look) -> int:
    return sum(line.startswith(b'{"record":"session",') for line in look.lines)


def _phase(look: Look, sessions: int, *, begun: bool) -> str:
    """What a process was at that left the ledger like this, and found it with so many sessions."""
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
    """For a process that is not killed."""


def main() -> None:
    """Do what the arguments say."""
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
