"""Weights on disk that were checked, and the manifest that describes them."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsFormat


log = logging.getLogger("asrlab.weights")


@attrs.frozen(kw_only=True)
class StoredFile:
    """One file as it lies on disk.

    Attributes:
        name: The path relative to the weights folder, with ``/``.
        sha256: In lower-case hex.
        size_bytes: Its size.
    """

    name: str
    sha256: str
    size_bytes: int


@attrs.frozen(kw_only=True)
class StoredWeights:
    """Weights that are on disk and whose checksums are known.

    Attributes:
        path: The file of ``openai-pt`` weights; the folder of any others.
        format: What *path* holds.
        key: The catalogue's key; None for a user's own weights.
        revision: The commit on the hub that the files come from, if they come from one.
        sha256: The checksum of the main file, which stands for the weights in results.
        source: Where the files came from, in words.
        pinned: Whether every file was compared with a checksum of the catalogue. False means that the checksums are
            those of the first download, or of what the user gave.
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
class Manifest:
    """What the store notes beside the files of an entry.

    Attributes:
        key: The catalogue's key.
        revision: The commit on the hub that the files come from, if they come from one.
        source: Where the files came from, in words.
        files: The files as they were written.
    """

    key: str
    revision: str | None
    source: str
    files: tuple[StoredFile, ...]

    def file(self, name: str) -> StoredFile | None:
        """Return the file of this name, if it is listed."""
        return next((file for file in self.files if file.name == name), None)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write *manifest* as JSON to *path*."""
    path.write_text(json.dumps(attrs.asdict(manifest), indent=2) + "\n", "utf-8")


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest at *path*, or None if it is missing or makes no sense."""
    try:
        return _structure(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        log.warning("cannot read %s (%s); the weights beside it will be fetched again", path, error)
        return None


def _structure(data: dict[str, Any]) -> Manifest:
    files = tuple(StoredFile(**file) for file in data["files"])
    return Manifest(key=data["key"], revision=data["revision"], source=data["source"], files=files)
