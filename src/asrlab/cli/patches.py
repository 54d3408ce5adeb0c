"""``asrlab patches``: try the known patches."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

EPILOG = """\b
Examples:
  asrlab patches
  asrlab patches --device mps --json
  asrlab patches --engine liquid-audio
"""


@click.command(cls=Command, epilog=EPILOG)
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
        screen.show(Text(f"{row['name']}: {row['status']}", style="bold"))
        lines = {
            "here": row["reason"],
            "why": row["why"],
            "for": f"{row['distribution']} on {', '.join(row['devices'])}; tested with {', '.join(row['versions'])}",
            "upstream": row["issue_url"],
            "obsolete": row["obsolete_when"],
        }
        for label, text in lines.items():
            screen.show(Text(f"  {label:<9} {text}"), indent=10)
