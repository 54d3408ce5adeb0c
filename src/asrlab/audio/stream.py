"""Byte streams without a name, so that no decoder can guess a format from a file's extension."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from typing import BinaryIO, cast

from asrlab.errors import AudioError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|file:|data:", re.IGNORECASE)
_IN_MEMORY_BYTES = 8 * 2**20
_MAX_POSITION = 2**43
"""8 TiB, more than any recording; file systems refuse positions from 16 TiB on as invalid."""


class ByteStream:
    """View of a binary file from its current position on, which soundfile and PyAV accept as a file object.

    The view has no ``name`` on purpose: both libraries would guess the format from its extension. An exception of the
    underlying file is stored in *error* and reported as the end of the file, because C code between the file and the
    caller could only print it.

    Attributes:
        label: Name of the source in messages.
        size: Size in bytes.
        error: Exception that the underlying file raised; None if it raised none.
    """

    def __init__(self, file: BinaryIO, *, label: str, owned: bool) -> None:
        self.label = label
        self.error: Exception | None = None
        self._file = file
        self._owned = owned
        self._origin = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._origin

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes; all remaining bytes if *size* is negative."""
        return self._guarded(lambda: self._file.read(size) or b"", otherwise=b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill *buffer* from the file and return the number of bytes written to it."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to *offset* and return the new position; -1 if there is no such position."""
        target = offset + (0 if whence == os.SEEK_SET else self.tell() if whence == os.SEEK_CUR else self.size)
        if not 0 <= target <= _MAX_POSITION:  # from a damaged header; the disk is not at fault
            return -1
        return self._guarded(lambda: self._file.seek(self._origin + target) - self._origin, otherwise=-1)

    def tell(self) -> int:
        """Return the position, counted from the start of the stream."""
        return self._guarded(lambda: self._file.tell() - self._origin, otherwise=-1)

    def _guarded[T](self, call: Callable[[], T], *, otherwise: T) -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever the caller's file raises must not reach C code
            self.error = error
            return otherwise

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position* without moving the stream, on whose position decoders rely."""
        before = self.tell()
        self.seek(position)
        data = self.read(size)
        self.seek(before)
        return data

    def seekable(self) -> bool:
        """Return True: every stream can seek."""
        return True

    def readable(self) -> bool:
        """Return True: every stream can be read."""
        return True

    def raise_error(self) -> None:
        """Raise the stored exception of the underlying file, if there is one.

        Raises:
            AudioError: If reading the file failed; the cause is chained.
        """
        if self.error is not None:
            message = f"reading {self.label!r} failed: {self.error}; check the disk or the object it comes from"
            raise AudioError(message, source=self.label, reason="unreadable") from self.error

    def close(self) -> None:
        """Close the file unless the caller opened it."""
        if self._owned:
            self._file.close()


def open_stream(source: object) -> ByteStream:
    """Open the bytes of *source*: a path, bytes, or a binary file object, which is read from its current position on.

    A file object that cannot seek is copied first, to memory up to 8 MiB and to a temporary file beyond that.

    Raises:
        AudioError: If the file is missing, is a directory or is not readable, or if *source* has another type.
    """
    if isinstance(source, str | os.PathLike):
        return _open_path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return ByteStream(io.BytesIO(source), label="<bytes>", owned=True)
    if hasattr(source, "read"):
        return _open_file_object(cast(BinaryIO, source))
    kind = type(source).__name__
    raise AudioError(
        f"cannot read audio from an object of type {kind}; give a path, bytes, a binary file object, a numpy array "
        "with sample_rate=, or an asrlab.Audio",
        source=f"<{kind}>",
        reason="unreadable",
    )


def _open_path(source: str | os.PathLike[str]) -> ByteStream:
    path = os.fspath(source)
    label = os.fsdecode(path)
    if _ADDRESS.match(label):
        message = f"cannot open {label!r}: asrlab reads local files only; download it and give its path"
        raise AudioError(message, source=label, reason="unreadable")
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115 - the stream closes it; a path may be a str
    except (OSError, ValueError) as error:
        raise _path_error(label, error) from error
    try:
        seekable = file.seekable()
        stream = ByteStream(file if seekable else _copied(file), label=label, owned=True)
    except OSError as error:
        file.close()
        raise _path_error(label, error) from error
    if not seekable:
        file.close()
    return stream


def _path_error(label: str, error: Exception) -> AudioError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return AudioError(f"no audio file at {label!r}; check the path", source=label, reason="missing")
        case IsADirectoryError():
            message = f"{label!r} is a directory, not an audio file; give the path of a file in it"
            return AudioError(message, source=label, reason="directory")
    cause = getattr(error, "strerror", None) or error
    message = f"cannot open {label!r}: {cause}; check that you may read it"
    return AudioError(message, source=label, reason="unreadable")


def _open_file_object(file: BinaryIO) -> ByteStream:
    name = getattr(file, "name", None)
    label = name if isinstance(name, str) else "<file object>"
    try:
        if isinstance(file.read(0), bytes):
            can_seek = _can_seek(file)
            return ByteStream(file if can_seek else _copied(file), label=label, owned=not can_seek)
    except (OSError, ValueError) as error:
        message = f"cannot read {label!r}: {error}; give an open, readable binary file object"
        raise AudioError(message, source=label, reason="unreadable") from error
    message = f"{label!r} gives text, not bytes; open it with mode 'rb'"
    raise AudioError(message, source=label, reason="unreadable")


def _can_seek(file: BinaryIO) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if seekable is not None else hasattr(file, "seek") and hasattr(file, "tell")


def _copied(file: BinaryIO) -> BinaryIO:
    copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - the stream closes it
    try:
        shutil.copyfileobj(file, copy)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return cast(BinaryIO, copy)
