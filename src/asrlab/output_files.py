"""Files that a user asked for: written whole or not at all, and checked before hours of work go into them."""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from asrlab.control_characters import escape_controls
from asrlab.errors import OutputError

_PREFIX, _SUFFIX = ".asrlab-", ".part"


def write_file(path: Path, content: bytes, *, follow_link: bool = True) -> None:
    """Write *path* whole or not at all, and onto the disk.

    A file that was there keeps its permissions. A device or a pipe, such as ``/dev/stdout``, is written to directly.

    Args:
        path: The file.
        content: All of it.
        follow_link: Whether a link stays, and the file that it leads to is written; False puts a file in its place, so
            that nothing outside of the folder is changed.

    Raises:
        OutputError: It cannot be written. A file that was there is as before.
    """
    try:
        before = _status(path, follow_link=follow_link)
        if before is None or stat.S_ISLNK(before.st_mode):
            _replace(_target(path, follow_link=follow_link), content, mode=None)
        elif stat.S_ISREG(before.st_mode):
            _replace(_target(path, follow_link=follow_link), content, mode=stat.S_IMODE(before.st_mode))
        else:
            _write_directly(path, content)
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def check_target(path: Path) -> None:
    """Find out that *path* can be written, before time is spent on what goes there; nothing is left behind.

    Raises:
        OutputError: It cannot.
    """
    try:
        before = _status(path)
        if before is None or stat.S_ISREG(before.st_mode):
            _try(_target(path).parent)
        elif stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def check_folder(folder: Path) -> None:
    """Make *folder*, and find out that files can be written in it.

    Raises:
        OutputError: It cannot be made, or files cannot be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try(folder)
    except (OSError, ValueError) as error:
        raise output_error(folder, error) from error


def output_error(path: Path, error: OSError | ValueError) -> OutputError:
    """Return the error for a file or folder that cannot be written, with its path and reason."""
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(
        f"{escape_controls(str(path), one_line=True)} cannot be written: {reason}; make room there, correct the "
        "permissions, or choose another place",
        path=path,
        reason=reason,
    )


def is_part(name: str) -> bool:
    """Return whether a file of this name is what a killed process left of one that it was writing."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def sync_folder(folder: Path) -> None:
    """Bring the names in *folder* onto the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_all(file: int, content: bytes) -> None:
    """Write all of *content* to a descriptor."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def sync_file(file: int) -> None:
    """Bring the content of a descriptor onto the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
        return
    import fcntl

    # on macOS fsync leaves it in the drive's own memory. Source: fsync(2) of macOS
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fsync(file)


def _target(path: Path, *, follow_link: bool = True) -> Path:
    return Path(os.path.realpath(path)) if follow_link else path


def _status(path: Path, *, follow_link: bool = True) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=follow_link)
    except FileNotFoundError:
        return None


def _replace(target: Path, content: bytes, *, mode: int | None) -> None:
    part = _part(target.parent)
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(file, content)
            if mode is not None:
                with suppress(PermissionError):  # a file system without permissions
                    os.fchmod(file, mode)
            sync_file(file)
        finally:
            os.close(file)
        part.replace(target)
        sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _write_directly(target: Path, content: bytes) -> None:
    file = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
    try:
        write_all(file, content)
    finally:
        os.close(file)


def _try(folder: Path) -> None:
    trial = _part(folder)
    trial.touch()
    trial.unlink()


def _part(folder: Path) -> Path:
    """A name of its own for each thread, short whatever the file is called."""
    return folder / f"{_PREFIX}{os.getpid()}-{threading.get_ident()}{_SUFFIX}"
