"""Where things lie in the store, and the few moves that change it.

::

    <root>/<key>/manifest.json  what was written, with the checksums
    <root>/<key>/model/         the files
    <root>/filling/<key>/new/   an entry that is being filled: moved into place whole, or thrown away
    <root>/filling/<key>/<revision>/  likewise, but kept if it is interrupted, for a source that can go on
    <root>/locks/<key>.lock     held by the one process that fills
    <root>/rejected/            files with a wrong checksum
    <root>/verdicts/            checksums by path, size and time of change

A ``/`` in a key is written ``--``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("asrlab.weights")


@attrs.frozen
class StoreLayout:
    """The folders of a store.

    Attributes:
        root: The folder of the store, absolute.
    """

    root: Path

    @property
    def verdicts(self) -> Path:
        """The folder of remembered checksums."""
        return self.root / "verdicts"

    def place(self, key: str) -> Path:
        """Return the folder of an entry."""
        return self.root / _slug(key)

    def model(self, key: str) -> Path:
        """Return the folder of an entry's files."""
        return self.place(key) / "model"

    def manifest(self, key: str) -> Path:
        """Return the file that describes an entry."""
        return self.place(key) / "manifest.json"

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold the lock of an entry, after whoever holds it."""
        from filelock import FileLock, Timeout

        path = self.root / "locks" / f"{_slug(key)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another process that fills %s (%s)", key, path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def start(self, key: str, *, name: str = "new") -> Path:
        """Return the folder to fill; the lock must be held.

        Args:
            key: The entry.
            name: The folder's own. ``new`` is always empty; any other keeps what an earlier process left in it.
        """
        fresh = self._filling(key) / _slug(name)
        if name == "new":
            shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "model").mkdir(parents=True, exist_ok=True)
        return fresh

    def commit(self, key: str, fresh: Path) -> None:
        """Move a filled folder into place, in the place of what was there. The lock must be held."""
        place = self.place(key)
        _sync_folder(fresh / "model")
        _sync_folder(fresh)
        if place.exists():  # outdated, or incomplete since a damaged file was moved aside
            place.replace(self._filling(key) / "old")
        fresh.replace(place)
        _sync_folder(self.root)

    def discard(self, key: str, *, keep: str | None = None) -> None:
        """Remove what is left of a filling, except the folder called *keep* if there are files in it.

        The lock must be held.
        """
        filling = self._filling(key)
        kept = filling / _slug(keep) if keep else None
        if kept is None or not any(path.is_file() for path in kept.rglob("*")):
            shutil.rmtree(filling, ignore_errors=True)
            return
        for other in filling.iterdir():
            if other != kept:
                shutil.rmtree(other, ignore_errors=True)

    def reject(self, path: Path, sha256: str) -> Path:
        """Move a file with a wrong checksum aside, if nobody else has yet, and return where it is kept."""
        kept = self.root / "rejected" / f"{path.name}-{sha256[:8]}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(kept)
        return kept

    def _filling(self, key: str) -> Path:
        return self.root / "filling" / _slug(key)


def default_root() -> Path:
    """Return ``weights`` in the folder that ``ASRLAB_CACHE`` names, or else in the user's cache folder."""
    chosen = os.environ.get("ASRLAB_CACHE")
    if chosen:
        return Path(chosen) / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("asrlab") / "weights"


def _slug(key: str) -> str:
    return key.replace("/", "--")


def _sync_folder(folder: Path) -> None:
    # A rename is only as durable as the folders it touches.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@attrs.frozen(kw_only=True)
class _Verdict:
    size_bytes: int
    mtime_ns: int
    sha256: str


class DigestCache:
    """The sha256 of files anywhere on disk, remembered in a folder of the store.

    Nothing is ever written beside the files themselves: they may be a user's, or an installed package's.

    Args:
        folder: Where the verdicts are kept, one small JSON file each; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sha256(self, path: Path, *, fresh: bool = False) -> str:
        """Return the sha256 of the file, reading it only if it changed since the last time or *fresh* is set.

        Raises:
            OSError: The file cannot be read.
        """
        before = path.stat()
        known = None if fresh else self._read(path)
        if known and (known.size_bytes, known.mtime_ns) == (before.st_size, before.st_mtime_ns):
            return known.sha256
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        log.debug("hashed %s (%d bytes)", path, before.st_size)
        self._write(path, _Verdict(size_bytes=before.st_size, mtime_ns=before.st_mtime_ns, sha256=sha256))
        return sha256

    def remember(self, path: Path, sha256: str) -> None:
        """Note the sha256 of a file that was hashed while it was written."""
        stat = path.stat()
        self._write(path, _Verdict(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=sha256))

    def _place(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _read(self, path: Path) -> _Verdict | None:
        try:
            data = json.loads(self._place(path).read_text("utf-8"))
            return _Verdict(size_bytes=data["size_bytes"], mtime_ns=data["mtime_ns"], sha256=data["sha256"])
        except (OSError, ValueError, TypeError, KeyError):
            # A verdict only saves time: without a usable one the file is read again.
            return None

    def _write(self, path: Path, verdict: _Verdict) -> None:
        data = json.dumps({"path": os.path.realpath(path), **attrs.asdict(verdict)})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(data)
            Path(temporary).replace(self._place(path))
        except OSError as error:
            log.info(
                "cannot note the checksum of %s under %s (%s): it is hashed again next time", path, self._folder, error
            )
