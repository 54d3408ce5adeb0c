"""A user's own weights, used where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.errors import WeightsError
from asrlab.weights import messages
from asrlab.weights.folders import files_of, weights_format
from asrlab.weights.stored import StoredFile, StoredWeights

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry, WeightsFormat
    from asrlab.weights.verify import DigestCache

__all__ = ["local_weights"]


def local_weights(path: Path, *, entry: WeightsEntry | None, digests: DigestCache) -> StoredWeights:
    """Check the folder or ``.pt`` file at *path*, against *entry* if one is given; nothing is moved or written there.

    Raises:
        WeightsError: *path* holds no weights, or not those of *entry*.
    """
    format_ = weights_format(path)
    if entry is not None and entry.format != format_:
        raise WeightsError(f"{path} is of the format {format_}, {entry.key!r} of {entry.format}", model=entry.key)
    folder = path.parent if format_ == "openai-pt" else path
    try:
        files = tuple(_hashed(folder, name, digests) for name in _names(path, format_, entry))
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"cannot read {error.filename}: {error.strerror}", model=str(path)) from error
    if entry is not None:
        _compare(entry, folder, files)
    return StoredWeights(
        path=path,
        format=format_,
        key=entry.key if entry else None,
        revision=entry.revision if entry and entry.pinned else None,
        sha256=files[0].sha256,
        source="folder",
        pinned=entry is not None and entry.pinned,
        files=files,
    )


def _names(path: Path, format_: WeightsFormat, entry: WeightsEntry | None) -> tuple[str, ...]:
    if format_ == "openai-pt":
        return (path.name,)
    if entry is not None:
        return tuple(file.name for file in entry.files if not file.optional or (path / file.name).is_file())
    return files_of(path, format_)


def _hashed(folder: Path, name: str, digests: DigestCache) -> StoredFile:
    path = folder / name
    return StoredFile(name=name, sha256=digests.sha256(path), size_bytes=path.stat().st_size)


def _compare(entry: WeightsEntry, folder: Path, files: tuple[StoredFile, ...]) -> None:
    pinned = {file.name: file.sha256 for file in entry.files}
    if entry.format == "openai-pt":
        pinned = {files[0].name: entry.main_file.sha256}  # known by its content, whatever it is called
    for file in files:
        expected = pinned[file.name]
        if expected not in (None, file.sha256):
            raise messages.wrong_checksum(
                entry.key, folder / file.name, expected=str(expected), actual=file.sha256, kept=None
            )
