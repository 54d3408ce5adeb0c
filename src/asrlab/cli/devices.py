"""``asrlab devices``: list the devices of each engine."""

from __future__ import annotations

import click

from asrlab.cli import options
from asrlab.cli.command import Command

EPILOG = """\b
Examples:
  asrlab devices
  asrlab devices --engine faster-whisper --json
"""


@click.command(cls=Command, epilog=EPILOG)
@options.engine_filter
@options.as_json
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
    from asrlab.terminal.screen import open_screen
    from asrlab.terminal.table import Table

    rows = device_rows(Registry(PluginHost()).offers(engines), progress=StatusLine("asking").show)
    if as_json:
        echo_json({"engines": rows})
        return
    cells = []
    for row in rows:
        reasons = row["error"] or "\n".join(f"{device}: {reason}" for device, reason in row["missing"].items())
        cells.append((row["engine"], " ".join(row["available"]) or "-", row["auto"] or "-", reasons))
    columns = ("engine", "devices here", "auto", "not here, because")
    open_screen().show(Table(columns=columns, rows=cells, texts=len(columns)))
