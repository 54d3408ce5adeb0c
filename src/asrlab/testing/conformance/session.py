"""All checks, and their results for one target, in this process or in a process that simulates the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Self

from asrlab.testing.conformance import model_checks, plugin_checks, transcription_checks
from asrlab.testing.conformance.check import Check, CheckContext, CheckResult, run_check
from asrlab.testing.conformance.target import Target

_LEAKS = {
    "environment": "The environment variables are unchanged",
    "folder": "The current folder is unchanged",
    "signals": "The handlers of signals are unchanged",
    "logging": "Loggers other than the engine's are unchanged, and handlers do not accumulate",
    "warnings": "The warnings filters are unchanged",
    "random": "The global random generators are not seeded",
    "torch": "The global settings of torch are unchanged",
    "patches": "No function or class of another package is replaced",
    "threads": "No thread is running",
    "files": "No file is open",
    "temporary": "No temporary file remains",
}


def _leaks(kind: str, context: CheckContext) -> Iterator[str]:
    return (leak.message for leak in context.leaks if leak.kind == kind)


def _load_failure(context: CheckContext) -> str:
    failure = next(_leaks("load", context), "")
    return f"the model does not load or transcribe in a fresh process: {failure}" if failure else ""


CHECKS: tuple[Check, ...] = (
    *plugin_checks.CHECKS,
    *model_checks.CHECKS,
    *transcription_checks.CHECKS,
    model_checks.closing,
    *(
        Check(
            partial(_leaks, kind),
            name=f"leaves-{kind}",
            description=f"{description} after a transcriber is closed.",
            skip_reason=_load_failure,
            requires="spec",
            in_fresh_process=True,
        )
        for kind, description in _LEAKS.items()
    ),
)
"""The checks in the order in which they run."""


class ConformanceSession:
    """The checks of one target; a context manager, or close it at the end."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._context = CheckContext(target)
        self._simulated_results: dict[str, CheckResult] | None = None

    def run(self, check: Check) -> CheckResult:
        """Run a check. On a simulated device, the first call runs all checks in one simulating process."""
        if not self.target.simulated or check.in_fresh_process:
            return run_check(check, self._context)
        if self._simulated_results is None:
            results = self.target.run_in_subprocess(run_simulated_checks, self.target, simulated=True)
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
