"""``asrlab patches``: every known change to another package, what it does here, why, and how it goes."""

from __future__ import annotations

from typing import Any

import attrs
import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, console, echo_json, engine_filter
from asrlab.cli.progress import StatusLine

EPILOG = """\b
Examples:
  asrlab patches
  asrlab patches --device mps --json
  asrlab patches --engine liquid-audio
"""


@click.command(epilog=EPILOG)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas.")
@engine_filter
@as_json
def patches(device: str, patches: str | None, engines: tuple[str, ...], as_json: bool) -> int:
    """List all known patches with their status here, their reason and where upstream stands.

    Each is applied for DEVICE as code that calls its package directly would need it, verified, and undone. The packages
    that are installed are imported for that, in a process of their own. Exits with 1 if one is needed and fails.
    """
    rows = _rows(device, patches, engines)
    if as_json:
        echo_json({"device": device, "patches": rows})
    else:
        _show(rows)
    return exit_codes.SOME_FAILED if any(row["status"] == "failed" for row in rows) else exit_codes.DONE


def _rows(device: str, choice: str | None, engines: tuple[str, ...]) -> list[dict[str, Any]]:
    from asrlab.doctor.probes import try_all_patches
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    host = PluginHost()
    specs = [spec for spec, _ in Registry(host).offers(engines)] if engines else None
    status = StatusLine("importing")
    tried = try_all_patches(host, device=device, choice=choice, engines=specs, progress=status.show)
    return [attrs.asdict(status) | _facts(patch) for patch, status in tried]


def _facts(patch: Any) -> dict[str, Any]:
    hidden = ("changes", "needed", "verify", "reason", "import_context")
    facts = attrs.asdict(patch, filter=lambda attribute, _: attribute.name not in hidden, recurse=False)
    return facts | {"why": patch.reason, "changes": list(patch.changes)}


def _show(rows: list[dict[str, Any]]) -> None:
    from asrlab.terminal.screen import Text

    screen = console()
    for row in rows:
        screen.print(Text(f"{row['name']}: {row['status']}", style="bold"), soft_wrap=True)
        lines = (
            ("here", row["reason"]),
            ("why", row["why"]),
            ("for", f"{row['distribution']} on {', '.join(row['devices'])}; tested with {', '.join(row['versions'])}"),
            ("upstream", row["link"]),
            ("retires", row["retires"]),
        )
        for label, text in lines:
            screen.print(Text(f"  {label:<9} {text}"), soft_wrap=True)
