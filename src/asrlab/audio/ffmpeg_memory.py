"""A bound on what FFmpeg's libraries allocate at once: they believe the sizes that a damaged header declares."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MAX_ALLOCATION_BYTES", "limited_allocations"]

MAX_ALLOCATION_BYTES = 128 * 2**20
"""A tag of 0x7FFFFFE0 bytes in a file of 48 KB takes 2 GiB otherwise. Covers in tags are a hundredth of this."""

_DEFAULT_BYTES = 2**31 - 1  # INT_MAX; FFmpeg has no function that returns the limit
_lock = threading.Lock()
_users = 0


@contextmanager
def limited_allocations() -> Iterator[None]:
    """Bound each allocation of FFmpeg's libraries to `MAX_ALLOCATION_BYTES`.

    ``av_max_alloc`` holds for the whole process, so the limit is undone when the last thread has left; nothing happens
    where the function cannot be reached (Windows).
    """
    global _users  # noqa: PLW0603 - counts the users of a limit that FFmpeg has once a process
    with _lock:
        _users += 1
        if _users == 1:
            _set_limit(MAX_ALLOCATION_BYTES)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set_limit(_DEFAULT_BYTES)


def _set_limit(size: int) -> None:
    """Call ``av_max_alloc`` of the libavutil that PyAV is linked to; a handle of PyAV's core finds it."""
    core = importlib.import_module("av._core")
    try:
        set_limit = ctypes.CDLL(core.__file__).av_max_alloc
    except (AttributeError, OSError):
        return
    set_limit.argtypes, set_limit.restype = [ctypes.c_size_t], None
    set_limit(size)
