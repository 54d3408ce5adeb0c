"""The command ``python -m asrlab.testing.conformance``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click

from asrlab.errors import AsrlabError
from asrlab.terminal import run_guarded
from asrlab.terminal.screen import Screen, Text, open_screen
from asrlab.terminal.table import Table
from asrlab.testing.conformance.check import CheckResult
from asrlab.testing.conformance.session import run_all_checks
from asrlab.testing.conformance.target import Target

_USAGE_ERROR = 2
_OUTCOMES = ("passed", "failed", "skipped")

EPILOG = """\b
Examples:
  python -m asrlab.testing.conformance my-engine/small
  python -m asrlab.testing.conformance openai-whisper/base --device cpu --device mps-sim

\b
Exit codes: 0 all models conform, 1 a check failed, 2 usage error.
"""


@attrs.frozen(kw_only=True)
class TargetResult:
    """The results of one target; no checks, but an error, if its process failed."""

    target: Target
    checks: tuple[CheckResult, ...]
    error: str = ""
    seconds: float = 0.0

    def count(self, outcome: str) -> int:
        """Return the number of checks with this outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    @property
    def conforms(self) -> bool:
        """True if no check failed."""
        return not self.error and self.count("failed") == 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return {
            "model": self.target.model,
            "device": self.target.device,
            "conforms": self.conforms,
            **{outcome: self.count(outcome) for outcome in _OUTCOMES},
            "seconds": self.seconds,
            "error": self.error,
            "checks": [attrs.asdict(check) for check in self.checks],
        }


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "-d", "--device", "devices", multiple=True, default=("cpu",), help="cpu, cuda, mps or mps-sim; repeatable."
)
@click.option("--compute-type", default="auto", show_default=True, help="Such as int8 or float32.")
@click.option("--weights", type=click.Path(path_type=Path), help="A folder or file of weights.")
@click.option(
    "--speech", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A recording to transcribe."
)
@click.option("--online", is_flag=True, help="Allow downloads of weights.")
@click.option("--random", is_flag=True, help="Allow different texts for the same audio.")
@click.option("--limit", "limit_s", default=600.0, show_default=True, help="Maximum seconds for a model on a device.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def main(models: tuple[str, ...], devices: tuple[str, ...], as_json: bool, **options: Any) -> None:  # noqa: FBT001 - click passes options by keyword
    """Check that each MODEL meets the requirements for a transcriber, and print the failures.

    mps-sim is MPS simulated on the CPU. Each model on each device is checked in a process of its own.
    """
    options |= {"offline": not options.pop("online"), "deterministic": not options.pop("random")}
    try:
        targets = [Target(model=model, device=device, **options) for model in models for device in devices]
    except AsrlabError as error:
        click.echo(f"asrlab: {error.message}", err=True)
        sys.exit(_USAGE_ERROR)
    results = [_check_target(target) for target in targets]
    if as_json:
        click.echo(json.dumps({"targets": [result.as_dict() for result in results]}, indent=2))
    else:
        _print_results(results, open_screen())
    sys.exit(0 if all(result.conforms for result in results) else 1)


def _check_target(target: Target) -> TargetResult:
    start, message = time.monotonic(), ""
    checks: tuple[CheckResult, ...] = ()
    try:
        checks = target.run_in_subprocess(run_all_checks, target)
    except AsrlabError as error:
        message = error.message
    return TargetResult(target=target, checks=checks, error=message, seconds=round(time.monotonic() - start, 1))


def _print_results(results: Sequence[TargetResult], screen: Screen) -> None:
    rows = []
    for result in results:
        counts = ["-", "all", "-"] if result.error else [str(result.count(outcome)) for outcome in _OUTCOMES]
        rows.append((result.target.model, result.target.device, *counts, f"{result.seconds:.0f}"))
    columns = ("engine/model", "device", *_OUTCOMES, "seconds")
    screen.show(Table(columns=columns, rows=rows, texts=2, optional=("seconds",)))
    for result in results:
        if result.error:
            screen.show(Text(f"{result.target}: {result.error}"))
        for check in sorted(result.checks, key=lambda check: check.outcome):
            for message in check.messages:
                screen.show(Text(f"{result.target}: {check.outcome} {check.check}: {message}"))


if __name__ == "__main__":
    run_guarded(partial(main, prog_name="python -m asrlab.testing.conformance"))
