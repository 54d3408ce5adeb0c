"""The results of all checks of one target, in this process or in a process that simulates the device."""

from __future__ import annotations

from contextlib import closing
from typing import Self

from asrlab.testing.conformance.check import Check, CheckContext, CheckResult, run_check
from asrlab.testing.conformance.checks import CHECKS
from asrlab.testing.conformance.process import run_in_subprocess
from asrlab.testing.conformance.target import Target


class ConformanceSession:
    """The checks of one target; a context manager, or close it at the end.

    Args:
        target: The model to check.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._context = CheckContext(target)
        self._simulated_results: dict[str, CheckResult] | None = None

    def run(self, check: Check) -> CheckResult:
        """Run a check. On a simulated device, the first call runs all checks in one simulating process."""
        if not self.target.simulated or check.in_fresh_process:
            return run_check(check, self._context)
        if self._simulated_results is None:
            results = run_in_subprocess(run_simulated_checks, self.target, limit_s=self.target.limit_s, simulated=True)
            self._simulated_results = {result.check: result for result in results}
        return self._simulated_results[check.name]

    def close(self) -> None:
        """Close the model."""
        self._context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_simulated_checks(target: Target) -> tuple[CheckResult, ...]:
    """Run the checks that need no fresh process, in a process that simulates the device."""
    with closing(CheckContext(target)) as context:
        return tuple(run_check(check, context) for check in CHECKS if not check.in_fresh_process)


def run_all_checks(target: Target) -> tuple[CheckResult, ...]:
    """Run all checks of *target*."""
    with ConformanceSession(target) as session:
        return tuple(session.run(check) for check in CHECKS)
