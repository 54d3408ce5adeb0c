"""Output of commands: tables, documents, and one JSON document that nothing else is mixed into."""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

import attrs
import click

from asrlab.control_characters import escape_json
from asrlab.errors import OptionError
from asrlab.output_files import check_target, write_file
from asrlab.terminal import write_stdout

if TYPE_CHECKING:
    from asrlab.terminal.screen import Screen


@attrs.frozen
class _SavedStdout:
    descriptor: int
    stream: TextIO


_SAVED: ContextVar[_SavedStdout | None] = ContextVar("asrlab_saved_stdout", default=None)


def console(*, stderr: bool = False) -> Screen:
    """Return a console for a person; plain text and wide if the stream is no terminal."""
    from asrlab.terminal.screen import open_screen

    return open_screen(stderr=stderr)


def echo_document(text: str) -> None:
    """Print a JSON document unchanged on standard output."""
    with real_stdout():
        click.echo(text, nl=False)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print *value* as JSON on standard output."""
    with real_stdout():
        click.echo(escape_json(encode_json(value, indent=indent)), color=True)


def _private_encoder() -> ModuleType:
    """Return a copy of ``json.encoder`` that no plugin can replace."""
    spec = importlib.util.find_spec("json.encoder")
    assert spec is not None  # noqa: S101 - a module of the standard library
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ENCODER = _private_encoder()


def encode_json(value: Any, *, indent: int | None = None) -> str:
    """Return *value* as JSON, even if a plugin has replaced functions of `json`."""
    text: str = _ENCODER.JSONEncoder(ensure_ascii=False, indent=indent).encode(value)
    return text


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
            _restore(saved)
            os.close(saved.descriptor)


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
    _restore(saved)
    try:
        yield
        sys.stdout.flush()
    finally:
        _redirect()


def _save_and_redirect() -> _SavedStdout | None:
    """Redirect standard output and return the original; None if there is none."""
    try:
        sys.stdout.flush()
        saved = _SavedStdout(os.dup(1), sys.stdout)
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


def _restore(saved: _SavedStdout) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os.dup2(saved.descriptor, 1)
    sys.stdout = saved.stream


@attrs.frozen
class OutputTarget:
    """A file, or standard output.

    Attributes:
        path: The file; ``-`` for standard output.
    """

    path: Path

    @classmethod
    def from_option(cls, path: Path, *, as_json: bool, option: str) -> OutputTarget:
        """Return the target that *path* names.

        Raises:
            OptionError: If both the document and ``--json`` would be written to standard output.
        """
        target = cls(path)
        if target.is_stdout and as_json:
            message = f"--{option} - and --json would both write to standard output; leave one out"
            raise OptionError(message, option=option)
        return target

    def __str__(self) -> str:
        return "to standard output" if self.is_stdout else str(self.path)

    @property
    def is_stdout(self) -> bool:
        """True if the document is written to standard output."""
        return self.path == Path("-")

    def check(self) -> None:
        """Check that the target can be written, before the document is built.

        Raises:
            OutputError: If it cannot be written.
        """
        if not self.is_stdout:
            check_target(self.path)

    def write(self, content: bytes) -> None:
        """Write *content*; a file is written whole or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        if self.is_stdout:
            write_stdout(content)
        else:
            write_file(self.path, content)
