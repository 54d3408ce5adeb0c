"""Messages between a run's process and a worker: pickled, each with its length before it."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["read_frame", "write_frame"]

_LENGTH_BYTES = 8


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write a pickled message, and flush."""
    stream.write(len(data).to_bytes(_LENGTH_BYTES))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next pickled message; None where the other side has ended, if need be in the middle of one.

    The length tells where the next message begins, so that one that cannot be unpickled is lost alone.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head)
    data = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    return data if head and len(data) == length else None
