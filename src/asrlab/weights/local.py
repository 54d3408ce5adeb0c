"""A user's own weights, used where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.errors import WeightsError
from asrlab.weights import messages
from asrlab.weights.stored import StoredFile, StoredWeights

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry, WeightsFormat
    from asrlab.weights.verify import DigestCache

__all__ = ["local_weights"]

_CTRANSLATE2_FILES = (
    "model.bin",
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
)


def local_weights(path: Path, *, entry: WeightsEntry | None, digests: DigestCache) -> StoredWeights:
    """Check the folder or ``.pt`` file at *path*, against *entry* if one is given; nothing is moved or written there.

    Raises:
        WeightsError: *path* holds no weights, or not those of *entry*.
    """
    format_ = _format_of(path)
    if entry is not None and entry.format != format_:
        raise WeightsError(f"{path} is of the format {format_}, {entry.key!r} of {entry.format}", model=entry.key)
    folder = path if format_ == "ctranslate2" else path.parent
    try:
        files = tuple(_hashed(folder, name, digests) for name in _names(path, format_, entry))
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


def _format_of(path: Path) -> WeightsFormat:
    if path.is_dir():
        if (path / "model.bin").is_file():
            return "ctranslate2"
        raise WeightsError(f"the folder {path} holds no model.bin, so no CTranslate2 weights", model=str(path))
    if not path.exists():
        raise WeightsError(f"there are no weights at {path}; give a folder or a .pt file", model=str(path))
    if path.suffix == ".pt":
        return "openai-pt"
    raise WeightsError(f"{path} is neither a CTranslate2 folder nor a .pt file", model=str(path))


def _names(path: Path, format_: WeightsFormat, entry: WeightsEntry | None) -> tuple[str, ...]:
    if format_ == "openai-pt":
        return (path.name,)
    if entry is not None:
        return tuple(file.name for file in entry.files)
    return tuple(name for name in _CTRANSLATE2_FILES if (path / name).is_file())


def _hashed(folder: Path, name: str, digests: DigestCache) -> StoredFile:
    path = folder / name
    return StoredFile(name=name, sha256=digests.sha256(path), size_bytes=path.stat().st_size)


def _compare(entry: WeightsEntry, folder: Path, files: tuple[StoredFile, ...]) -> None:
    for expected, file in zip(entry.files, files, strict=True):
        if expected.sha256 not in (None, file.sha256):
            raise messages.wrong_checksum(
                entry.key, folder / file.name, expected=str(expected.sha256), actual=file.sha256, kept=None
            )
