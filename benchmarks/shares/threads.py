"""CPU time of each thread of this process by name, as measured by the kernel."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["ThreadTimes"]

_INTERVAL_S = 0.02
_THREADS = Path("/proc/self/task")


class ThreadTimes:
    """A sampler of the CPU time of all threads, because the time of a thread is lost at its end. Linux only.

    Attributes:
        seconds: CPU seconds of Python's threads by name, summed over a pool; ``other`` are the threads of the engine's
            libraries.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._names: dict[int, str] = {}
        self._last: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._sample_repeatedly, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._sample()
        self._before, self._start = dict(self._last), time.process_time()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sample()
        total = time.process_time() - self._start
        self._stopped.set()
        self._watch.join()
        totals: dict[str, float] = defaultdict(float)
        for thread, seconds in self._last.items():
            if name := self._names.get(thread):
                totals[name] += seconds - self._before.get(thread, 0.0)
        totals["other"] = total - sum(totals.values())
        self.seconds = dict(totals)

    def _sample_repeatedly(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            self._sample()

    def _sample(self) -> None:
        for thread in threading.enumerate():
            if thread.native_id is not None:
                self._names[thread.native_id] = thread.name.rpartition("_")[0] or thread.name
        for native in self._names:
            try:
                running_ns = int((_THREADS / str(native) / "schedstat").read_text().split()[0])
            except OSError:  # the thread has ended
                continue
            self._last[native] = running_ns / 1e9
