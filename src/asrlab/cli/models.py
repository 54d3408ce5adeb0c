"""``asrlab models``: what can be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli.shared import as_json, console, echo_json, report_plugins

if TYPE_CHECKING:
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.weights import WeightsStore

EPILOG = """\b
Examples:
  asrlab models
  asrlab models --json | jq -r '.models[].name'
"""


@click.command(epilog=EPILOG)
@as_json
def models(as_json: bool) -> None:
    """List the models of all engines, with where their weights are.

    Imports no engine. "here" means that the weights are in asrlab's store, "carried" that an installed package holds
    them, anything else that they are fetched when first used.
    """
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.weights import WeightsStore

    host = PluginHost()
    store = WeightsStore()
    rows = [_row(resolved, store) for resolved in Registry(host).models()]
    report_plugins(host.failures)
    if as_json:
        echo_json({"models": rows})
        return
    _show(rows)


def _row(resolved: ResolvedModel, store: WeightsStore) -> dict[str, Any]:
    model = resolved.model
    keys = model.weights if model else ()
    return {
        "name": resolved.name,
        "aliases": [f"{resolved.engine.name}/{alias}" for alias in (model.aliases if model else ())]
        + [alias for alias in resolved.engine.aliases if model and model.name == resolved.engine.default_model],
        "installed": resolved.engine.installed(),
        "install": resolved.engine.install,
        "weights": _weights(keys, store),
        "description": model.description if model else "",
        "distribution": resolved.distribution,
    }


def _weights(keys: tuple[str, ...], store: WeightsStore) -> str:
    from asrlab.errors import WeightsError
    from asrlab.weights import CarrierSource, entry

    entries = [entry(key) for key in keys]
    if not entries:
        return "none needed"
    try:
        if any(store.find(found) for found in entries):
            return "here"
    except WeightsError:
        return "damaged or unreadable, see: asrlab doctor"
    if any(CarrierSource().why_not(found) is None for found in entries):
        return "carried"
    size = next((found.total_bytes for found in entries if found.total_bytes), None)
    return f"to fetch, {size / 1e6:.0f} MB" if size else "to fetch"


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("model", "engine", "weights", "about", "also called"):
        table.add_column(name, overflow="fold")
    for row in rows:
        engine = "installed" if row["installed"] else row["install"]
        cells = (row["name"], engine, row["weights"], row["description"], " ".join(row["aliases"]))
        table.add_row(*map(Text, cells))
    console().print(table)
