"""Checksums of files, remembered until a file's size or time of change differs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path

import attrs

__all__ = ["DigestCache"]

log = logging.getLogger("asrlab.weights")


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
