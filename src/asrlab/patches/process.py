"""What is changed in a process, and for whom."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

import attrs

from asrlab.patches.patch import Need, Patch
from asrlab.patches.sites import Site

__all__ = ["Process"]

_log = logging.getLogger("asrlab.patches")


@attrs.define
class _Active:
    """A patch that holds, and for whom.

    Attributes:
        devices: The device of each application that has not ended, by the number of the application.
    """

    patch: Patch
    devices: dict[int, str] = attrs.field(factory=dict)

    def device_now(self) -> str:
        """The device of the newest application; empty when all have ended. Asked by any thread, without the lock."""
        return next(iter([*self.devices.values()][::-1]), "")


class Process:
    """The patches that hold in a process.

    An application may end anywhere: a transcriber that nobody closed is collected in any thread, in the midst of an
    application of that thread, too. So nobody waits for the lock to end one: it is put down as ended, and whoever holds
    the lock undoes it afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._sites: dict[str, Site] = {}
        self._active: dict[str, _Active] = {}
        self._ended: deque[tuple[str, int]] = deque()
        self._applications = 0
        self._told: set[Hashable] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._free)

    def apply(self, patch: Patch, device: str) -> tuple[Need, Callable[[], None]]:
        """Apply *patch* if it is needed, and give the function that undoes it.

        Raises:
            Exception: Whatever the patch or its package raises; nothing is changed then.
        """
        try:
            with self._held():
                return self._apply(patch, device)
        finally:
            self._settle()

    def first_time(self, fact: Hashable) -> bool:
        """Whether this is asked about *fact* for the first time."""
        with self._lock:
            known = fact in self._told
            self._told.add(fact)
            return not known

    def _apply(self, patch: Patch, device: str) -> tuple[Need, Callable[[], None]]:
        sites: list[Site] = []
        try:
            for place in patch.changes:
                sites.append(self._site(place))  # noqa: PERF401 - those before one that is not there are to be let go
            need = patch.needed(tuple(site.original for site in sites), device)
            if need.status == "needed":
                return need, self._begin(patch, device, sites)
            # where it holds for another device, this one is noted as the newest
            return need, self._end_of(patch, self._count(patch, device)) if patch.name in self._active else _nothing
        finally:
            self._let_go(sites)

    def _begin(self, patch: Patch, device: str, sites: list[Site]) -> Callable[[], None]:
        number = self._count(patch, device)
        try:
            for site in sites:
                site.add(patch, self._active[patch.name].device_now)
            patch.verify(device)
        except BaseException:
            self._undo(patch.name, number)
            raise
        return self._end_of(patch, number)

    def _count(self, patch: Patch, device: str) -> int:
        self._applications += 1
        self._active.setdefault(patch.name, _Active(patch)).devices[self._applications] = device
        return self._applications

    def _end_of(self, patch: Patch, number: int) -> Callable[[], None]:
        def end() -> None:
            self._ended.append((patch.name, number))
            self._settle()

        return end

    def _settle(self) -> None:
        """Undo what has ended, unless somebody holds the lock: he will, when he lets it go."""
        while self._ended and self._lock.acquire(blocking=False):
            try:
                if self._depth:
                    return
                with self._held():
                    while self._ended:
                        self._undo(*self._ended.popleft())
            finally:
                self._lock.release()

    def _undo(self, name: str, number: int) -> None:
        active = self._active.get(name)
        if active is None or active.devices.pop(number, None) is None or active.devices:
            return
        del self._active[name]
        sites = [self._sites[place] for place in active.patch.changes if place in self._sites]
        for site in reversed(sites):
            try:
                site.remove(name)
            except Exception as error:  # noqa: BLE001 - another patch's function may raise anything; undo the rest
                _log.warning("%s could not be put back: %s", site.place, error)
        self._let_go(sites)

    def _site(self, place: str) -> Site:
        if place not in self._sites:
            self._sites[place] = Site(place)
        return self._sites[place]

    def _let_go(self, sites: Iterable[Site]) -> None:
        """Forget places without changes: what is there is looked up anew, and other people's changes are kept."""
        for site in sites:
            if site.bare:
                self._sites.pop(site.place, None)

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def _free(self) -> None:
        """In a forked child: the thread that held the lock is not there."""
        self._lock = threading.RLock()
        self._depth = 0


def _nothing() -> None:
    """Nothing was changed."""
