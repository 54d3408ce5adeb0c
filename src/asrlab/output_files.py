"""Output files, which are written atomically, and whose paths are checked before a long job."""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from asrlab.control_characters import escape_controls
from asrlab.errors import OutputError

_TEMPORARY_PREFIX, _TEMPORARY_SUFFIX = ".asrlab-", ".part"


def write_file(path: Path, content: bytes, *, follow_link: bool = True) -> None:
    """Write *path* atomically, and sync it to the disk.

    An existing file keeps its permissions. A device or a pipe, such as ``/dev/stdout``, is written directly.

    Args:
        path: The file.
        content: The whole content.
        follow_link: True to write the target of a symbolic link; False to replace the link by a file, so that nothing
            outside of the folder changes.

    Raises:
        OutputError: If the file cannot be written. An existing file stays unchanged then.
    """
    try:
        before = _stat(path, follow_link=follow_link)
        is_file = before is not None and stat.S_ISREG(before.st_mode)
        if before is None or is_file or stat.S_ISLNK(before.st_mode):
            target = Path(os.path.realpath(path)) if follow_link else path
            _replace(target, content, mode=stat.S_IMODE(before.st_mode) if before and is_file else None)
        else:
            # creating, as open() does, is refused for another user's pipe in a shared folder
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb", buffering=0) as device:
                write_all(device.fileno(), content)
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def cache_folder() -> Path:
    """Return the folder that ``ASRLAB_CACHE`` names, or else asrlab's folder in the user's cache."""
    chosen = os.environ.get("ASRLAB_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("asrlab")


def check_target(path: Path) -> None:
    """Check that *path* can be written, without a change to it.

    Raises:
        OutputError: If *path* cannot be written.
    """
    try:
        before = _stat(path)
        if before is None or stat.S_ISREG(before.st_mode):
            _check_writable(Path(os.path.realpath(path)).parent)
        elif stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def check_folder(folder: Path) -> None:
    """Create *folder*, and check that files can be written in it.

    Raises:
        OutputError: If *folder* cannot be created, or files cannot be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_writable(folder)
    except (OSError, ValueError) as error:
        raise output_error(folder, error) from error


def output_error(path: Path, error: OSError | ValueError) -> OutputError:
    """Return the error for a file or folder that cannot be written, with its path and reason."""
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(
        f"{escape_controls(str(path), one_line=True)} cannot be written: {reason}; free disk space, correct the "
        "permissions, or choose another path",
        path=path,
        reason=reason,
    )


def is_temporary(name: str) -> bool:
    """Return whether *name* is that of a temporary file, which a killed process leaves behind."""
    return name.startswith(_TEMPORARY_PREFIX) and name.endswith(_TEMPORARY_SUFFIX)


def sync_folder(folder: Path) -> None:
    """Sync the names in *folder* to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(file: int, content: bytes) -> None:
    """Write all of *content* to a descriptor."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def sync_file(file: int) -> None:
    """Sync the content of a descriptor to the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
        return
    import fcntl

    # On macOS fsync leaves the content in the drive's cache. Source: fsync(2) of macOS
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fsync(file)


def _stat(path: Path, *, follow_link: bool = True) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=follow_link)
    except FileNotFoundError:
        return None


def _replace(target: Path, content: bytes, *, mode: int | None) -> None:
    temporary = _temporary_path(target.parent)
    try:
        # os.open, which the benchmark of durability replaces
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "wb", buffering=0) as file:
            write_all(file.fileno(), content)
            if mode is not None:
                with suppress(PermissionError):  # the file system has no permissions
                    os.fchmod(file.fileno(), mode)
            sync_file(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _check_writable(folder: Path) -> None:
    temporary = _temporary_path(folder)
    temporary.touch()
    temporary.unlink()


def _temporary_path(folder: Path) -> Path:
    """Return a path with a short name that is unique to this thread."""
    return folder / f"{_TEMPORARY_PREFIX}{os.getpid()}-{threading.get_ident()}{_TEMPORARY_SUFFIX}"
