"""Guards around code of a plugin while it runs in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

STDOUT_GUARD: ContextVar[Callable[[], AbstractContextManager[object]]] = ContextVar(
    "asrlab_stdout_guard", default=nullcontext
)
"""Returns the context in which code of a plugin runs; the command line keeps its output off standard output there."""

_JSON = ("dump", "dumps", "load", "loads", "JSONEncoder", "JSONDecoder")


class Replaced(list[str]):
    """Names of functions of the standard library that a plugin replaced and that were restored."""


@contextmanager
def guarded_plugin_code() -> Iterator[Replaced]:
    """Run code of a plugin, and restore the functions of `json` that it replaces.

    Yields:
        The names of the replaced functions, which are set after the block.
    """
    before: dict[str, Any] = {name: getattr(json, name) for name in _JSON}
    replaced = Replaced()
    try:
        with STDOUT_GUARD.get()():
            yield replaced
    finally:
        for name, value in before.items():
            if getattr(json, name) is not value:
                setattr(json, name, value)
                replaced.append(f"json.{name}")


def name_engine(error: BaseException, engine: str, doing: str) -> None:
    """Add a note with the engine to *error*, if it is an exception that ends a program, such as SystemExit.

    The error is not replaced, because a signal handler of the user's may have raised it.
    """
    if not isinstance(error, Exception | KeyboardInterrupt):
        error.add_note(f"raised by engine {engine!r} {doing}")
