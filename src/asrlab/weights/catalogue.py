"""Records of weights: the catalogue of files and checksums, the weights on disk, and the cache of their checksums."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import attrs

from asrlab.errors import WeightsError
from asrlab.output_files import write_file

log = logging.getLogger("asrlab.weights")

WeightsFormat = Literal["ctranslate2", "openai-pt", "safetensors"]


def _check_name(_: object, __: object, name: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise WeightsError(f"weights file {name!r} must be a relative path without '..'", model=name)


def _check_sha256(file: WeightsFile, _: object, sha256: str | None) -> None:
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise WeightsError(f"weights file {file.name!r}: {sha256!r} is not a sha256 in lower-case hex", model=file.name)


@attrs.frozen(kw_only=True)
class WeightsFile:
    """One file of a set of weights.

    Attributes:
        name: The path relative to the weights folder, with ``/``.
        sha256: The checksum, in lower-case hex; None if the catalogue does not pin the file.
        size_bytes: The size; None if unknown.
        optional: True if the weights are complete without the file, which is fetched if the source has it.
    """

    name: str = attrs.field(validator=_check_name)
    sha256: str | None = attrs.field(default=None, validator=_check_sha256)
    size_bytes: int | None = None
    optional: bool = False


@attrs.frozen(kw_only=True)
class CarrierPart:
    """A data file, or a part of one, at *path* in the folder of an installed package of exactly this version."""

    distribution: str
    version: str
    path: str


@attrs.frozen(kw_only=True)
class CarriedFile:
    """The parts of the `WeightsFile` of this name that installed packages contain, as they are joined."""

    name: str
    parts: tuple[CarrierPart, ...]


@attrs.frozen(kw_only=True)
class WeightsEntry:
    """A set of weights and its sources.

    Attributes:
        key: The name in the catalogue and in the store, such as ``systran/faster-whisper-base``.
        format: ``ctranslate2`` is a folder, ``openai-pt`` a single checkpoint file, ``safetensors`` a folder of the
            hub: ``config.json``, ``model.safetensors``, and what else the model needs, in subfolders too.
        files: The files, the main file first.
        model: The model that uses the weights, as ``asrlab pull`` takes it; empty if there is none.
        repository: The repository on the Hugging Face hub; None if there is none.
        revision: The commit in that repository; None means the newest, which is not pinned.
        url: The address of the single file of an ``openai-pt`` entry.
        carriers: The files that installed packages contain; empty if there are none.
        approximate_bytes: An estimate of the total size, for messages, if not every size is known; ``catalogue.toml``
            explains the estimate.
    """

    key: str = attrs.field(validator=_check_name)
    format: WeightsFormat
    files: tuple[WeightsFile, ...] = attrs.field(validator=attrs.validators.min_len(1))
    model: str = ""
    repository: str | None = None
    revision: str | None = None
    url: str | None = None
    carriers: tuple[CarriedFile, ...] = ()
    approximate_bytes: int | None = None

    @property
    def main_file(self) -> WeightsFile:
        """The file with the weights themselves: ``model.bin``, ``model.safetensors``, or the ``.pt``."""
        return self.files[0]

    @property
    def total_bytes(self) -> int | None:
        """The size of all files together; None if any size is not known."""
        sizes = [file.size_bytes for file in self.files if file.size_bytes is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None

    @property
    def pinned(self) -> bool:
        """True if the catalogue has the checksum of every file."""
        return all(file.sha256 is not None for file in self.files)


def entry(key: str) -> WeightsEntry:
    """Return the catalogue's entry with this key, ignoring case; refuse an unknown key."""
    known = {entry.key: entry for entry in entries()}
    if key.lower() not in known:
        near = difflib.get_close_matches(key.lower(), known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "give a weights folder or .pt file instead"
        raise WeightsError(f"the catalogue has no weights {key!r}; {hint}", model=key)
    return known[key.lower()]


@functools.cache
def entries() -> tuple[WeightsEntry, ...]:
    """Return the whole catalogue, in the order of ``catalogue.toml``."""
    import tomllib
    from importlib import resources

    import cattrs

    data = tomllib.loads(resources.files(__package__).joinpath("catalogue.toml").read_text("utf-8"))
    tables = [
        {"key": table["repository"].lower(), "format": format_, **table}
        for format_ in ("ctranslate2", "safetensors")
        for table in data[format_]
    ]
    for table in data["openai-pt"]:
        *_, sha256, name = table["url"].split("/")
        key = f"openai/whisper-{name.removesuffix('.pt')}"
        tables.append({"key": key, "format": "openai-pt", "files": [{"name": name, "sha256": sha256}], **table})
    return tuple(cattrs.Converter(forbid_extra_keys=True).structure(tables, list[WeightsEntry]))


def describe_size(entry: WeightsEntry) -> str:
    """Return the size of the weights: ``148 MB``, ``about 3.3 GB`` for an estimate, or empty if unknown."""
    n_bytes = entry.total_bytes or entry.approximate_bytes
    if n_bytes is None:
        return ""
    size = f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
    return f"{'' if entry.total_bytes else 'about '}{size}"


def describe_origin(entry: WeightsEntry) -> str:
    """Return the origin and size of a download: ``Made/up @ 0123456789ab (about 3.3 GB)``."""
    origin = entry.key
    if entry.repository is not None:
        origin = f"{entry.repository} @ {(entry.revision or 'newest')[:12]}"
    elif entry.url is not None:
        origin = f"{entry.main_file.name} of {entry.url.split('/')[2]}"
    return f"{origin} ({describe_size(entry) or 'size unknown'})"


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
