"""The time of work that goes on side by side, shared out so that the parts add up to the whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SharedClock:
    """A clock that goes at half speed while two are at work, at a third while three are.

    What each reads off it adds up to the seconds in which anybody was at work, so that seconds of audio over seconds of
    work are what a user waits for. Any thread may use it.

    Args:
        now: The seconds of a monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._at_work = 0
        self._seconds = 0.0
        self._looked = now()

    def begin(self) -> float:
        """Somebody more is at work; what this clock shows."""
        return self._change(1)

    def end(self) -> float:
        """Somebody is done; what this clock shows."""
        return self._change(-1)

    def _change(self, difference: int) -> float:
        with self._lock:
            now = self._now()
            if self._at_work:
                self._seconds += (now - self._looked) / self._at_work
            self._looked = now
            self._at_work += difference
            return self._seconds
