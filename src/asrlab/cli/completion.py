"""``asrlab completion``: completion for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from asrlab.cli.options import COMPLETE

EPILOG = """\b
Examples:
  eval "$(asrlab completion bash)"
  asrlab completion fish > ~/.config/fish/completions/asrlab.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes asrlab's commands, options and models in SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "asrlab", COMPLETE).source())
