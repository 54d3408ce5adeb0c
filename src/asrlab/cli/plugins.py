"""``asrlab plugins``: what is plugged in, and what does not work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, console, echo_json

if TYPE_CHECKING:
    from asrlab.plugins.manager import PluginHost

EPILOG = """\b
Examples:
  asrlab plugins
  ASRLAB_DISABLE_PLUGINS='*' asrlab plugins
"""

_ONE = {"engines": "engine", "datasets": "dataset", "patches": "patch"}


@click.command(epilog=EPILOG)
@as_json
def plugins(as_json: bool) -> int:
    """List the plugins and what each offers; name those that failed and how to remove them.

    ASRLAB_DISABLE_PLUGINS=a,b leaves out the plugins a and b, * all that are not built in. Exits with 1 if one failed.
    """
    from asrlab.plugins.manager import PluginHost

    host = PluginHost()
    rows = _rows(host)
    failed = [attrs.asdict(failure) for failure in host.failures]
    if as_json:
        echo_json({"plugins": rows, "failures": failed, "disabled": sorted(host.disabled)})
    else:
        _show(rows)
    return exit_codes.SOME_FAILED if failed else exit_codes.DONE


def _rows(host: PluginHost) -> list[dict[str, Any]]:
    from asrlab.plugins.manager import HOOKS

    rows: dict[tuple[str, str], dict[str, Any]] = {
        (plugin.distribution, plugin.name): {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "engines": [],
            "datasets": [],
            "patches": [],
        }
        for plugin in host.plugins
    }
    for hook, kind in HOOKS.items():
        for plugin, item in host.collect(hook, kind):
            rows[plugin.distribution, plugin.name][hook.removeprefix("asrlab_")].append(item.name)
    return list(rows.values())


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("plugin", "distribution", "offers"):
        table.add_column(name, overflow="fold")
    for row in rows:
        offers = [f"{one} {name}" for field, one in _ONE.items() for name in row[field]]
        distribution = f"{row['distribution']} {row['version']}".strip()
        table.add_row(*map(Text, (row["name"], distribution, ", ".join(offers) or "-")))
    console().print(table)
