"""A worker ends with the process that started it, even where an engine hangs in it."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

__all__ = ["end_with_parent"]

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOOK_S = 0.5


def end_with_parent(parent: int, *, bound: bool) -> None:
    """End this process when its parent ends, however that ends.

    Linux kills it, whatever it is doing. Elsewhere a thread looks who the parent is, which does not help against
    native code that hangs without letting other threads run.

    Args:
        parent: The process that this one was started by.
        bound: Whether the kernel may be asked: what it takes for the parent is the thread that started this process, so
            only if that thread lives as long as its process.
    """
    if not (bound and _killed_by_kernel()):
        threading.Thread(target=_watch, args=(parent,), name="asrlab-lifeline", daemon=True).start()
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def _killed_by_kernel() -> bool:
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:  # not Linux
        return False
    nothing = ctypes.c_ulong(0)
    return bool(prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), nothing, nothing, nothing) == 0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
