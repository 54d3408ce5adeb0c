"""Guards for standard output and standard error: all text that is printed passes through `OutputStream.write`."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from asrlab.control_characters import escape_controls
from asrlab.errors import OutputError

STDOUT, STDERR = "standard output", "standard error"
OUTPUT_FAILED = 74
"""Exit code of a command whose output cannot be written. Source: sysexits.h, EX_IOERR."""


class OutputStream(io.TextIOBase):
    """A text stream that escapes characters that are unsafe for a terminal, and reports failed writes.

    A failed write to standard output raises `OutputError`, or ``BrokenPipeError`` if the reader has closed the pipe. A
    failed write to standard error is dropped, because a long job must not end for a progress line. After a failure the
    descriptor is redirected to the null device, so that Python's flush at exit does not fail.

    Args:
        raw: The stream; None if the process was started with a closed stream.
        name: `STDOUT` or `STDERR`.
        escaped_by_caller: The guarded stream of which this is a view without escaping; None if this stream escapes.
    """

    def __init__(self, raw: TextIO | None, name: str, *, escaped_by_caller: OutputStream | None = None) -> None:
        super().__init__()
        self.raw = raw
        self.name = name
        self.reader_gone = False
        # no reference to itself, so that the stream is finalized before *raw* is closed
        self._guarded = escaped_by_caller

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has an attribute
        """The encoding of the stream; UTF-8 if the stream has none."""
        return getattr(self.raw, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The error handler, which escapes characters that the encoding lacks."""
        return "backslashreplace"

    @property
    def buffer(self) -> _ByteStream:
        """The stream for bytes, which are text in UTF-8 and are escaped like text."""
        return _ByteStream(self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self.raw is not None and self.raw.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Return the descriptor, or raise ``OSError`` if there is none."""
        if self.raw is None:
            raise io.UnsupportedOperation(f"{self.name} is closed")
        return self.raw.fileno()

    def write(self, text: str, /) -> int:
        """Write *text* with its unsafe characters escaped."""
        if not isinstance(text, str):
            raise TypeError(f"{self.name} accepts text, not {type(text).__name__}")
        if text:
            escaped = text if self._guarded else escape_controls(text)
            self._write(escaped.encode(self.encoding, self.errors).decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.raw is not None:
            self._write("")

    def write_bytes(self, data: bytes) -> None:
        """Write *data* unchanged, such as a document on standard output."""
        self._write("", data)

    def unescaped(self) -> OutputStream:
        """Return a view of the stream for a caller that escapes text itself and writes styles."""
        return OutputStream(self.raw, self.name, escaped_by_caller=self)

    def _write(self, text: str, data: bytes = b"") -> None:
        try:
            if self.raw is None:
                raise OSError("the stream is closed")
            if text:
                self.raw.write(text)
            self.raw.flush()
            if data:
                self.raw.buffer.write(data)
                self.raw.buffer.flush()
        except OutputError:  # from an outer guard
            raise
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._redirect_to_null()
            if self.name != STDOUT:
                return
            if isinstance(error, BrokenPipeError):
                (self._guarded or self).reader_gone = True
                # without an errno, for which click would exit with 1
                raise BrokenPipeError(f"the reader of {STDOUT} has closed the pipe") from error
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{STDOUT} cannot be written: {reason}; free space on the device, or redirect the output",
                path=STDOUT,
                reason=reason,
            ) from error

    def _redirect_to_null(self) -> None:
        """Redirect the descriptor to the null device, and drop buffered output."""
        if self.raw is None:
            return
        with suppress(OSError, ValueError):
            descriptor = self.raw.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
        with suppress(OSError, ValueError):
            self.raw.flush()


class _ByteStream(io.RawIOBase):
    """A byte stream for click and other callers that write bytes."""

    def __init__(self, stream: OutputStream) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Write *data* as text, with bytes that are not UTF-8 escaped."""
        self._stream.write(bytes(data).decode("utf-8", "surrogateescape"))
        return len(data)


@contextmanager
def guard_streams(*, stdout_is_data: bool = True) -> Iterator[None]:
    """Replace standard output and standard error by an `OutputStream`; nested calls wrap the present streams.

    Args:
        stdout_is_data: True if standard output has the result of the command, so that a failed write is an error; False
            in a worker, which sends its results through a pipe.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8")
    sys.stdout = cast("TextIO", OutputStream(before[0], STDOUT if stdout_is_data else STDERR))
    sys.stderr = cast("TextIO", OutputStream(before[1], STDERR))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def guarded(*, stderr: bool = False) -> OutputStream:
    """Return the present guarded stream, or a new guard for a stream without one."""
    stream = sys.stderr if stderr else sys.stdout
    return stream if isinstance(stream, OutputStream) else OutputStream(stream, STDERR if stderr else STDOUT)


def run_guarded(program: Callable[[], object]) -> None:
    """Run a program with guarded streams, and exit if its output cannot be written."""
    open_missing_descriptors()
    with guard_streams():
        try:
            program()
            sys.stdout.flush()
        except OutputError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(OUTPUT_FAILED)
        except BrokenPipeError:
            if not guarded().reader_gone:
                raise


def open_missing_descriptors() -> None:
    """Open the null device for each missing standard descriptor.

    Otherwise the next opened file would get the descriptor of standard output, and the output of native libraries.
    Standard output stays unwritable, so that failed writes are reported.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            else:
                os.set_inheritable(descriptor, True)  # noqa: FBT003 - os has no keyword
