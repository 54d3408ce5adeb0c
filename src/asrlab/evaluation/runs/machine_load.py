"""Load of the machine by other programs during a measurement."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

import attrs

from asrlab.environment import usable_cores

MAX_OTHERS_SHARE = 0.1
"""The share of the cores' time that other programs may take before the machine counts as busy."""
MAX_STOLEN_SHARE = 0.05
"""The share of the cores' time that the hypervisor may give to other machines before the machine counts as busy."""


@attrs.frozen(kw_only=True)
class MachineLoad:
    """Use of the cores that this process may use, over some seconds.

    Attributes:
        seconds: Wall-clock time, by the monotonic clock.
        cores: Number of cores.
        own_s: CPU seconds of this process and of its children that ended.
        others_s: CPU seconds of all other programs on these cores; None where the system does not report them.
        stolen_s: Seconds in which the hypervisor gave these cores to other machines; None if not reported.
    """

    seconds: float
    cores: int
    own_s: float
    others_s: float | None = None
    stolen_s: float | None = None

    @property
    def others_share(self) -> float:
        """Share of the cores' time that other programs took, from 0 to 1; 0 if not known."""
        return self._share(self.others_s)

    @property
    def stolen_share(self) -> float:
        """Share of the cores' time that other machines took, from 0 to 1; 0 if not known."""
        return self._share(self.stolen_s)

    @property
    def is_busy(self) -> bool:
        """True if other programs can have distorted the measurement."""
        return self.others_share > MAX_OTHERS_SHARE or self.stolen_share > MAX_STOLEN_SHARE

    def _share(self, cpu_s: float | None) -> float:
        available_s = self.seconds * self.cores
        return cpu_s / available_s if cpu_s and available_s > 0 else 0.0


class LoadMeter:
    """A meter of the machine's load since its creation."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._own_s = _own_cpu_s()
        self._cores = _core_times_s()

    def read(self) -> MachineLoad:
        """Return the load since the meter was created."""
        now, before = _core_times_s(), self._cores
        own_s = _own_cpu_s() - self._own_s
        others_s = stolen_s = None
        if now is not None and before is not None:
            others_s = max(0.0, now[0] - before[0] - own_s)
            stolen_s = max(0.0, now[1] - before[1])
        return MachineLoad(
            seconds=time.monotonic() - self._start,
            cores=usable_cores(),
            own_s=own_s,
            others_s=others_s,
            stolen_s=stolen_s,
        )


def _own_cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _core_times_s() -> tuple[float, float] | None:
    """Return the busy and the stolen seconds of the usable cores since the machine started; None if not reported.

    Source: proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice. User and nice
    include the time of guests.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    busy = stolen = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            name, *fields = line.split()
            if name in names:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                busy += user + nice + system + irq + softirq
                stolen += steal
                names.discard(name)
        if not names:
            ticks_per_s = os.sysconf("SC_CLK_TCK")
            return busy / ticks_per_s, stolen / ticks_per_s
    return None
