"""The patches that are active in this process, the attributes that they change, and the scopes that need them."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import ModuleType
from typing import Any

import attrs

from asrlab.environment import installed_version
from asrlab.errors import PatchError
from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision, PatchSelection
from asrlab.transcript import PatchStatus
from asrlab.upstream import import_upstream

_log = logging.getLogger("asrlab.patches")


class PatchPoint:
    """An attribute of a module or class, given as ``package.module:Class.attribute``, with the active changes to it.

    Several patches may change one attribute, and may be undone in any order: its value is always upstream's object with
    the active changes. Changes for code that calls the package directly are outermost, whatever the order, so that the
    other changes receive the arguments that these fill in.

    Attributes:
        target: The target as given.
        original: Upstream's object as stored in the namespace: a property, not its value. None if there is none.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        module, _, path = target.partition(":")
        *owners, self._name = path.split(".")
        owner: Any = import_upstream(module)
        for name in owners:
            owner = getattr(owner, name)
        home = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
        if home.partition(".")[0] == "torch":
            raise ValueError(f"{target} belongs to torch, which no patch may change")
        self._owner = owner
        self.original: Any = self._current()
        self._is_inherited = self._name not in vars(owner)
        self._layers: dict[str, tuple[Patch, CurrentDevice]] = {}
        self._installed: Any = self.original

    @property
    def is_unpatched(self) -> bool:
        """True if no change is active."""
        return not self._layers

    def add(self, patch: Patch, current_device: CurrentDevice) -> None:
        """Activate the change of *patch*. If this raises, call `remove` to undo the rest of it."""
        if self.original is None:
            raise AttributeError(f"upstream has no {self.target}")
        if self._current() is not self._installed:
            raise RuntimeError(f"other code has changed {self.target}")
        self._layers[patch.name] = (patch, current_device)
        self._install()

    def remove(self, patch: str) -> None:
        """Undo the change of *patch*; without active changes, restore upstream's object."""
        if self._layers.pop(patch, None) is not None:
            self._install()

    def _install(self) -> None:
        value = self.original
        for patch, current_device in sorted(self._layers.values(), key=lambda layer: layer[0].direct_use):
            value = patch.changes[self.target](value, current_device)
        current = self._current()
        if current is not self._installed and current is not value:
            _log.warning("other code has changed %s; asrlab leaves it unchanged", self.target)
            return
        if not (self.is_unpatched and self._is_inherited):
            setattr(self._owner, self._name, value)
        elif self._name in vars(self._owner):
            delattr(self._owner, self._name)
        self._installed = value

    def _current(self) -> Any:
        return inspect.getattr_static(self._owner, self._name, None)


@attrs.define
class _ActivePatch:
    """An active patch, and the device of each application that has not ended, by application number."""

    patch: Patch
    devices: dict[int, str] = attrs.field(factory=dict)

    def current_device(self) -> str:
        """Return the device of the newest application; empty if all have ended. Any thread may call this unlocked."""
        return ([*self.devices.values()] or [""])[-1]


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

    def apply(self, patch: Patch, device: str, undo: ExitStack) -> PatchDecision:
        """Apply *patch* if it is needed, and return the decision; closing *undo* undoes the patch.

        If the patch or its package raises, nothing is changed.
        """
        try:
            with self._locked():
                return self._apply(patch, device, undo)
        finally:
            self._undo_pending()

    def is_first(self, fact: Hashable) -> bool:
        """Return whether this is the first call with *fact*."""
        with self._lock:
            n_known = len(self._logged)
            self._logged.add(fact)
            return len(self._logged) > n_known

    def _apply(self, patch: Patch, device: str, undo: ExitStack) -> PatchDecision:
        points: list[PatchPoint] = []
        try:
            for target in patch.changes:
                if target not in self._points:
                    self._points[target] = PatchPoint(target)
                points.append(self._points[target])  # the points before a missing target must be discarded
            decision = patch.check(tuple(point.original for point in points), device)
            if decision.status == "needed" or patch.name in self._active:
                # A patch that is active for another device is not needed; record this device as the newest.
                number = self._n_applications = self._n_applications + 1
                active = self._active.setdefault(patch.name, _ActivePatch(patch))
                active.devices[number] = device
                undo.callback(self._end, patch.name, number)
                if decision.status == "needed":
                    self._activate(active, number, points)
            return decision
        finally:
            self._discard(points)

    def _activate(self, active: _ActivePatch, number: int, points: list[PatchPoint]) -> None:
        try:
            for point in points:
                point.add(active.patch, active.current_device)
            active.patch.verify(active.devices[number])
        except BaseException:
            self._undo(active.patch.name, number)
            raise

    def _end(self, name: str, number: int) -> None:
        self._ended.append((name, number))
        self._undo_pending()

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
    report: list[PatchStatus] = []
    with ExitStack() as undo:  # undoes the applied patches if it is interrupted
        for patch in patches:
            why_skipped = selection.why_skipped(patch, direct=direct)
            status, reason = ("skipped", why_skipped) if why_skipped else _apply_patch(patch, device, undo)
            report.append(
                PatchStatus(
                    name=patch.name, distribution=patch.distribution, status=status, reason=reason, link=patch.issue_url
                )
            )
            if _PROCESS.is_first(report[-1]):
                level = logging.WARNING if status == "failed" else logging.INFO
                facts = (patch.name, patch.distribution, device, status, reason, patch.issue_url)
                _log.log(level, "patch %s for %s on %s: %s: %s (%s)", *facts)
        return PatchScope(report, undo.pop_all())


def _apply_patch(patch: Patch, device: str, undo: ExitStack) -> tuple[str, str]:
    """Apply *patch* if it is needed, and return the status and the reason."""
    version, kind = installed_version(patch.distribution), device.partition(":")[0]
    if version is None:
        return "skipped", f"{patch.distribution} is not installed"
    if kind not in patch.devices:
        return "not-needed", f"only {' and '.join(patch.devices)} can need it, not {kind}"
    try:
        # Import before the lock is taken, because a thread that imports the package may wait for the lock.
        import_modules(patch)
        decision = _PROCESS.apply(patch, device, undo)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the package and the patch may raise anything
        return "failed", f"{type(error).__name__}: {str(error).partition('\n')[0]}"
    if decision.status != "needed":
        return decision.status, decision.reason
    if version not in patch.versions:
        tested = ", ".join(patch.versions)
        return "untested-version", f"{decision.reason}; {version} is not among the tested versions {tested}"
    return "applied", decision.reason


def import_modules(patch: Patch) -> None:
    """Import the modules that *patch* changes, in its `Patch.import_context`; the package may raise anything."""
    with patch.import_context():
        for module in (patch.module, *(target.partition(":")[0] for target in patch.changes)):
            import_upstream(module)
