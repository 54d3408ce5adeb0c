"""What keeps plugins from harming a command: they are tried first, and what they print is no data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points

from asrlab.cli.output import json_only, stdout_to_stderr
from asrlab.cli.progress import StatusLine
from asrlab.engine.plugin_code import STDOUT_GUARD

_USING_PLUGINS = frozenset(
    {
        *("bench", "devices", "doctor", "models", "new-plugin", "patches", "plugins", "pull", "resume", "transcribe"),
        *("tune", "verify"),
    }
)
_TRYING_AGAIN = frozenset({"doctor", "plugins"})


@contextmanager
def guard_plugins(arguments: Sequence[str], *, as_json: bool, completing: bool) -> Iterator[None]:
    """Run a command such that no plugin ends it, hangs it unnamed, or prints into its data.

    Args:
        arguments: Those of the command line.
        as_json: Whether standard output holds one JSON document.
        completing: Whether a shell completes a word, which must take no time.
    """
    token = STDOUT_GUARD.set(stdout_to_stderr)
    try:
        if as_json:
            with json_only():
                _probe(arguments)
                yield
        else:
            if not completing:
                _probe(arguments)
            yield
    finally:
        STDOUT_GUARD.reset(token)


def _probe(arguments: Sequence[str]) -> None:
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if command not in _USING_PLUGINS or {"-h", "--help"} & {*arguments}:
        return
    if os.environ.get("ASRLAB_DISABLE_PLUGINS") == "*" or not entry_points(group="asrlab"):
        return
    from asrlab.doctor.probes import probe_plugins

    status = StatusLine("trying plugins", only_live=True)
    probe_plugins(again=command in _TRYING_AGAIN, progress=status.show)
