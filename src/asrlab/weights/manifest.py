"""Files of the store: stored weights, their manifest, and the folders.

::

    <root>/<key>/manifest.json  the checksums of the files that were written
    <root>/<key>/model/         the files
    <root>/filling/<key>/new/   an entry that is being fetched: moved into place complete, or removed
    <root>/filling/<key>/<revision>/  the same for a source that resumes: kept if the fetch is interrupted
    <root>/locks/<key>.lock     the lock of the process that fetches
    <root>/rejected/            files with a wrong checksum
    <root>/digests/             checksums by path, size and time of change

A ``/`` in a key is written ``--``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.output_files import sync_folder, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrlab.weights.catalogue import WeightsFormat

log = logging.getLogger("asrlab.weights")


@attrs.frozen(kw_only=True)
class StoredFile:
    """A file on disk: its path relative to the weights folder, with ``/``, its checksum in lower-case hex, its size."""

    name: str
    sha256: str
    size_bytes: int


@attrs.frozen(kw_only=True)
class StoredWeights:
    """Weights on disk with known checksums.

    Attributes:
        path: The file of ``openai-pt`` weights; the folder of any others.
        format: The format of the weights.
        key: The catalogue's key; None for a user's own weights.
        revision: The commit on the hub; None for other sources.
        sha256: The checksum of the main file, which identifies the weights in results.
        source: The source of the files, in words.
        pinned: True if every file was compared with a checksum of the catalogue. False means that the checksums are
            those of the first download, or of the user's files.
        files: The files, the main file first.
    """

    path: Path
    format: WeightsFormat
    key: str | None
    revision: str | None
    sha256: str
    source: str
    pinned: bool
    files: tuple[StoredFile, ...]

    @property
    def folder(self) -> Path:
        """The folder that the names of *files* are relative to."""
        return self.path.parent if self.format == "openai-pt" else self.path


@attrs.frozen(kw_only=True)
class StoreManifest:
    """The record of the files of an entry as they were written; other fields as in `StoredWeights`."""

    key: str
    revision: str | None
    source: str
    files: tuple[StoredFile, ...]

    def file(self, name: str) -> StoredFile | None:
        """Return the file of this name, if it is listed."""
        return next((file for file in self.files if file.name == name), None)


def read_manifest(path: Path) -> StoreManifest | None:
    """Return the manifest at *path*, or None if it is missing or damaged."""
    import cattrs

    try:
        return cattrs.structure(json.loads(path.read_text("utf-8")), StoreManifest)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, cattrs.BaseValidationError) as error:
        log.warning("cannot read %s (%s); the weights beside it will be fetched again", path, error)
        return None


@attrs.frozen
class StoreLayout:
    """The folders of a store below its root. Callers of ``start``, ``commit`` and ``discard`` hold the lock."""

    root: Path

    def folder(self, key: str) -> Path:
        """Return the folder of an entry, with ``manifest.json`` and the folder ``model`` of the files."""
        return self.root / _slug(key)

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Wait for the lock of an entry and hold it."""
        from filelock import FileLock, Timeout

        path = self.root / "locks" / f"{_slug(key)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another process that fetches %s (%s)", key, path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def start(self, key: str, *, name: str = "new") -> Path:
        """Return the folder to fetch into: ``new`` is emptied, any other name keeps the files of an earlier process."""
        fresh = self._filling(key) / _slug(name)
        if name == "new":
            shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "model").mkdir(parents=True, exist_ok=True)
        return fresh

    def commit(self, key: str, fresh: Path) -> None:
        """Replace the folder of an entry by a complete one."""
        folder = self.folder(key)
        # a rename is only as durable as the folders it touches
        sync_folder(fresh / "model")
        sync_folder(fresh)
        if folder.exists():  # outdated, or incomplete since a damaged file was moved aside
            folder.replace(self._filling(key) / "old")
        fresh.replace(folder)
        sync_folder(self.root)

    def discard(self, key: str, *, keep: str | None = None) -> None:
        """Remove the files of a fetch, except the folder called *keep* if it has files."""
        filling = self._filling(key)
        resumable = filling / _slug(keep) if keep else None
        if resumable is None or not any(path.is_file() for path in resumable.rglob("*")):
            shutil.rmtree(filling, ignore_errors=True)
            return
        for other in filling.iterdir():
            if other != resumable:
                shutil.rmtree(other, ignore_errors=True)

    def reject(self, path: Path, sha256: str) -> Path:
        """Move a file with a wrong checksum aside, if no other process has, and return its new path."""
        rejected = self.root / "rejected" / f"{path.name}-{sha256[:8]}"
        rejected.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(rejected)
        return rejected

    def _filling(self, key: str) -> Path:
        return self.root / "filling" / _slug(key)


class DigestCache:
    """A cache of the sha256 of files anywhere on disk.

    Nothing is written beside the files themselves: they may belong to a user or an installed package.

    Args:
        folder: The folder of the cache, with one small JSON file for each checksum; created when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sha256(self, path: Path, *, fresh: bool = False) -> str:
        """Return the sha256 of the file; read the file only if it changed since the last time or if *fresh*."""
        facts = _file_facts(path)
        known = {} if fresh else self._read(path)
        if known.items() >= facts.items() and isinstance(known.get("sha256"), str):
            return str(known["sha256"])
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        log.debug("hashed %s (%d bytes)", path, facts["size_bytes"])
        self.remember(path, sha256, facts)
        return sha256

    def remember(self, path: Path, sha256: str, facts: dict[str, int] | None = None) -> None:
        """Store the sha256 of a file; *facts* are its size and time when it was hashed, None if it has not changed."""
        content = {"path": os.path.realpath(path), **(facts or _file_facts(path)), "sha256": sha256}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_file(self._cache_file(path), json.dumps(content).encode())
        except OSError as error:
            log.info(
                "cannot cache the checksum of %s under %s (%s); the file is hashed again next time",
                path,
                self._folder,
                error,
            )

    def _cache_file(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(self._cache_file(path).read_text("utf-8"))
        except (OSError, ValueError):
            return {}  # the cache only saves time: without a usable entry the file is read again
        return content if isinstance(content, dict) else {}


def _file_facts(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _slug(key: str) -> str:
    return key.replace("/", "--")
