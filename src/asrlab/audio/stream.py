"""Byte streams without a name, so that no decoder can guess a format from a file's extension."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from contextlib import ExitStack
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

    error: Exception | None = None
    _position = 0

    def __init__(self, file: BinaryIO, *, label: str, owned: bool) -> None:
        self.label = label
        self._file = file
        self._owned = owned
        self._origin = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._origin

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes; all remaining bytes if *size* is negative."""
        data = self.read_at(self._position, max(0, self.size - self._position) if size < 0 else size)
        self._position += len(data)
        return data

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position* without moving the stream, on whose position decoders rely."""
        if not 0 <= position <= _MAX_POSITION:
            return b""
        try:
            self._file.seek(self._origin + position)
            return self._file.read(size) or b""
        except Exception as error:  # noqa: BLE001 - whatever the caller's file raises must not reach C code
            self.error = error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to *offset* and return the new position; -1 if there is no such position."""
        target = offset + (0 if whence == os.SEEK_SET else self._position if whence == os.SEEK_CUR else self.size)
        if not 0 <= target <= _MAX_POSITION:  # from a damaged header; the disk is not at fault
            return -1
        self._position = target
        return target

    def tell(self) -> int:
        """Return the position, counted from the start of the stream."""
        return self._position

    def raise_error(self) -> None:
        """Raise an `AudioError` from the stored exception of the underlying file, if there is one."""
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
        with ExitStack() as cleanup:
            file = cleanup.enter_context(open(path, "rb"))  # noqa: PTH123 - a path may be a str
            stream = _seekable(file, label=label, owned=True)
            cleanup.pop_all()
    except (OSError, ValueError) as error:
        match error:
            case FileNotFoundError() | NotADirectoryError():
                message, reason = f"no audio file at {label!r}; check the path", "missing"
            case IsADirectoryError():
                message, reason = (
                    f"{label!r} is a directory, not an audio file; give the path of a file in it",
                    "directory",
                )
            case _:
                cause = getattr(error, "strerror", None) or error
                message, reason = f"cannot open {label!r}: {cause}; check that you may read it", "unreadable"
        raise AudioError(message, source=label, reason=reason) from error
    return stream


def _open_file_object(file: BinaryIO) -> ByteStream:
    name = getattr(file, "name", None)
    label = name if isinstance(name, str) else "<file object>"
    try:
        if isinstance(file.read(0), bytes):
            return _seekable(file, label=label, owned=False)
    except (OSError, ValueError) as error:
        message = f"cannot read {label!r}: {error}; give an open, readable binary file object"
        raise AudioError(message, source=label, reason="unreadable") from error
    message = f"{label!r} gives text, not bytes; open it with mode 'rb'"
    raise AudioError(message, source=label, reason="unreadable")


def _seekable(file: BinaryIO, *, label: str, owned: bool) -> ByteStream:
    """Return a stream of *file*, or of a copy if *file* cannot seek; the copy replaces an owned file."""
    if file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek") and hasattr(file, "tell"):
        return ByteStream(file, label=label, owned=owned)
    with ExitStack() as cleanup:
        copy = cleanup.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        cleanup.pop_all()
    if owned:
        file.close()
    return ByteStream(cast(BinaryIO, copy), label=label, owned=True)
