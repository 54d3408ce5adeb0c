"""``asrlab models``: list the models with where their weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

if TYPE_CHECKING:
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.weights import WeightsEntry, WeightsStore

EPILOG = """\b
Examples:
  asrlab models
  asrlab models --json | jq -r '.models[].name'
"""


@click.command(cls=Command, epilog=EPILOG)
@options.as_json
def models(*, as_json: bool) -> None:
    """List the models of all engines, with where their weights are.

    No engine is imported. The weights column says "here" if the weights are in asrlab's store, "carried" if an
    installed package contains them, "by its engine" if the engine fetches them itself, and "to fetch" if they are
    fetched when first used.
    """
    from asrlab.cli.output import echo_json
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.terminal.screen import Text, open_screen
    from asrlab.terminal.table import Table
    from asrlab.weights import WeightsStore, describe_size

    store = WeightsStore()
    known = Registry(PluginHost()).models()
    rows = [_model_row(resolved, store) for resolved in known]
    if as_json:
        echo_json({"models": rows})
        return
    cells, missing = [], [pair for pair in zip(known, rows, strict=True) if not pair[1]["installed"]]
    for resolved, row in zip(known, rows, strict=True):
        weights = "damaged or unreadable, see: asrlab doctor" if row["weights"] == "damaged" else row["weights"]
        size = next(filter(None, map(describe_size, weights_entries(resolved))), "")
        if weights == "to fetch" and size:
            weights += f", {size}"
        engine = "installed" if row["installed"] else "not installed"
        cells.append((row["name"], engine, weights, row["description"], " ".join(row["aliases"])))
    columns, optional = ("model", "engine", "weights", "about", "also called"), ("engine", "about", "also called")
    screen = open_screen()
    screen.show(Table(columns=columns, rows=cells, texts=len(columns), optional=optional))
    for engine, install in {resolved.engine.name: row["install"] for resolved, row in missing}.items():
        screen.print(Text(f"to install {engine}: {install}"), soft_wrap=True)


def weights_entries(resolved: ResolvedModel) -> list[WeightsEntry]:
    """Return the catalogue's entries for the weights of a model."""
    from asrlab.weights import entry

    return [entry(key) for key in (resolved.model.weights if resolved.model else ())]


def _model_row(resolved: ResolvedModel, store: WeightsStore) -> dict[str, Any]:
    from asrlab.installation import runnable

    engine, model, entries = resolved.engine, resolved.model, weights_entries(resolved)
    is_default = model is not None and model.name == engine.default_model
    return {
        "name": resolved.name,
        "aliases": [
            *(f"{engine.name}/{alias}" for alias in (model.aliases if model else ())),
            *(engine.aliases if is_default else ()),
        ],
        "installed": engine.is_installed(),
        "install": runnable(engine.install),
        "weights": _find_weights(entries, store) if entries or not engine.accepts_any_model else "by its engine",
        "weights_bytes": next((entry.total_bytes for entry in entries if entry.total_bytes), None),
        "description": model.description if model else "",
        "distribution": resolved.distribution,
    }


def _find_weights(entries: list[WeightsEntry], store: WeightsStore) -> str:
    from asrlab.errors import WeightsError

    if not entries:
        return "none needed"
    try:
        if any(store.find(entry) for entry in entries):
            return "here"
    except WeightsError:
        return "damaged"
    return "carried" if is_carried(entries) else "to fetch"


def is_carried(entries: list[WeightsEntry]) -> bool:
    """Return whether an installed package contains the weights."""
    from asrlab.weights import CarrierSource

    return any(CarrierSource().why_not(entry) is None for entry in entries)
