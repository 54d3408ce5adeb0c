"""Applies patches, counts who needs them, and undoes them when the last one is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib import import_module
from threading import Lock

from asrlab.errors import PatchError
from asrlab.patches.choice import PatchChoice
from asrlab.patches.patch import Patch
from asrlab.patches.process import Process
from asrlab.transcript import PatchStatus
from asrlab.versions import installed_version

__all__ = ["PatchScope", "apply_patches", "import_modules"]

_log = logging.getLogger("asrlab.patches")

# The packages that are changed belong to the process, and so must the count of who needs them changed. It is the one
# state that asrlab keeps outside objects that its callers hold.
_PROCESS = Process()


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

    def require(self, choice: PatchChoice) -> None:
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


def apply_patches(patches: Iterable[Patch], device: str, *, choice: PatchChoice, direct: bool = False) -> PatchScope:
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


def _nothing() -> None:
    """Nothing was changed."""
