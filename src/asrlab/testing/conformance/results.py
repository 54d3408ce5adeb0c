"""What became of the checks of one subject, in counts, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from asrlab.terminal.screen import Text
from asrlab.testing.conformance.check import Verdict
from asrlab.testing.conformance.target import Target


@attrs.frozen(kw_only=True)
class Result:
    """A subject and the verdicts on it.

    Attributes:
        subject: What was checked.
        verdicts: In the order of the checks; empty if the process that did them came to no end.
        error: Why it did not; empty if it did.
        seconds: How long it took.
    """

    subject: Target
    verdicts: tuple[Verdict, ...]
    error: str = ""
    seconds: float = 0.0

    def count(self, outcome: str) -> int:
        """How many of the verdicts are this one."""
        return sum(verdict.outcome == outcome for verdict in self.verdicts)

    @property
    def conforms(self) -> bool:
        """Whether no check failed."""
        return not self.error and self.count("failed") == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.subject.model,
            "device": self.subject.device,
            "conforms": self.conforms,
            **{outcome: self.count(outcome) for outcome in ("passed", "failed", "skipped")},
            "seconds": self.seconds,
            "error": self.error,
            "checks": [attrs.asdict(verdict) for verdict in self.verdicts],
        }


def show(results: Sequence[Result], screen: Console) -> None:
    """Print the counts as a table, and below it what failed and what was skipped, with the reasons."""
    table = Table("engine/model", "device")
    for name in ("passed", "failed", "skipped", "seconds"):
        table.add_column(name, justify="right")
    for result in results:
        counts = [str(result.count(outcome)) for outcome in ("passed", "failed", "skipped")]
        told = ["-", "all", "-"] if result.error else counts
        table.add_row(Text(result.subject.model), result.subject.device, *told, f"{result.seconds:.0f}")
    screen.print(table)
    for result in results:
        if result.error:
            screen.print(Text(f"{result.subject}: {result.error}"))
        for verdict in sorted(result.verdicts, key=lambda verdict: verdict.outcome):
            for line in verdict.told:
                screen.print(Text(f"{result.subject}: {verdict.outcome} {verdict.check}: {line}"))
