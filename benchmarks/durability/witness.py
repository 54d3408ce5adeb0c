"""Observations of a run's ledger, read without code of asrlab."""

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
    """Counts of errors; all must be 0.

    Attributes:
        lost: Records that were complete in the file once and are missing or changed; and reported outcomes that are
            missing.
        damaged: Lines, with their ends, that are not JSON.
        twice: Further outcomes of an utterance.
        missing: Utterances without an outcome at the end.
        other_text: Utterances whose text differs from the undisturbed run.
        set_aside: Utterances without a fault whose outcome is a failure.
        tried_again: Utterances without a fault that have more than one attempt.
        unread: Runs that asrlab reads differently.
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
        """Return the sum of all counts."""
        return sum(attrs.astuple(self))

    def add(self, other: Self) -> None:
        """Add the counts of *other*."""
        for name, count in attrs.asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@attrs.frozen
class Look:
    """A ledger at one moment.

    Attributes:
        lines: Complete lines.
        torn: True if an incomplete line follows.
    """

    lines: tuple[bytes, ...] = ()
    torn: bool = False

    @classmethod
    def at(cls, ledger: Path) -> Self:
        """Read *ledger*; a missing ledger is empty."""
        try:
            content = ledger.read_bytes()
        except FileNotFoundError:
            return cls()
        *lines, rest = content.split(b"\n")
        return cls(tuple(line + b"\n" for line in lines), bool(rest))

    def records(self) -> list[dict[str, Any]]:
        """Parse the complete lines as JSON; skip lines that are not JSON."""
        return [record for line in self.lines if (record := _parsed(line)) is not None]

    def outcomes(self) -> dict[Key, list[dict[str, Any]]]:
        """Return the outcomes by utterance; a second outcome is an error."""
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
    """An observer of one run's ledger, which compares each reading with the last.

    Attributes:
        run: The run's folder.
        findings: Errors so far.
        last: The last reading.
    """

    run: Path
    findings: Findings = attrs.field(factory=Findings)
    last: Look = attrs.field(factory=Look)

    def look(self) -> Look:
        """Read the ledger, and require that all earlier lines are unchanged and in order."""
        now = Look.at(self.run / "ledger.jsonl")
        before = self.last.lines
        if now.lines[: len(before)] != before:
            gone = Counter(before) - Counter(now.lines)
            self.findings.lost += max(1, gone.total())
        self.last = now
        return now

    def look_for(self, n_reported: int) -> Look:
        """Read the ledger as `look` does, and require as many outcomes as the run reported (*n_reported*)."""
        now = self.look()
        self.findings.lost += max(0, n_reported - len(now.outcomes()))
        return now

    def close(self, texts: dict[Key, str]) -> None:
        """Compare the complete run with the *texts* of an undisturbed run."""
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
    """Return the texts of an undisturbed run."""
    outcomes = Look.at(run / "ledger.jsonl").outcomes()
    return {key: outcome["hypothesis"] for key, (outcome,) in outcomes.items()}
