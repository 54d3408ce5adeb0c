"""Commands that are imported when they are used, the guards around their bodies, and their exit codes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from asrlab.terminal import OUTPUT_FAILED

if TYPE_CHECKING:
    import logging

COMPLETE = "_ASRLAB_COMPLETE"
"""The environment variable by which a shell asks for completions."""
DONE = 0
SOME_FAILED = 1
USAGE = 2
NOT_THERE = 3
BAD_INPUT = 4
FAULT = 70  # Source: sysexits.h, EX_SOFTWARE
INTERRUPTED = 130
_CODES = {
    **dict.fromkeys(("EngineNotFoundError", "EngineUnavailableError", "DeviceUnavailableError"), NOT_THERE),
    **dict.fromkeys(("OptionError", "PatchError"), USAGE),
    **dict.fromkeys(("AudioError", "DatasetError", "WeightsError"), BAD_INPUT),
    "OutputError": OUTPUT_FAILED,
}
_WITHOUT_PLUGINS = frozenset({"compare", "completion", "report", "runs", "score"})
_PROBING_AGAIN = frozenset({"doctor", "plugins"})


def code_for(error_type: str) -> int:
    """Return the exit code for an error by its class's name."""
    return _CODES.get(error_type, SOME_FAILED)


class Command(click.Command):
    """A command whose body no plugin can end, hang unnamed, or print into."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the body under the guards; ``--help`` and wrong usage end before this."""
        with guard_plugins(as_json=bool(ctx.params.get("as_json"))):
            if self.name not in _WITHOUT_PLUGINS:
                _probe_plugins(again=self.name in _PROBING_AGAIN)
            return super().invoke(ctx)


class LazyGroup(click.Group):
    """A group that imports the module of a command when the command is used.

    Args:
        lazy: Each command's module and short help by its name, in the order of ``--help``. The command's object is
            called as the command, with ``_`` for ``-``.
        settings: Arguments of `click.Group`.
    """

    def __init__(self, *, lazy: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(**settings)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """Return the names of the commands, in the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Return the command of this name, imported; None if there is no such command."""
        if cmd_name not in self.lazy:
            return None
        from importlib import import_module

        command: click.Command = getattr(import_module(self.lazy[cmd_name][0]), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Write the table of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in self.lazy.items()])


@contextmanager
def guard_plugins(*, as_json: bool = False) -> Iterator[None]:
    """Keep what plugins print out of standard output, and show asrlab's own warnings.

    Args:
        as_json: True if standard output holds one JSON document.
    """
    import gc
    import logging

    from asrlab.cli.output import json_only, stdout_to_stderr
    from asrlab.engine.spec import STDOUT_GUARD

    gc.enable()  # disabled in asrlab.__main__
    handler = logging.NullHandler() if COMPLETE in os.environ else _stderr_handler()
    log = logging.getLogger("asrlab")
    log.addHandler(handler)
    token = STDOUT_GUARD.set(stdout_to_stderr)
    try:
        with json_only() if as_json else nullcontext():
            yield
    finally:
        STDOUT_GUARD.reset(token)
        log.removeHandler(handler)


def _stderr_handler() -> logging.Handler:
    import logging

    class StderrHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            click.echo(f"asrlab: {record.levelname.lower()}: {record.getMessage()}", err=True)

    return StderrHandler(logging.WARNING)


def _probe_plugins(*, again: bool) -> None:
    """Try third-party plugins in a process of their own, so that one that hangs or crashes is named."""
    from importlib.metadata import entry_points

    if os.environ.get("ASRLAB_DISABLE_PLUGINS") == "*" or not entry_points(group="asrlab"):
        return
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import probe_plugins

    probe_plugins(again=again, progress=StatusLine("trying plugins", only_live=True).show)


COMPLETION_EPILOG = """\b
Examples:
  eval "$(asrlab completion bash)"
  asrlab completion fish > ~/.config/fish/completions/asrlab.fish
"""


@click.command(cls=Command, epilog=COMPLETION_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and models in SHELL."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completer(context.find_root().command, {}, "asrlab", COMPLETE).source())
