"""Standard output and standard error, guarded.

All text that a command prints passes through `OutputStream.write`, whoever prints it: the command, click, logging,
Python's warnings or a plugin. Unsafe characters are escaped there, and nowhere else.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from asrlab.control_characters import escape_controls
from asrlab.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


STDOUT = "standard output"
STDERR = "standard error"
OUTPUT_FAILED = 74
"""Exit code where output cannot be written. Source: sysexits.h, EX_IOERR."""


class OutputStream(io.TextIOBase):
    """A text stream that escapes what is unsafe for a terminal, and reports what cannot be written.

    A write to standard output that fails raises `OutputError`, or ``BrokenPipeError`` where the reader is gone. A write
    to standard error that fails is dropped: an hour of work must not end because a progress line cannot be shown.
    After a failure the descriptor leads to the null device, so that Python's own flush at exit has nothing to complain
    about.

    Args:
        raw: The stream; None where the process was started with it closed.
        name: `STDOUT` or `STDERR`.
        escapes: Whether unsafe characters are escaped; False for a caller that has done so and writes styles.
    """

    def __init__(self, raw: TextIO | None, name: str, *, escapes: bool = True) -> None:
        super().__init__()
        self.raw = raw
        self.name = name
        self.reader_gone = False
        self._escapes = escapes

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has an attribute
        """The encoding of the stream; UTF-8 where it does not say."""
        return getattr(self.raw, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How text that the encoding lacks is written: as escapes."""
        return "backslashreplace"

    @property
    def buffer(self) -> _Bytes:
        """The way in for bytes, which are text in UTF-8 and guarded like text."""
        return _Bytes(self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether a person reads the stream."""
        try:
            return self.raw is not None and self.raw.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Return the descriptor.

        Raises:
            OSError: There is none.
        """
        if self.raw is None:
            raise io.UnsupportedOperation(f"{self.name} is closed")
        return self.raw.fileno()

    def write(self, text: str, /) -> int:
        """Write *text*, its unsafe characters escaped."""
        if not isinstance(text, str):
            raise TypeError(f"{self.name} takes text, not {type(text).__name__}")
        if text:
            shown = escape_controls(text) if self._escapes else text
            self._attempt(encodable(shown, self.encoding))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        if self.raw is not None:
            self._attempt("")

    def write_bytes(self, data: bytes) -> None:
        """Write *data* as it is, such as a file that was asked for on standard output."""
        self._attempt("", data)

    def unescaped(self) -> OutputStream:
        """Return the same stream for a caller that escapes by itself."""
        return _Unescaped(self)

    def _attempt(self, text: str, data: bytes = b"") -> None:
        try:
            if self.raw is None:
                raise OSError("it is closed")
            if text:
                self.raw.write(text)
            self.raw.flush()
            if data:
                self.raw.buffer.write(data)
                self.raw.buffer.flush()
        except OutputError:  # of a guard further out
            raise
        except (OSError, ValueError) as error:  # ValueError: somebody closed the stream
            self._discard()
            if self.name != STDOUT:
                return
            if isinstance(error, BrokenPipeError):
                self.reader_gone = True
                # without a number: click would end the process with 1 by itself
                raise BrokenPipeError(f"the reader of {STDOUT} is gone") from error
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{STDOUT} cannot be written: {reason}; make room there, or send the output elsewhere",
                path=STDOUT,
                reason=reason,
            ) from error

    def _discard(self) -> None:
        """Lead the descriptor to the null device, and drop what is still buffered."""
        if self.raw is None:
            return
        with suppress(OSError, ValueError):
            descriptor = self.raw.fileno()
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor)
            os.close(nothing)
        with suppress(OSError, ValueError):
            self.raw.flush()


class _Bytes(io.RawIOBase):
    """What click and others write bytes to."""

    def __init__(self, stream: OutputStream) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Write *data* as text; what is no UTF-8 is escaped."""
        self._stream.write(bytes(data).decode("utf-8", "surrogateescape"))
        return len(data)


class _Unescaped(OutputStream):
    """A second way into a stream, with the same treatment of errors."""

    def __init__(self, guarded: OutputStream) -> None:
        super().__init__(guarded.raw, guarded.name, escapes=False)
        self._guarded = guarded

    def _attempt(self, text: str, data: bytes = b"") -> None:
        self._guarded._attempt(text, data)  # noqa: SLF001 - its own


def encodable(text: str, encoding: str) -> str:
    """Return *text* with characters that *encoding* lacks as escapes."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


@contextmanager
def guard_streams(*, stdout_is_data: bool = True) -> Iterator[None]:
    """Put an `OutputStream` in front of standard output and standard error; nested calls wrap what is there by then.

    Args:
        stdout_is_data: Whether standard output has what was asked for, so that a failed write is an error; False in a
            worker, whose results go elsewhere.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", OutputStream(_readable(before[0]), STDOUT if stdout_is_data else STDERR))
    sys.stderr = cast("TextIO", OutputStream(_readable(before[1]), STDERR))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def guarded(*, stderr: bool = False) -> OutputStream:
    """Return the guarded stream in use, or a new guard for a stream that has none."""
    stream = sys.stderr if stderr else sys.stdout
    return stream if isinstance(stream, OutputStream) else OutputStream(stream, STDERR if stderr else STDOUT)


def run_guarded(program: Callable[[], object]) -> None:
    """Run a program with guarded streams, and end the process where its output cannot be written."""
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


def write_stdout(data: bytes) -> None:
    """Write a document to standard output as it is.

    Raises:
        OutputError: It cannot be written.
    """
    guarded().write_bytes(data)


def open_missing_descriptors() -> None:
    """Open the null device for each standard descriptor that the process was started without.

    Otherwise the next file that is opened would be standard output, and what a native library prints would go there.
    Standard output stays unwritable, so that a failure is seen.
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


def _readable(stream: TextIO | None) -> TextIO | None:
    """Return *stream*, in UTF-8 where the locale would only let ASCII through."""
    if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
        stream.reconfigure(encoding="utf-8")
    return stream
