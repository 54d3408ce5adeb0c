"""``asrlab models``: the models that can be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli.command import Command
from asrlab.cli.options import as_json

if TYPE_CHECKING:
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.weights import WeightsStore

EPILOG = """\b
Examples:
  asrlab models
  asrlab models --json | jq -r '.models[].name'
"""


@click.command(cls=Command, epilog=EPILOG)
@as_json
def models(*, as_json: bool) -> None:
    """List the models of all engines, with where their weights are.

    No engine is imported. The weights column says "here" if the weights are in asrlab's store, "carried" if an
    installed package contains them, "by its engine" if the engine fetches them itself, and "to fetch" if they are
    fetched when first used.
    """
    from asrlab.cli.output import echo_json
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.weights import WeightsStore

    store = WeightsStore()
    known = Registry(PluginHost()).models()
    rows = [_row(resolved, store) for resolved in known]
    if as_json:
        echo_json({"models": rows})
    else:
        _show(rows, sizes=[_size(resolved) for resolved in known])


def _row(resolved: ResolvedModel, store: WeightsStore) -> dict[str, Any]:
    from asrlab.installation import runnable
    from asrlab.weights import entry

    model = resolved.model
    keys = model.weights if model else ()
    return {
        "name": resolved.name,
        "aliases": [f"{resolved.engine.name}/{alias}" for alias in (model.aliases if model else ())]
        + [alias for alias in resolved.engine.aliases if model and model.name == resolved.engine.default_model],
        "installed": resolved.engine.is_installed(),
        "install": runnable(resolved.engine.install),
        "weights": _weights(keys, store) if keys or not resolved.engine.accepts_any_model else "by its engine",
        "weights_bytes": next((size for key in keys if (size := entry(key).total_bytes)), None),
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
        if any(store.find(known) for known in entries):
            return "here"
    except WeightsError:
        return "damaged"
    if any(CarrierSource().why_not(known) is None for known in entries):
        return "carried"
    return "to fetch"


def _size(resolved: ResolvedModel) -> str:
    from asrlab.weights import describe_size, entry

    keys = resolved.model.weights if resolved.model else ()
    return next((size for key in keys if (size := describe_size(entry(key)))), "")


def _show(rows: list[dict[str, Any]], *, sizes: list[str]) -> None:
    from rich.table import Table

    from asrlab.cli.output import console
    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("model", "engine", "weights", "about", "also called"):
        table.add_column(name, overflow="fold")
    for row, size in zip(rows, sizes, strict=True):
        engine = "installed" if row["installed"] else row["install"]
        cells = (row["name"], engine, _weights_cell(row, size), row["description"], " ".join(row["aliases"]))
        table.add_row(*map(Text, cells))
    console().print(table)


def _weights_cell(row: dict[str, Any], size: str) -> str:
    weights: str = row["weights"]
    if weights == "damaged":
        return "damaged or unreadable, see: asrlab doctor"
    return f"{weights}, {size}" if weights == "to fetch" and size else weights
