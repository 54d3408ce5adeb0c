"""What a run's ledger held whenever somebody looked, read without any of asrlab's own code."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

import attrs

__all__ = ["Findings", "Look", "Witness", "texts_of"]

type Key = tuple[str, str, int]
"""Model, utterance, repeat."""


@attrs.define(kw_only=True)
class Findings:
    """What was wrong, in numbers; all are to be 0.

    Attributes:
        lost: Records that were whole in the file once, and are not there any more as they were; and outcomes that the
            run had told of and that are not there.
        damaged: Lines, with their ends, that are not JSON.
        twice: Outcomes beyond the first of an utterance.
        missing: Utterances without an outcome at the end.
        other_text: Utterances whose text is not that of the undisturbed run.
        set_aside: Innocent utterances that have a failure for an outcome.
        tried_again: Innocent utterances that count as tried more than once.
        unread: Runs that asrlab's own reader reads differently.
    """

    lost: int = 0
    damaged: int = 0
    twice: int = 0
    missing: int = 0
    other_text: int = 0
    set_aside: int = 0
    tried_again: int = 0
    unread: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(attrs.astuple(self))

    def add(self, other: Self) -> None:
        """Count those of *other* in."""
        for name, count in attrs.asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@attrs.frozen
class Look:
    """A ledger at one moment.

    Attributes:
        lines: Whole ones, with their ends.
        torn: Whether something without an end follows them.
    """

    lines: tuple[bytes, ...] = ()
    torn: bool = False

    @classmethod
    def at(cls, ledger: Path) -> Self:
        """Read *ledger*; one that is not there is empty."""
        try:
            content = ledger.read_bytes()
        except FileNotFoundError:
            return cls()
        *lines, rest = content.split(b"\n")
        return cls(tuple(line + b"\n" for line in lines), bool(rest))

    def records(self) -> list[dict[str, Any]]:
        """The whole lines as JSON, without those that are none."""
        return [record for line in self.lines if (record := _parsed(line)) is not None]

    def outcomes(self) -> dict[Key, list[dict[str, Any]]]:
        """Those of each utterance; more than one is one too many."""
        found: dict[Key, list[dict[str, Any]]] = {}
        for record in self.records():
            if record["record"] == "outcome":
                found.setdefault((record["model"], record["id"], record.get("repeat", 0)), []).append(record)
        return found


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


@attrs.define(kw_only=True)
class Witness:
    """Looks at one run's ledger again and again, and keeps what it saw.

    Attributes:
        run: The run's folder.
        findings: What was wrong so far.
        last: What it saw last.
    """

    run: Path
    findings: Findings = attrs.field(factory=Findings)
    last: Look = attrs.field(factory=Look)

    def look(self) -> Look:
        """Read the ledger; everything that was there before must be there still, in the same bytes and order."""
        now = Look.at(self.run / "ledger.jsonl")
        before = self.last.lines
        if now.lines[: len(before)] != before:
            gone = Counter(before) - Counter(now.lines)
            self.findings.lost += max(1, gone.total())
        self.last = now
        return now

    def look_for(self, told: int) -> Look:
        """The same; and as many outcomes must be there as the run had *told* of."""
        now = self.look()
        self.findings.lost += max(0, told - len(now.outcomes()))
        return now

    def close(self, texts: dict[Key, str]) -> None:
        """Hold the finished run against the *texts* of an undisturbed one."""
        outcomes = self.look().outcomes()
        found = self.findings
        found.damaged += len(self.last.lines) - len(self.last.records())
        found.missing += len(texts.keys() - outcomes.keys())
        found.twice += sum(len(each) - 1 for each in outcomes.values())
        for key, (first, *_) in outcomes.items():
            found.set_aside += first.get("failure") is not None
            found.tried_again += first.get("attempts", 1) > 1
            found.other_text += first.get("failure") is None and first.get("hypothesis") != texts.get(key)
        found.unread += not self._read_alike(texts)

    def _read_alike(self, texts: dict[Key, str]) -> bool:
        from asrlab import AsrlabError
        from asrlab.evaluation.runs.load import load_run

        try:
            result = load_run(self.run)
        except AsrlabError:
            return False
        read = {(model.model, each.id, 0): each.hypothesis for model in result.models for each in model.utterances}
        return result.complete and read == {key: text for key, text in texts.items() if not key[2]}


def texts_of(run: Path) -> dict[Key, str]:
    """The texts of an undisturbed run."""
    outcomes = Look.at(run / "ledger.jsonl").outcomes()
    return {key: outcome["hypothesis"] for key, (outcome,) in outcomes.items()}
