"""An address of its own, as openai-whisper's checkpoints have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.sources.base import BLOCK_BYTES, Fetched, Meter, Progress, write_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry


@attrs.frozen(kw_only=True)
class UrlSource:
    """Downloads the single file of an entry from its address.

    Attributes:
        timeout_s: Seconds without a byte after which the download is given up.
    """

    timeout_s: float = 30.0

    @property
    def online(self) -> bool:
        """True: it needs the network."""
        return True

    @property
    def resumes(self) -> bool:
        """False: a broken download begins again."""
        return False

    def describe(self, entry: WeightsEntry) -> str:
        """Give the address."""
        return f"url {entry.url}" if entry.url else "url"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Say so if the entry has no address, or none that is fetched over HTTP."""
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

    # Only the reading is guarded: an OSError of the writing is the disk's, not to be taken for the network's.
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, HTTPException) as error:
        raise WeightsError(f"{url} broke off: {str(error) or type(error).__name__}; try again") from error
