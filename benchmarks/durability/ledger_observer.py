"""Observations of a run's ledger, read without code of asrlab."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

import attrs

__all__ = ["Findings", "LedgerObserver", "LedgerState", "load_texts"]

type Key = tuple[str, str, int]
"""Names of the model and the utterance, and the number of the repeat."""


@attrs.define(kw_only=True)
class Findings:
    """Counts of errors; all must be 0.

    Attributes:
        lost: Complete records that later are missing or changed, and reported outcomes that are missing.
        damaged: Lines, with their ends, that are not JSON.
        twice: Further outcomes of utterances that have an outcome.
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
class LedgerState:
    """The content of a ledger at one time.

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
        return [record for line in self.lines if (record := _parse(line)) is not None]

    def outcomes(self) -> dict[Key, list[dict[str, Any]]]:
        """Return the outcomes by utterance; a second outcome is an error."""
        outcomes: dict[Key, list[dict[str, Any]]] = {}
        for record in self.records():
            if record["record"] == "outcome":
                outcomes.setdefault((record["model"], record["id"], record.get("repeat", 0)), []).append(record)
        return outcomes


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


@attrs.define(kw_only=True)
class LedgerObserver:
    """An observer of one run's ledger that compares each state with the previous state.

    Attributes:
        run: The run's folder.
        findings: Errors so far.
        last: The previous state.
    """

    run: Path
    findings: Findings = attrs.field(factory=Findings)
    last: LedgerState = attrs.field(factory=LedgerState)

    def observe(self) -> LedgerState:
        """Read the ledger, and require that all earlier lines are unchanged and in order."""
        now = LedgerState.at(self.run / "ledger.jsonl")
        before = self.last.lines
        if now.lines[: len(before)] != before:
            missing = Counter(before) - Counter(now.lines)
            self.findings.lost += max(1, missing.total())
        self.last = now
        return now

    def require_outcomes(self, n_reported: int) -> LedgerState:
        """Read the ledger as `observe` does, and require as many outcomes as the run reported (*n_reported*)."""
        now = self.observe()
        self.findings.lost += max(0, n_reported - len(now.outcomes()))
        return now

    def compare_outcomes(self, texts: dict[Key, str]) -> None:
        """Compare the outcomes of the complete run with the *texts* of an undisturbed run."""
        outcomes = self.observe().outcomes()
        findings = self.findings
        findings.damaged += len(self.last.lines) - len(self.last.records())
        findings.missing += len(texts.keys() - outcomes.keys())
        findings.twice += sum(len(records) - 1 for records in outcomes.values())
        for key, (first, *_) in outcomes.items():
            findings.set_aside += first.get("failure") is not None
            findings.tried_again += first.get("attempts", 1) > 1
            findings.other_text += first.get("failure") is None and first.get("hypothesis") != texts.get(key)
        findings.unread += not self._is_read_correctly(texts)

    def _is_read_correctly(self, texts: dict[Key, str]) -> bool:
        from asrlab import AsrlabError
        from asrlab.evaluation.runs.load import load_run

        try:
            result = load_run(self.run)
        except AsrlabError:
            return False
        read = {(model.model, u.id, 0): u.hypothesis for model in result.models for u in model.utterances}
        return result.complete and read == {key: text for key, text in texts.items() if not key[2]}


def load_texts(run: Path) -> dict[Key, str]:
    """Return the texts of an undisturbed run."""
    outcomes = LedgerState.at(run / "ledger.jsonl").outcomes()
    return {key: outcome["hypothesis"] for key, (outcome,) in outcomes.items()}
