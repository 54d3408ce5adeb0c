"""Interception of the calls that change a run's folder, to kill the process at one of them, or to model a power cut."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import attrs

__all__ = ["Disk", "KillPoint", "When"]

type When = Literal["before", "half", "after"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate", "os.link", "os.symlink")  # of Python's audit events


@attrs.frozen(kw_only=True)
class KillPoint:
    """The point at which a process is killed.

    Attributes:
        call: Index of the call, among those that change the folder.
        when: ``before`` or ``after`` the call, or ``half``, after half of the bytes of a write.
        power_cut: True to lose data that was not synced.
    """

    call: int
    when: When
    power_cut: bool = False


class Disk:
    """Intercepted changes of this process to *folder*, to its files, and to its name in the parent folder.

    A power cut is modelled at its worst: bytes that were not synced are lost, and so are names in a folder that was not
    synced after them. Source: fsync(2), syncing a file need not sync its name. Nothing is really synced, which would
    take time and makes no difference to a kill.

    Args:
        folder: Folder of the run.
        point: The point at which the process is killed; None if the process is not killed.
        doubtful: True if existing files do not count as synced, as after a process that was killed.

    Attributes:
        calls: The calls in order, each with its file.
        unseen: Changes by functions that are not intercepted.
    """

    def __init__(self, folder: Path, point: KillPoint | None, *, doubtful: bool = False) -> None:
        self.calls: list[str] = []
        self.unseen: list[str] = []
        self._folder = folder
        self._point = point
        self._files: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}  # number of synced bytes of files with others
        # for each name that is not synced: its folder and a function that removes the name
        self._undo: list[tuple[Path, Callable[[], object]]] = []
        self._real: dict[str, Callable[..., Any]] = {}
        self._inside = False
        if doubtful and folder.exists():
            self._undo = [(folder.parent, partial(shutil.rmtree, folder, ignore_errors=True))]
            self._undo += [(folder, partial(_remove, os.unlink, path)) for path in folder.iterdir()]
            self._synced = dict.fromkeys(folder.glob("ledger*"), 0)  # other files are synced before they are renamed

    def watch(self) -> None:
        """Replace the functions of ``os`` until the process ends."""
        replacements: dict[str, Callable[..., Any]] = {
            "open": self._open, "write": self._write, "ftruncate": self._truncate, "mkdir": self._mkdir,
            "fsync": partial(self._sync, "fsync"), "fdatasync": partial(self._sync, "fdatasync"),
            "replace": partial(self._rename, "replace"), "rename": partial(self._rename, "rename"),
            "unlink": partial(self._unlink, "unlink"), "remove": partial(self._unlink, "remove"),
        }  # fmt: skip
        for name, function in replacements.items():
            if hasattr(os, name):  # macOS has no fdatasync
                self._real[name] = getattr(os, name)
                setattr(os, name, function)
        self._watch_full_sync()
        sys.addaudithook(self._audit)

    def _watch_full_sync(self) -> None:
        """Replace the call of macOS that corresponds to fsync."""
        import fcntl

        real, full = fcntl.fcntl, getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            self._real["full sync"] = lambda file: real(file, full)
            fcntl.fcntl = lambda file, command, *rest: (  # type: ignore[assignment]
                self._sync("full sync", file) if command == full else real(file, command, *rest)
            )

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record writes by other functions, such as ``io.open``, which are not tested."""
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if self._inside or not (writing or event in _CHANGES) or not isinstance(arguments[0], str | os.PathLike):
            return
        if self._is_inside(path := Path(os.fsdecode(arguments[0]))):
            self.unseen.append(f"{event} {path.name}")

    def _is_inside(self, path: Path) -> bool:
        return path == self._folder or self._folder in path.parents

    def _intercept(self, what: str, path: Path, do: Callable[[], Any], *, half: Callable[[], Any] | None = None) -> Any:
        """Run the call, or kill the process at it."""
        is_point = self._point is not None and self._point.call == len(self.calls)
        self.calls.append(f"{what} {path.name}")
        self._inside = True
        if self._point is not None and is_point:
            try:
                if self._point.when != "before":
                    (half if self._point.when == "half" and half else do)()
            finally:  # also if the call fails, for example for an existing folder
                self._kill(power_cut=self._point.power_cut)
        try:
            return do()
        finally:
            self._inside = False

    def _kill(self, *, power_cut: bool) -> NoReturn:
        if power_cut:
            for path, size in self._synced.items():
                os.truncate(path, size)
            for _, undo in reversed(self._undo):
                undo()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("the process survived SIGKILL")

    def _open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        real, name = self._real["open"], Path(os.fsdecode(path))
        if not flags & _WRITING or not self._is_inside(name):
            file: int = real(path, flags, *rest, **named)
            if name in (self._folder, self._folder.parent):
                self._files[file] = name
            return file

        def do() -> int:
            new = not name.exists()
            opened: int = real(path, flags, *rest, **named)
            self._files[opened] = name
            if new:
                self._undo.append((name.parent, partial(_remove, self._real["unlink"], name)))
            if flags & os.O_TRUNC:
                self._synced[name] = 0
            return opened

        return self._intercept("open", name, do)  # type: ignore[no-any-return]

    def _write(self, file: int, data: Any) -> int:
        real, path = self._real["write"], self._files.get(file)
        if path is None or not self._is_inside(path):
            return real(file, data)  # type: ignore[no-any-return]

        def do(part: Any) -> int:
            self._synced.setdefault(path, os.fstat(file).st_size)
            return real(file, part)  # type: ignore[no-any-return]

        view = memoryview(data)
        return self._intercept("write", path, partial(do, view), half=partial(do, view[: len(view) // 2]))  # type: ignore[no-any-return]

    def _sync(self, name: str, file: int) -> None:
        path = self._files.get(file)
        if path is None:
            self._real[name](file)
            return

        def do() -> None:
            self._synced.pop(path, None)
            self._undo = [(folder, undo) for folder, undo in self._undo if folder != path]

        self._intercept(name, path, do)

    def _truncate(self, file: int, size: int) -> None:
        path = self._files.get(file)
        do = partial(self._real["ftruncate"], file, size)
        if path is None or not self._is_inside(path):
            do()
        else:
            self._intercept("ftruncate", path, do)

    def _mkdir(self, path: Any, *rest: Any, **named: Any) -> None:
        name = Path(os.fsdecode(path))

        def do() -> None:
            self._real["mkdir"](path, *rest, **named)
            if self._is_inside(name):
                self._undo.append((name.parent, partial(shutil.rmtree, name, ignore_errors=True)))

        if self._is_inside(name):
            self._intercept("mkdir", name, do)
        else:
            do()

    def _rename(self, what: str, source: Any, target: Any, **named: Any) -> None:
        old, new = Path(os.fsdecode(source)), Path(os.fsdecode(target))

        def do() -> None:
            before = new.read_bytes() if new.exists() else None
            self._real[what](source, target, **named)
            if old in self._synced:
                self._synced[new] = self._synced.pop(old)
            self._undo.append((new.parent, partial(_rename_back, self._real["replace"], old, new, before)))

        if self._is_inside(new):
            self._intercept(what, new, do)
        else:
            self._real[what](source, target, **named)

    def _unlink(self, what: str, path: Any, **named: Any) -> None:
        name = Path(os.fsdecode(path))
        do = partial(self._real[what], path, **named)
        if self._is_inside(name):
            self._intercept(what, name, do)  # a power cut may restore the file, which has no effect
        else:
            do()


def _remove(unlink: Callable[[Path], object], path: Path) -> None:
    if path.exists():
        unlink(path)


def _rename_back(replace: Callable[[Path, Path], object], old: Path, new: Path, before: bytes | None) -> None:
    replace(new, old)
    if before is not None:
        new.write_bytes(before)
