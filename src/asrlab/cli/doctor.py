"""``asrlab doctor``: problems of this installation, and their cures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import as_json, engine_filter

if TYPE_CHECKING:
    from asrlab.doctor.checks import DoctorFinding

EPILOG = """\b
Examples:
  asrlab doctor
  asrlab doctor --engine faster-whisper
  asrlab doctor --verify-weights
  asrlab doctor --json | jq '.findings[] | select(.status == "problem")'
"""

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


@click.command(cls=Command, epilog=EPILOG)
@engine_filter
@click.option("--verify-weights", is_flag=True, help="Read and hash all stored weights, even those checked before.")
@as_json
def doctor(engines: tuple[str, ...], *, verify_weights: bool, as_json: bool) -> int:
    """Check python, decoders, plugins, engines, devices and weights.

    Combinations of versions that do not work are reported, too. The engines are imported in processes of their own.
    Exits with 1 if there is a problem.
    """
    import attrs

    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.checks import run_checks

    status = StatusLine("checking")
    findings = []
    for finding in run_checks(engines=engines, verify_weights=verify_weights, progress=status.show):
        findings.append(finding)
        if not as_json:
            status.clear()
            _show(finding)
    if as_json:
        echo_json({"findings": [attrs.asdict(finding) for finding in findings]})
    problems = sum(finding.status == "problem" for finding in findings)
    if not as_json:
        notes = sum(finding.status == "note" for finding in findings)
        click.echo(f"{len(findings)} checks, {problems} problems, {notes} notes")
    return exit_codes.SOME_FAILED if problems else exit_codes.DONE


def _show(finding: DoctorFinding) -> None:
    from asrlab.cli.output import console
    from asrlab.terminal.screen import Text

    screen = console()
    status = (f"{finding.status:8}", _STYLES[finding.status])
    screen.print(Text.assemble(status, (finding.component, "bold"), f": {finding.detail}"), soft_wrap=True)
    if finding.cure:
        screen.print(Text(f"        fix: {finding.cure}"), soft_wrap=True)
