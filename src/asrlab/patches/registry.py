"""The patches that are active in this process, and the scopes that need them."""

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
    """An active patch and its applications.

    Attributes:
        devices: The device of each application that has not ended, by application number.
    """

    patch: Patch
    devices: dict[int, str] = attrs.field(factory=dict)

    def current_device(self) -> str:
        """Return the device of the newest application; empty if all have ended. Any thread may call this unlocked."""
        return next(iter([*self.devices.values()][::-1]), "")


class PatchRegistry:
    """The patches that are active in a process.

    An application may end anywhere: an unclosed transcriber may be garbage collected in any thread, even while this
    thread applies a patch. Therefore no thread waits for the lock to end an application. The application is queued as
    ended, and the thread that holds the lock undoes it on release.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._points: dict[str, PatchPoint] = {}
        self._active: dict[str, _ActivePatch] = {}
        self._ended: deque[tuple[str, int]] = deque()
        self._n_applications = 0
        self._logged: set[Hashable] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset_lock)

    def apply(self, patch: Patch, device: str) -> tuple[PatchDecision, Callable[[], None]]:
        """Apply *patch* if it is needed, and return the decision and the function that undoes the patch.

        Raises:
            Exception: Whatever the patch or its package raises; nothing is changed then.
        """
        try:
            with self._locked():
                return self._apply(patch, device)
        finally:
            self._undo_pending()

    def is_first(self, fact: Hashable) -> bool:
        """Return whether this is the first call with *fact*."""
        with self._lock:
            is_known = fact in self._logged
            self._logged.add(fact)
            return not is_known

    def _apply(self, patch: Patch, device: str) -> tuple[PatchDecision, Callable[[], None]]:
        points: list[PatchPoint] = []
        try:
            for target in patch.changes:
                points.append(self._point(target))  # noqa: PERF401 - points before a missing target must be discarded
            decision = patch.check(tuple(point.original for point in points), device)
            if decision.status == "needed":
                return decision, self._activate(patch, device, points)
            if patch.name not in self._active:
                return decision, _undo_nothing
            # The patch is active for another device; record this device as the newest.
            return decision, self._end_function(patch, self._add_application(patch, device))
        finally:
            self._discard(points)

    def _activate(self, patch: Patch, device: str, points: list[PatchPoint]) -> Callable[[], None]:
        number = self._add_application(patch, device)
        try:
            for point in points:
                point.add(patch, self._active[patch.name].current_device)
            patch.verify(device)
        except BaseException:
            self._undo(patch.name, number)
            raise
        return self._end_function(patch, number)

    def _add_application(self, patch: Patch, device: str) -> int:
        self._n_applications += 1
        self._active.setdefault(patch.name, _ActivePatch(patch)).devices[self._n_applications] = device
        return self._n_applications

    def _end_function(self, patch: Patch, number: int) -> Callable[[], None]:
        def end() -> None:
            self._ended.append((patch.name, number))
            self._undo_pending()

        return end

    def _undo_pending(self) -> None:
        """Undo ended applications. If another thread holds the lock, that thread does this when it releases it."""
        while self._ended and self._lock.acquire(blocking=False):
            try:
                if self._depth:
                    return
                with self._locked():
                    while self._ended:
                        self._undo(*self._ended.popleft())
            finally:
                self._lock.release()

    def _undo(self, name: str, number: int) -> None:
        active = self._active.get(name)
        if active is None or active.devices.pop(number, None) is None or active.devices:
            return
        del self._active[name]
        points = [self._points[target] for target in active.patch.changes if target in self._points]
        for point in reversed(points):
            try:
                point.remove(name)
            except Exception as error:  # noqa: BLE001 - another patch's function may raise anything; undo the rest
                _log.warning("%s could not be restored: %s", point.target, error)
        self._discard(points)

    def _point(self, target: str) -> PatchPoint:
        if target not in self._points:
            self._points[target] = PatchPoint(target)
        return self._points[target]

    def _discard(self, points: Iterable[PatchPoint]) -> None:
        """Discard points without changes, so that their objects, which other code may change, are looked up again."""
        for point in points:
            if point.is_unpatched:
                self._points.pop(point.target, None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def _reset_lock(self) -> None:
        """Replace the lock in a forked child, which does not have the thread that held it."""
        self._lock = threading.RLock()
        self._depth = 0


def _undo_nothing() -> None:
    pass


# The changed packages belong to the process, and so does the count of scopes that need the changes. This is the only
# state that asrlab keeps outside of objects that its callers hold.
_PROCESS = PatchRegistry()


class PatchScope:
    """Patches that are active until `close`. The scope is a context manager, and any thread may close it.

    Attributes:
        report: Status of each patch, in the order of application.
    """

    def __init__(self, report: Iterable[PatchStatus], undo: ExitStack) -> None:
        self.report = tuple(report)
        self._undo = undo
        self._lock = Lock()

    def status(self, patch: str) -> str:
        """Return the status of *patch*; ``skipped`` if the patch was not considered."""
        return next((status.status for status in self.report if status.name == patch), "skipped")

    def require(self, selection: PatchSelection) -> None:
        """Close the scope and raise if a patch that was named is needed and could not be applied.

        Raises:
            PatchError: If there is such a patch.
        """
        for status in self.report:
            if status.status == "failed" and selection.names and status.name in selection.names:
                self.close()
                raise PatchError(
                    f"{selection.source}: patch {status.name!r} cannot be applied ({status.reason}); leave it out, and "
                    "report it with the output of: asrlab patches",
                    patch=status.name,
                )

    def close(self) -> None:
        """Undo the patches, the last first, unless other scopes need them. Further calls do nothing.

        If another thread is applying patches, that thread undoes these when it has finished.
        """
        with self._lock:
            undo = self._undo.pop_all()
        undo.close()

    def __enter__(self) -> PatchScope:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def apply_patches(
    patches: Iterable[Patch], device: str, *, selection: PatchSelection, direct: bool = False
) -> PatchScope:
    """Apply the *patches* that are needed on *device*.

    A patch that fails is reported as failed, and the others are applied.

    Args:
        patches: Patches in the order of application.
        device: Device such as ``mps`` or ``cuda:0``.
        selection: The patches that may be applied.
        direct: True if the user's own code calls the packages, False if an engine of asrlab does.
    """
    statuses: list[PatchStatus] = []
    with ExitStack() as undo:  # undoes the applied patches if it is interrupted
        for patch in patches:
            status, undo_patch = _apply_patch(patch, device, selection.why_skipped(patch, direct=direct))
            undo.callback(undo_patch)
            statuses.append(status)
            _log_status(status, device)
        return PatchScope(statuses, undo.pop_all())


def import_modules(patch: Patch) -> None:
    """Import the modules that *patch* changes, in its `Patch.import_context`.

    Raises:
        Exception: Whatever the package raises.
    """
    with patch.import_context():
        for module in (patch.module, *(target.partition(":")[0] for target in patch.changes)):
            import_module(module)


def _apply_patch(patch: Patch, device: str, why_skipped: str) -> tuple[PatchStatus, Callable[[], None]]:
    def build_status(status: str, reason: str) -> PatchStatus:
        return PatchStatus(
            name=patch.name, distribution=patch.distribution, status=status, reason=reason, link=patch.issue_url
        )

    if why_skipped:
        return build_status("skipped", why_skipped), _undo_nothing
    version = installed_version(patch.distribution)
    if version is None:
        return build_status("skipped", f"{patch.distribution} is not installed"), _undo_nothing
    kind = device.partition(":")[0]
    if kind not in patch.devices:
        return build_status("not-needed", f"only {' and '.join(patch.devices)} can need it, not {kind}"), _undo_nothing
    try:
        # Import before the lock is taken, because a thread that imports the package may wait for the lock.
        import_modules(patch)
        decision, undo = _PROCESS.apply(patch, device)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the package and the patch may raise anything
        first_line = str(error).partition("\n")[0]
        return build_status("failed", f"{type(error).__name__}: {first_line}"), _undo_nothing
    if decision.status != "needed":
        return build_status(decision.status, decision.reason), undo
    if version not in patch.versions:
        reason = f"{decision.reason}; {version} is not among the tested versions {', '.join(patch.versions)}"
        return build_status("untested-version", reason), undo
    return build_status("applied", decision.reason), undo


def _log_status(status: PatchStatus, device: str) -> None:
    """Log the status of a patch once in a process."""
    if _PROCESS.is_first(status):
        level = logging.WARNING if status.status == "failed" else logging.INFO
        facts = (status.name, status.distribution, device, status.status, status.reason, status.link)
        _log.log(level, "patch %s for %s on %s: %s: %s (%s)", *facts)
