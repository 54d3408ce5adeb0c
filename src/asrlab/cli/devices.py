"""``asrlab devices``: what each engine can use here."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli.options import as_json, console, echo_json, engine_filter
from asrlab.cli.progress import StatusLine

EPILOG = """\b
Examples:
  asrlab devices
  asrlab devices --json
"""


@click.command(epilog=EPILOG)
@engine_filter
@as_json
def devices(engines: tuple[str, ...], as_json: bool) -> None:
    """List the devices that each engine can use on this machine, and why it lacks the others.

    What tells the devices, such as PyTorch, is imported in a process of its own.
    """
    rows = _rows(engines)
    if as_json:
        echo_json({"engines": rows})
        return
    _show(rows)


def _rows(engines: tuple[str, ...]) -> list[dict[str, Any]]:
    from asrlab.doctor.engines import device_rows
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    return device_rows(Registry(PluginHost()).offers(engines), progress=StatusLine("asking").show)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("engine", "devices here", "auto", "not here, because"):
        table.add_column(name, overflow="fold")
    for row in rows:
        why = row["error"] or "\n".join(f"{kind}: {reason}" for kind, reason in row["missing"].items())
        table.add_row(*map(Text, (row["engine"], " ".join(row["available"]) or "-", row["auto"] or "-", why)))
    console().print(table)
