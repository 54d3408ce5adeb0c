"""The Hugging Face hub."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.sources.base import Fetched, Meter, Progress, hash_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry
    from asrlab.weights.stored import StoredFile

__all__ = ["HubSource"]

_DISK_ERRORS = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS})  # without a file name


@attrs.frozen(kw_only=True)
class HubSource:
    """Downloads the files of a repository at the pinned revision, through ``huggingface_hub``.

    Attributes:
        endpoint: The address of the hub or of a mirror; None is ``HF_ENDPOINT`` from the environment, or else the hub.
    """

    endpoint: str | None = None

    @property
    def online(self) -> bool:
        """True: it needs the network."""
        return True

    def describe(self, entry: WeightsEntry) -> str:
        """Name the repository and its revision, shortened."""
        return _describe(entry, entry.revision)

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Say so if the entry is not on the hub, or the client is not installed."""
        if entry.repository is None:
            return "these weights are not on the hub"
        if find_spec("huggingface_hub") is None:
            return "huggingface_hub is not installed; pip install 'asrlab[faster-whisper]'"
        return None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Download the files one after the other."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        with _hub_errors(entry):
            revision = entry.revision or self._newest(entry)
            self._reach(entry, revision)
            files = tuple(self._download(entry, file.name, revision, into, meter) for file in entry.files)
        shutil.rmtree(into / ".cache", ignore_errors=True)  # huggingface_hub's notes on the download
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

    def _reach(self, entry: WeightsEntry, revision: str) -> None:
        # hf_hub_download tries an unreachable hub for twenty seconds; one question without retries says it at once.
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        name = entry.main_file.name
        get_hf_file_metadata(hf_hub_url(str(entry.repository), name, revision=revision, endpoint=self._endpoint()))

    def _download(self, entry: WeightsEntry, name: str, revision: str, into: Path, meter: Meter) -> StoredFile:
        from huggingface_hub import hf_hub_download

        options: dict[str, Any] = {}
        reports = "tqdm_class" in inspect.signature(hf_hub_download).parameters  # since huggingface_hub 1
        if reports:
            options["tqdm_class"] = _bar(meter, label=name)
        hf_hub_download(
            str(entry.repository), name, revision=revision, local_dir=into, endpoint=self._endpoint(), **options
        )
        file = hash_file(into, name=name)
        if not reports:
            meter.add(file.size_bytes, label=name)
        return file


def _describe(entry: WeightsEntry, revision: str | None) -> str:
    return f"hub {entry.repository}@{revision[:7] if revision else 'newest'}" if entry.repository else "hub"


def _bar(meter: Meter, *, label: str) -> type[Any]:
    # huggingface_hub asks for a class of progress bars; this one draws nothing and passes the bytes on.
    base = import_module("huggingface_hub.utils").tqdm

    def start(bar: object, *args: object, **options: object) -> None:
        base.__init__(bar, *args, **{**options, "disable": True})

    def update(_: object, n: float | None = 1) -> None:
        meter.add(int(n or 0), label=label)

    return type("MeterBar", (base,), {"__init__": start, "update": update})


@contextmanager
def _hub_errors(entry: WeightsEntry) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        # Its errors come from requests, httpx or itself, by version; only the disk's are told apart.
        if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK_ERRORS):
            raise
        raise WeightsError(f"{entry.repository} cannot be downloaded: {_reason(error)}", model=entry.key) from error


def _reason(error: BaseException) -> str:
    # huggingface_hub wraps what happened in advice on several lines; the first error of the chain says it.
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
