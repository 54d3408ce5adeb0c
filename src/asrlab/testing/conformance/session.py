"""All checks of one subject, here or in a process that simulates its device."""

from __future__ import annotations

from asrlab.testing.conformance.check import Check, Verdict, judge
from asrlab.testing.conformance.checks import CHECKS
from asrlab.testing.conformance.context import CheckContext
from asrlab.testing.conformance.process import run_in_subprocess
from asrlab.testing.conformance.target import Target


class ConformanceSession:
    """The verdicts on one subject; close it at the end.

    Args:
        subject: What is to be checked.
    """

    def __init__(self, subject: Target) -> None:
        self.subject = subject
        self._case = CheckContext(subject)
        self._apart: dict[str, Verdict] | None = None

    def verdict(self, check: Check) -> Verdict:
        """Do *check*. On a simulated device all are done at once, in one process, when the first is asked for."""
        if not self.subject.simulated or check.apart:
            return judge(check, self._case)
        if self._apart is None:
            found = run_in_subprocess(verdicts_within, self.subject, limit_s=self.subject.limit_s, simulated=True)
            self._apart = {verdict.check: verdict for verdict in found}
        return self._apart[check.name]

    def verdicts(self) -> tuple[Verdict, ...]:
        """Do all checks."""
        return tuple(self.verdict(check) for check in CHECKS)

    def close(self) -> None:
        """Give the model's memory back."""
        self._case.close()


def verdicts_within(subject: Target) -> tuple[Verdict, ...]:
    """The checks that are done in a process that simulates the device."""
    case = CheckContext(subject)
    try:
        return tuple(judge(check, case) for check in CHECKS if not check.apart)
    finally:
        case.close()


def verdicts_of(subject: Target) -> tuple[Verdict, ...]:
    """All checks of *subject*, as `ConformanceSession.verdicts` does them."""
    examination = ConformanceSession(subject)
    try:
        return examination.verdicts()
    finally:
        examination.close()
