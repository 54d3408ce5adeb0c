"""``asrlab doctor``: what is wrong here, and what mends it."""

from __future__ import annotations

import attrs
import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, console, echo_json, engine_filter
from asrlab.cli.progress import StatusLine

EPILOG = """\b
Examples:
  asrlab doctor
  asrlab doctor --engine faster-whisper
  asrlab doctor --verify-weights
  asrlab doctor --json | jq '.findings[] | select(.verdict == "problem")'
"""

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


@click.command(epilog=EPILOG)
@engine_filter
@click.option(
    "--verify-weights", is_flag=True, help="Read and hash all stored weights again, whatever was concluded before."
)
@as_json
def doctor(engines: tuple[str, ...], verify_weights: bool, as_json: bool) -> int:
    """Check python, decoders, plugins, engines, devices and weights, and versions that do not go together.

    The engines are imported in processes of their own. Exits with 1 if there is a problem.
    """
    from asrlab.doctor.checks import run_checks

    status = StatusLine("checking")
    findings = []
    for finding in run_checks(engines=engines, verify_weights=verify_weights, progress=status.show):
        findings.append(finding)
        if not as_json:
            status.clear()
            _show(finding.subject, finding.verdict, finding.detail, finding.cure)
    if as_json:
        echo_json({"findings": [attrs.asdict(finding) for finding in findings]})
    problems = sum(finding.verdict == "problem" for finding in findings)
    if not as_json:
        notes = sum(finding.verdict == "note" for finding in findings)
        click.echo(f"{len(findings)} checks, {problems} problems, {notes} notes")
    return exit_codes.SOME_FAILED if problems else exit_codes.DONE


def _show(subject: str, verdict: str, detail: str, cure: str) -> None:
    from asrlab.terminal.screen import Text

    screen = console()
    screen.print(Text.assemble((f"{verdict:8}", _STYLES[verdict]), (subject, "bold"), f": {detail}"), soft_wrap=True)
    if cure:
        screen.print(Text(f"        mend it: {cure}"), soft_wrap=True)
