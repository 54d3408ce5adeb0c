"""What is changed in a process, and for whom."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from threading import Lock

import attrs

from asrlab.environment import installed_version
from asrlab.errors import PatchError
from asrlab.patches.patch import Patch, PatchDecision
from asrlab.patches.patch_points import PatchPoint
from asrlab.patches.selection import PatchSelection
from asrlab.transcript import PatchStatus

_log = logging.getLogger("asrlab.patches")


@attrs.define
class _ActivePatch:
    """A patch that holds, and for whom.

    Attributes:
        devices: The device of each application that has not ended, by the number of the application.
    """

    patch: Patch
    devices: dict[int, str] = attrs.field(factory=dict)

    def device_now(self) -> str:
        """The device of the newest application; empty when all have ended. Asked by any thread, without the lock."""
        return next(iter([*self.devices.values()][::-1]), "")


class PatchRegistry:
    """The patches that hold in a process.

    An application may end anywhere: a transcriber that nobody closed is collected in any thread, in the midst of an
    application of that thread, too. So nobody waits for the lock to end one: it is put down as ended, and whoever holds
    the lock undoes it afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._sites: dict[str, PatchPoint] = {}
        self._active: dict[str, _ActivePatch] = {}
        self._ended: deque[tuple[str, int]] = deque()
        self._applications = 0
        self._told: set[Hashable] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._free)

    def apply(self, patch: Patch, device: str) -> tuple[PatchDecision, Callable[[], None]]:
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

    def _apply(self, patch: Patch, device: str) -> tuple[PatchDecision, Callable[[], None]]:
        sites: list[PatchPoint] = []
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

    def _begin(self, patch: Patch, device: str, sites: list[PatchPoint]) -> Callable[[], None]:
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
        self._active.setdefault(patch.name, _ActivePatch(patch)).devices[self._applications] = device
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

    def _site(self, place: str) -> PatchPoint:
        if place not in self._sites:
            self._sites[place] = PatchPoint(place)
        return self._sites[place]

    def _let_go(self, sites: Iterable[PatchPoint]) -> None:
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


# The packages that are changed belong to the process, and so must the count of who needs them changed. It is the one
# state that asrlab keeps outside objects that its callers hold.
_PROCESS = PatchRegistry()


class PatchScope:
    """Patches that hold until `close`. Use it as a context manager; any thread may close it.

    Attributes:
        report: What became of each patch, in their order.
    """

    def __init__(self, report: Iterable[PatchStatus], undo: ExitStack) -> None:
        self.report = tuple(report)
        self._undo = undo
        self._lock = Lock()

    def status(self, patch: str) -> str:
        """The status of *patch*; ``skipped`` if it was not in question."""
        return next((each.status for each in self.report if each.name == patch), "skipped")

    def require(self, choice: PatchSelection) -> None:
        """Refuse a patch that was named, is needed, and could not be applied; nothing stays changed then.

        Raises:
            PatchError: There is one.
        """
        for each in self.report:
            if each.status == "failed" and choice.names and each.name in choice.names:
                self.close()
                raise PatchError(
                    f"{choice.source}: patch {each.name!r} cannot be applied ({each.reason}); leave it out, and report "
                    "it with the output of: asrlab patches",
                    patch=each.name,
                )

    def close(self) -> None:
        """Undo what was applied, the last first, unless others still need it. May be called again.

        While another thread is applying patches, it is that thread which undoes these, as soon as it is done.
        """
        with self._lock:
            undo = self._undo.pop_all()
        undo.close()

    def __enter__(self) -> PatchScope:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def apply_patches(patches: Iterable[Patch], device: str, *, choice: PatchSelection, direct: bool = False) -> PatchScope:
    """Apply those of *patches* that are needed on *device*.

    Args:
        patches: In the order in which they are to be applied.
        device: Such as ``mps`` or ``cuda:0``.
        choice: Which of them may be applied.
        direct: Whether the user's own code calls the packages; else an engine of asrlab does.

    One that fails is reported as failed, and the others are applied.
    """
    statuses: list[PatchStatus] = []
    with ExitStack() as undo:  # an interruption on the way undoes what was applied so far
        for patch in patches:
            status, function = _applied(patch, device, why_not=choice.forbids(patch, direct=direct))
            undo.callback(function)
            statuses.append(status)
            _tell(patch, status, device)
        return PatchScope(statuses, undo.pop_all())


def import_modules(patch: Patch) -> None:
    """Import the modules that *patch* changes, in its `Patch.import_context`.

    Raises:
        Exception: Whatever the package raises.
    """
    with patch.import_context():
        for module in (patch.module, *(place.partition(":")[0] for place in patch.changes)):
            import_module(module)


def _applied(patch: Patch, device: str, *, why_not: str) -> tuple[PatchStatus, Callable[[], None]]:
    def told(status: str, reason: str) -> PatchStatus:
        return PatchStatus(
            name=patch.name, distribution=patch.distribution, status=status, reason=reason, link=patch.link
        )

    if why_not:
        return told("skipped", why_not), _nothing
    version = installed_version(patch.distribution)
    if version is None:
        return told("skipped", f"{patch.distribution} is not installed"), _nothing
    kind = device.partition(":")[0]
    if kind not in patch.devices:
        return told("not-needed", f"only {' and '.join(patch.devices)} can need it, not {kind}"), _nothing
    try:
        # before the lock is taken, since a thread that imports the package may wait for the lock
        import_modules(patch)
        need, undo = _PROCESS.apply(patch, device)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the package and the patch may raise anything
        first_line = str(error).partition("\n")[0]
        return told("failed", f"{type(error).__name__}: {first_line}"), _nothing
    if need.status != "needed":
        return told(need.status, need.reason), undo
    if version not in patch.versions:
        tested = ", ".join(patch.versions)
        return told("untested-version", f"{need.reason}; {version} is not among the tested versions {tested}"), undo
    return told("applied", need.reason), undo


def _tell(patch: Patch, status: PatchStatus, device: str) -> None:
    """Log what became of a patch, once in a process."""
    if not _PROCESS.first_time(status):
        return
    facts = (patch.name, patch.distribution, device, status.status, status.reason, patch.link)
    level = logging.WARNING if status.status == "failed" else logging.INFO
    _log.log(level, "patch %s for %s on %s: %s: %s (%s)", *facts)
