"""``asrlab devices``: the devices that each engine can use."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli.command import Command
from asrlab.cli.options import as_json, engine_filter

EPILOG = """\b
Examples:
  asrlab devices
  asrlab devices --engine faster-whisper --json
"""


@click.command(cls=Command, epilog=EPILOG)
@engine_filter
@as_json
def devices(engines: tuple[str, ...], *, as_json: bool) -> None:
    """List the devices that each engine can use on this machine.

    The reason is shown for each device that an engine cannot use. The packages that know the devices, such as PyTorch,
    are imported in a process of their own.
    """
    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import device_rows
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    rows = device_rows(Registry(PluginHost()).offers(engines), progress=StatusLine("asking").show)
    if as_json:
        echo_json({"engines": rows})
    else:
        _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from asrlab.cli.output import console
    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("engine", "devices here", "auto", "not here, because"):
        table.add_column(name, overflow="fold")
    for row in rows:
        reasons = row["error"] or "\n".join(f"{device}: {reason}" for device, reason in row["missing"].items())
        table.add_row(*map(Text, (row["engine"], " ".join(row["available"]) or "-", row["auto"] or "-", reasons)))
    console().print(table)
