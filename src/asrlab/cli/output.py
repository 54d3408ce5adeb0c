"""Output of commands: tables, documents, and one JSON document that nothing else is mixed into."""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

import click

from asrlab.control_characters import escape_json
from asrlab.errors import OptionError
from asrlab.output_files import check_target, write_file
from asrlab.terminal import guarded

if TYPE_CHECKING:
    from asrlab.terminal.screen import Screen, Text
    from asrlab.terminal.table import Table

_SAVED: ContextVar[tuple[int, TextIO] | None] = ContextVar("asrlab_saved_stdout", default=None)
"""The duplicated descriptor of standard output and its stream while standard output is redirected."""


def print_parts(screen: Screen, parts: Iterable[Table | Text]) -> None:
    """Print tables and texts, each after an empty line."""
    for part in parts:
        screen.print()
        screen.show(part)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print *value* as JSON on standard output; a string is a document that is printed unchanged."""
    document = value if isinstance(value, str) else escape_json(encode_json(value, indent=indent)) + "\n"
    with real_stdout():
        click.echo(document, nl=False, color=True)


def encode_json(value: Any, *, indent: int | None = None) -> str:
    """Return *value* as JSON, even if a plugin has replaced functions of `json`."""
    text: str = _ENCODER.JSONEncoder(ensure_ascii=False, indent=indent).encode(value)
    return text


def _private_encoder() -> ModuleType:
    """Return a copy of ``json.encoder`` that no plugin can replace."""
    spec = importlib.util.find_spec("json.encoder")
    assert spec is not None  # noqa: S101 - a module of the standard library
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ENCODER = _private_encoder()


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect standard output to standard error, for Python and native code."""
    if _SAVED.get() is not None:
        yield
        return
    saved = _save_and_redirect()
    token = _SAVED.set(saved)
    try:
        yield
    finally:
        _SAVED.reset(token)
        if saved is not None:
            _restore(*saved)
            os.close(saved[0])


@contextmanager
def json_only() -> Iterator[None]:
    """Reserve standard output for what is printed inside of `real_stdout`, until the process has ended."""
    try:
        with stdout_to_stderr():
            yield
    finally:
        # handlers run in reverse order: what the others print goes to standard error
        atexit.unregister(_save_and_redirect)
        atexit.register(_save_and_redirect)


@contextmanager
def real_stdout() -> Iterator[None]:
    """Undo the redirection of standard output within the block."""
    saved = _SAVED.get()
    if saved is None:
        yield
        return
    _restore(*saved)
    try:
        yield
        sys.stdout.flush()
    finally:
        _redirect()


def _save_and_redirect() -> tuple[int, TextIO] | None:
    """Redirect standard output and return the original; None if there is none."""
    try:
        sys.stdout.flush()
        saved = os.dup(1), sys.stdout
    except (OSError, ValueError, AttributeError):
        return None
    _redirect()
    return saved


def _redirect() -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with suppress(OSError):
        os.dup2(2, 1)
    sys.stdout = sys.stderr


def _restore(descriptor: int, stream: TextIO) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os.dup2(descriptor, 1)
    sys.stdout = stream


def is_stdout(path: Path) -> bool:
    """Return whether *path* is ``-``, which names standard output."""
    return path == Path("-")


def check_document_path(path: Path, *, as_json: bool, option: str) -> None:
    """Check that a document can be written to *path*, before it is built; ``--json`` needs standard output."""
    if not is_stdout(path):
        check_target(path)
    elif as_json:
        message = f"--{option} - and --json would both write to standard output; leave one out"
        raise OptionError(message, option=option)


def write_document(path: Path, content: bytes) -> None:
    """Write *content* to standard output, or to a file, which is written whole or not at all."""
    if is_stdout(path):
        guarded().write_bytes(content)
    else:
        write_file(path, content)
