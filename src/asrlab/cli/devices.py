"""``asrlab devices``: what each engine can use here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli.shared import as_json, console, echo_json

if TYPE_CHECKING:
    from asrlab.spec import EngineSpec

EPILOG = """\b
Examples:
  asrlab devices
  asrlab devices --json
"""


@click.command(epilog=EPILOG)
@as_json
def devices(as_json: bool) -> None:
    """List the devices that each engine can use on this machine, and why it lacks the others."""
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    rows = [row_of(spec) for spec in Registry(PluginHost()).engines()]
    if as_json:
        echo_json({"engines": rows})
        return
    _show(rows)


def row_of(spec: EngineSpec) -> dict[str, Any]:
    """What *spec*'s backend answers; an error where it does not import."""
    from asrlab.errors import EngineUnavailableError

    try:
        report = spec.device_report()
    except EngineUnavailableError as error:
        return {"engine": spec.name, "available": [], "auto": None, "missing": {}, "error": error.message}
    return {
        "engine": spec.name,
        "available": list(report.available),
        "auto": report.best(),
        "missing": dict(report.missing),
        "error": None,
    }


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
