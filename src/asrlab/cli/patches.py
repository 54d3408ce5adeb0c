"""``asrlab patches``: the known changes to other packages, and their status on this machine."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import as_json, device_option, engine_filter

EPILOG = """\b
Examples:
  asrlab patches
  asrlab patches --device mps --json
  asrlab patches --engine liquid-audio
"""


@click.command(cls=Command, epilog=EPILOG)
@device_option
@click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas.")
@engine_filter
@as_json
def patches(*, device: str, patches: str | None, engines: tuple[str, ...], as_json: bool) -> int:
    """List all known patches with their status here and their reason.

    Each patch is applied for DEVICE, verified and undone, in a process that imports the packages it changes. The link
    leads to the upstream issue. Exits with 1 if a patch is needed and fails.
    """
    from asrlab.cli.output import echo_json

    rows = _rows(device, patches, engines)
    if as_json:
        echo_json({"device": device, "patches": rows})
    else:
        _show(rows)
    return exit_codes.SOME_FAILED if any(row["status"] == "failed" for row in rows) else exit_codes.DONE


def _rows(device: str, choice: str | None, engines: tuple[str, ...]) -> list[dict[str, Any]]:

    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import try_all_patches
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    host = PluginHost()
    specs = [spec for spec, _ in Registry(host).offers(engines)] if engines else None
    progress = StatusLine("importing").show
    tried = try_all_patches(host, device=device, choice=choice, engines=specs, progress=progress)
    return [_facts(patch, status) for patch, status in tried]


def _facts(patch: Any, status: Any) -> dict[str, Any]:
    import attrs

    status_fields = attrs.asdict(status, filter=lambda attribute, _: attribute.name != "link")  # the patch's issue_url
    hidden = ("changes", "check", "verify", "reason", "import_context")
    facts = attrs.asdict(patch, filter=lambda attribute, _: attribute.name not in hidden, recurse=False)
    return status_fields | facts | {"why": patch.reason, "changes": list(patch.changes)}


def _show(rows: list[dict[str, Any]]) -> None:
    from asrlab.cli.output import console
    from asrlab.terminal.screen import Text

    screen = console()
    for row in rows:
        screen.print(Text(f"{row['name']}: {row['status']}", style="bold"), soft_wrap=True)
        lines = (
            ("here", row["reason"]),
            ("why", row["why"]),
            ("for", f"{row['distribution']} on {', '.join(row['devices'])}; tested with {', '.join(row['versions'])}"),
            ("upstream", row["issue_url"]),
            ("obsolete", row["obsolete_when"]),
        )
        for label, text in lines:
            screen.print(Text(f"  {label:<9} {text}"), soft_wrap=True)
