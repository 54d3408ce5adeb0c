"""What every source of weights can do, and the writing that they share."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

import attrs

from asrlab.weights.manifest import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry

BLOCK_BYTES = 1 << 20


class Progress(Protocol):
    """Told how far a fetch has come.

    It is called with the bytes done so far, the bytes in all (None if that is not known), and the name of the file at
    hand. An exception that it raises ends the fetch.
    """

    def __call__(self, done_bytes: int, total_bytes: int | None, label: str, /) -> None:
        """Take note of *done_bytes* out of *total_bytes*, the last of them of the file *label*."""


@attrs.frozen(kw_only=True)
class Fetched:
    """What a source has written.

    Attributes:
        files: Every file of the entry, with the checksum of the bytes as they were written; without the optional ones
            that the source does not have.
        source: Where they came from, in words.
        revision: The commit on the hub, if they come from one.
    """

    files: tuple[StoredFile, ...]
    source: str
    revision: str | None


class WeightsSource(Protocol):
    """A place that can provide the files of an entry."""

    @property
    def online(self) -> bool:
        """Whether it needs the network."""

    @property
    def resumes(self) -> bool:
        """Whether `fetch` goes on from what an earlier one of the same revision left in the folder."""

    def describe(self, entry: WeightsEntry) -> str:
        """Say in words where *entry* would come from."""

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Say why this source cannot provide *entry* here and now; None if it can be tried."""

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Write all files of *entry* into the folder *into*, which is empty unless this source resumes.

        The checksums are for the caller to judge.

        Raises:
            WeightsError: This source failed; another may not.
            OSError: *into* cannot be written, so no source can succeed.
        """


class Meter:
    """Adds up the bytes of several files for a `Progress`."""

    def __init__(self, progress: Progress | None, *, total_bytes: int | None) -> None:
        self._progress = progress
        self._total_bytes = total_bytes
        self._done_bytes = 0

    def add(self, n_bytes: int, *, label: str) -> None:
        """Count *n_bytes* more of the file called *label*."""
        self._done_bytes += n_bytes
        if self._progress is not None:
            self._progress(self._done_bytes, self._total_bytes, label)


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def write_blocks(blocks: Iterable[bytes], into: Path, *, name: str, meter: Meter) -> StoredFile:
    """Write *blocks* to the file *name* in the folder *into*, hashing them on the way, and force them to the disk."""
    path = into / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
            size_bytes += len(block)
            meter.add(len(block), label=name)
        file.flush()
        os.fsync(file.fileno())
    return StoredFile(name=name, sha256=digest.hexdigest(), size_bytes=size_bytes)


def hash_file(folder: Path, *, name: str) -> StoredFile:
    """Hash a file that something else has written, and force it to the disk."""
    with (folder / name).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return StoredFile(name=name, sha256=sha256, size_bytes=os.fstat(file.fileno()).st_size)


@attrs.frozen
class FolderSource:
    """Copies weights from a folder.

    Attributes:
        path: The folder that holds the files by their names in the catalogue.
    """

    path: Path

    @property
    def online(self) -> bool:
        """False: a folder is here."""
        return False

    @property
    def resumes(self) -> bool:
        """False: nothing is lost that is not on this disk."""
        return False

    def describe(self, entry: WeightsEntry) -> str:  # noqa: ARG002  # the same for every entry
        """Name the folder."""
        return f"folder {self.path}"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Name the files that the folder lacks."""
        missing = [file.name for file in entry.files if not (file.optional or (self.path / file.name).is_file())]
        return f"does not hold {', '.join(missing)}" if missing else None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Copy the files."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        names = [file.name for file in entry.files if not file.optional or (self.path / file.name).is_file()]
        files = tuple(write_blocks(read_blocks(self.path / name), into, name=name, meter=meter) for name in names)
        return Fetched(files=files, source=self.describe(entry), revision=entry.revision)
