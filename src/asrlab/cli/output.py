"""Standard output that holds one JSON document and nothing else, whatever plugins and libraries print."""

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
from typing import Any, TextIO

import attrs

from asrlab.errors import OptionError
from asrlab.output_files import check_target, write_file
from asrlab.terminal import write_stdout


@attrs.frozen
class _Kept:
    """Standard output as it was: its descriptor, copied, and Python's stream."""

    descriptor: int
    stream: TextIO


_KEPT: ContextVar[_Kept | None] = ContextVar("asrlab_kept_stdout", default=None)


def _private_encoder() -> ModuleType:
    """Return a copy of ``json.encoder`` that is in nobody's reach: a plugin may replace what the json package has."""
    spec = importlib.util.find_spec("json.encoder")
    assert spec is not None  # noqa: S101 - a module of the standard library
    assert spec.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ENCODER = _private_encoder()


def encode_json(value: Any, *, indent: int | None = None) -> str:
    """Return *value* as JSON, whatever has been replaced in `json`."""
    text: str = _ENCODER.JSONEncoder(ensure_ascii=False, indent=indent).encode(value)
    return text


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Lead what this process prints to standard error, from Python or from native code."""
    if _KEPT.get() is not None:
        yield
        return
    kept = _keep()
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        if kept is not None:
            _restore(kept)
            os.close(kept.descriptor)


@contextmanager
def json_only() -> Iterator[None]:
    """Keep standard output for what is printed inside of `real_stdout`, until the process has ended."""
    try:
        with stdout_to_stderr():
            yield
    finally:
        # the last that is registered is the first that runs: what other handlers print goes to standard error
        atexit.unregister(_keep)
        atexit.register(_keep)


@contextmanager
def real_stdout() -> Iterator[None]:
    """Lead what is printed here to standard output, if it is kept."""
    kept = _KEPT.get()
    if kept is None:
        yield
        return
    _restore(kept)
    try:
        yield
        sys.stdout.flush()
    finally:
        _divert()


def _keep() -> _Kept | None:
    """Divert standard output and return it as it was; None if there is none."""
    try:
        sys.stdout.flush()
        kept = _Kept(os.dup(1), sys.stdout)
    except (OSError, ValueError, AttributeError):
        return None
    _divert()
    return kept


def _divert() -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with suppress(OSError):
        os.dup2(2, 1)
    sys.stdout = sys.stderr


def _restore(kept: _Kept) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os.dup2(kept.descriptor, 1)
    sys.stdout = kept.stream


@attrs.frozen
class Target:
    """A file, or standard output.

    Attributes:
        path: The file; ``-`` for standard output.
    """

    path: Path

    @classmethod
    def of(cls, path: Path, *, as_json: bool, option: str) -> Target:
        """Return the target that *path* names.

        Raises:
            OptionError: Both the document and ``--json`` are to go to standard output.
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
        """Whether the document goes to standard output."""
        return self.path == Path("-")

    def check(self) -> None:
        """Find out that it can be written, before the document is made.

        Raises:
            OutputError: It cannot.
        """
        if not self.is_stdout:
            check_target(self.path)

    def write(self, content: bytes) -> None:
        """Write *content*, whole or not at all where it is a file.

        Raises:
            OutputError: It cannot be written.
        """
        if self.is_stdout:
            write_stdout(content)
        else:
            write_file(self.path, content)
