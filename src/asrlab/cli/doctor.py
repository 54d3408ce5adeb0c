"""``asrlab doctor``: check this installation."""

from __future__ import annotations

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

EPILOG = """\b
Examples:
  asrlab doctor
  asrlab doctor --engine faster-whisper
  asrlab doctor --verify-weights
  asrlab doctor --json | jq '.findings[] | select(.status == "problem")'
"""
_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


@click.command(cls=Command, epilog=EPILOG)
@options.engine_filter
@options.flag("--verify-weights", description="Read and hash all stored weights, even those checked before.")
@options.as_json
def doctor(engines: tuple[str, ...], *, verify_weights: bool, as_json: bool) -> int:
    """Check python, decoders, plugins, engines, devices and weights.

    Combinations of versions that do not work are reported, too. The engines are imported in processes of their own.
    Exits with 1 if there is a problem.
    """
    import attrs

    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.checks import run_checks
    from asrlab.evaluation.reports.formatting import format_count
    from asrlab.terminal.screen import Text, open_screen

    status, screen = StatusLine("checking"), open_screen()
    findings = []
    for finding in run_checks(engines=engines, verify_weights=verify_weights, progress=status.show):
        findings.append(finding)
        if as_json:
            continue
        status.clear()
        label = (f"{finding.status:8}", _STYLES[finding.status])
        screen.show(Text.assemble(label, (finding.component, "bold"), f": {finding.detail}"), indent=8)
        if finding.cure:
            screen.print(Text(f"        fix: {finding.cure}"), soft_wrap=True)
    problems, notes = (sum(finding.status == kind for finding in findings) for kind in ("problem", "note"))
    if as_json:
        echo_json({"findings": [attrs.asdict(finding) for finding in findings]})
    else:
        counts = {"check": len(findings), "problem": problems, "note": notes}
        click.echo(", ".join(format_count(number, noun) for noun, number in counts.items()))
    return SOME_FAILED if problems else DONE
