"""``asrlab doctor`` and ``asrlab patches``: problems of this installation, and changes to other packages."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

DOCTOR_EPILOG = """\b
Examples:
  asrlab doctor
  asrlab doctor --engine faster-whisper
  asrlab doctor --verify-weights
  asrlab doctor --json | jq '.findings[] | select(.status == "problem")'
"""
PATCHES_EPILOG = """\b
Examples:
  asrlab patches
  asrlab patches --device mps --json
  asrlab patches --engine liquid-audio
"""

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


@click.command(cls=Command, epilog=DOCTOR_EPILOG)
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
    from asrlab.terminal.screen import Text, open_screen

    status, screen = StatusLine("checking"), open_screen()
    findings = []
    for finding in run_checks(engines=engines, verify_weights=verify_weights, progress=status.show):
        findings.append(finding)
        if as_json:
            continue
        status.clear()
        label = (f"{finding.status:8}", _STYLES[finding.status])
        screen.print(Text.assemble(label, (finding.component, "bold"), f": {finding.detail}"), soft_wrap=True)
        if finding.cure:
            screen.print(Text(f"        fix: {finding.cure}"), soft_wrap=True)
    problems, notes = (sum(finding.status == kind for finding in findings) for kind in ("problem", "note"))
    if as_json:
        echo_json({"findings": [attrs.asdict(finding) for finding in findings]})
    else:
        click.echo(f"{len(findings)} checks, {problems} problems, {notes} notes")
    return SOME_FAILED if problems else DONE


@click.command(cls=Command, epilog=PATCHES_EPILOG)
@options.device_option
@click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas.")
@options.engine_filter
@options.as_json
def patches(*, device: str, patches: str | None, engines: tuple[str, ...], as_json: bool) -> int:
    """List all known patches with their status here and their reason.

    Each patch is applied for DEVICE, verified and undone, in a process that imports the packages it changes. The link
    leads to the upstream issue. Exits with 1 if a patch is needed and fails.
    """
    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import try_all_patches
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    host = PluginHost()
    specs = [spec for spec, _ in Registry(host).offers(engines)] if engines else None
    progress = StatusLine("importing").show
    tried = try_all_patches(host, device=device, choice=patches, engines=specs, progress=progress)
    rows = [_patch_row(patch, status) for patch, status in tried]
    if as_json:
        echo_json({"device": device, "patches": rows})
    else:
        _show_patches(rows)
    return SOME_FAILED if any(row["status"] == "failed" for row in rows) else DONE


def _patch_row(patch: Any, status: Any) -> dict[str, Any]:
    import attrs

    status_fields = attrs.asdict(status, filter=lambda attribute, _: attribute.name != "link")  # the patch's issue_url
    hidden = ("changes", "check", "verify", "reason", "import_context")
    facts = attrs.asdict(patch, filter=lambda attribute, _: attribute.name not in hidden, recurse=False)
    return status_fields | facts | {"why": patch.reason, "changes": list(patch.changes)}


def _show_patches(rows: list[dict[str, Any]]) -> None:
    from asrlab.terminal.screen import Text, open_screen

    screen = open_screen()
    for row in rows:
        screen.print(Text(f"{row['name']}: {row['status']}", style="bold"), soft_wrap=True)
        lines = {
            "here": row["reason"],
            "why": row["why"],
            "for": f"{row['distribution']} on {', '.join(row['devices'])}; tested with {', '.join(row['versions'])}",
            "upstream": row["issue_url"],
            "obsolete": row["obsolete_when"],
        }
        for label, text in lines.items():
            screen.print(Text(f"  {label:<9} {text}"), soft_wrap=True)
