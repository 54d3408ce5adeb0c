"""The Hugging Face hub as a source of weights."""

from __future__ import annotations

import errno
import inspect
import io
import os
import re
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs

from asrlab.errors import WeightsError
from asrlab.installation import install_command
from asrlab.weights.sources import Fetched, Meter, Progress, hash_file

if TYPE_CHECKING:
    from collections.abc import Buffer, Iterator
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry
    from asrlab.weights.manifest import StoredFile


_DISK_ERRORS = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS})  # without a file name


@attrs.frozen(kw_only=True)
class _Offer:
    """A file that the hub offers.

    Attributes:
        name: The path in the repository.
        url: The address.
        size_bytes: The size; None if the hub does not state it.
        sha256: The checksum, which the hub states for large files; None for others.
    """

    name: str
    url: str
    size_bytes: int | None
    sha256: str | None


@attrs.frozen(kw_only=True)
class HubSource:
    """A source that downloads the files of a repository at the pinned revision, through ``huggingface_hub``.

    An interrupted download continues where it stopped, even within a file. The client's own ``hf_hub_download`` does
    not: since version 1 that function discards an unfinished file (huggingface_hub pull request 4228). Files at a
    commit do not change, so the bytes that are there stay valid.

    Attributes:
        endpoint: The address of the hub or of a mirror; None is ``HF_ENDPOINT`` from the environment, or else the hub.
    """

    endpoint: str | None = None

    online: ClassVar[bool] = True
    resumes: ClassVar[bool] = True

    def describe(self, entry: WeightsEntry) -> str:
        """Return the repository and its revision, shortened."""
        return _describe(entry, entry.revision)

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Return the reason if the entry is not on the hub or the client is not installed, else None."""
        if entry.repository is None:
            return "these weights are not on the hub"
        if find_spec("huggingface_hub") is None:
            return f"huggingface_hub is not installed; run: {install_command('huggingface-hub')}"
        return None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Download the files that are not in *into* yet, one after the other."""
        with _hub_errors(entry):
            revision = entry.revision or self._newest(entry)
            offers = self._offers(entry, revision)
            sizes = [offer.size_bytes for offer in offers if offer.size_bytes is not None]
            meter = Meter(progress, total_bytes=sum(sizes) if len(sizes) == len(offers) else entry.total_bytes)
            files = tuple(_download(offer, into, meter) for offer in offers)
        return Fetched(files=files, source=_describe(entry, revision), revision=revision)

    def _endpoint(self) -> str | None:
        # Read here as well: huggingface_hub reads the variable only once, when it is imported.
        return self.endpoint or os.environ.get("HF_ENDPOINT") or None

    def _newest(self, entry: WeightsEntry) -> str:
        # One commit for all files: the branch may move between two downloads.
        from huggingface_hub import HfApi

        revision = HfApi(endpoint=self._endpoint()).model_info(str(entry.repository)).sha
        if revision is None:
            raise WeightsError(f"the hub names no commit of {entry.repository}")
        return revision

    def _offers(self, entry: WeightsEntry, revision: str) -> tuple[_Offer, ...]:
        # All files are queried before the first byte is fetched: a missing file or an unreachable hub shows within a
        # second, not after gigabytes.
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError

        offers = []
        for file in entry.files:
            url = hf_hub_url(str(entry.repository), file.name, revision=revision, endpoint=self._endpoint())
            try:
                stated = get_hf_file_metadata(url)
            except EntryNotFoundError:
                if file.optional:
                    continue
                raise
            sha256 = stated.etag if re.fullmatch("[0-9a-f]{64}", stated.etag or "") else None
            offers.append(_Offer(name=file.name, url=url, size_bytes=stated.size, sha256=sha256))
        return tuple(offers)


def _download(offer: _Offer, into: Path, meter: Meter) -> StoredFile:
    path, part = into / offer.name, into / f"{offer.name}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and offer.sha256 is None:
        path.unlink()  # small, and nothing shows whether it is complete
    if path.exists():
        meter.add(path.stat().st_size, label=offer.name)
    else:
        _receive(offer, part, meter)
        part.replace(path)
    file = hash_file(into, name=offer.name)
    if offer.sha256 not in (None, file.sha256):
        path.unlink()
        raise WeightsError(f"{offer.url} arrived with sha256 {file.sha256}, the hub states {offer.sha256}; try again")
    return file


def _receive(offer: _Offer, part: Path, meter: Meter) -> None:
    """Append the missing bytes of a file to *part*."""
    from huggingface_hub.file_download import http_get

    if offer.sha256 is None or (part.exists() and part.stat().st_size > (offer.size_bytes or 0)):
        part.unlink(missing_ok=True)
    headers = import_module("huggingface_hub.utils").build_hf_headers()
    headers["Accept-Encoding"] = "identity"  # a part of a compressed body is of no use
    takes_class = "tqdm_class" in inspect.signature(http_get).parameters  # since huggingface_hub 1; a bar before that
    options: dict[str, Any] = {"tqdm_class": _NoBar} if takes_class else {"_tqdm_bar": _NoBar()}
    with _CountedFile(part, meter, label=offer.name) as file:
        http_get(offer.url, file, resume_size=file.tell(), headers=headers, expected_size=offer.size_bytes, **options)


class _NoBar:
    """A replacement for the client's progress bar that draws nothing: the bytes of the file are counted instead."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, n: float | None = 1) -> None:
        """Draw nothing."""


class _CountedFile(io.BufferedWriter):
    """A file that is appended to and reports its length to a meter."""

    def __init__(self, path: Path, meter: Meter, *, label: str) -> None:
        super().__init__(io.FileIO(path, "ab"))
        self._meter, self._label = meter, label
        self._meter.add(self.tell(), label=label)

    def write(self, data: Buffer) -> int:
        """Append *data*."""
        n_bytes = super().write(data)
        self._meter.add(n_bytes, label=self._label)
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Shorten the file, as the client does if a server begins again instead of resuming."""
        before_bytes = os.fstat(self.fileno()).st_size
        after_bytes = super().truncate(size)
        self._meter.add(after_bytes - before_bytes, label=self._label)
        return after_bytes


def _describe(entry: WeightsEntry, revision: str | None) -> str:
    return f"hub {entry.repository}@{revision[:7] if revision else 'newest'}" if entry.repository else "hub"


@contextmanager
def _hub_errors(entry: WeightsEntry) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        # The client raises errors of requests, httpx or its own, by version; only errors of the disk pass unchanged.
        if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK_ERRORS):
            raise
        raise WeightsError(f"{entry.repository} cannot be downloaded: {_reason(error)}", model=entry.key) from error


def _reason(error: BaseException) -> str:
    # huggingface_hub wraps the cause in several lines of advice; the first error of the chain names the cause.
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
