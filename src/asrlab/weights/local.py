"""A user's own weights, used where they are."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from asrlab.errors import WeightsError
from asrlab.weights import errors
from asrlab.weights.manifest import StoredFile, StoredWeights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry, WeightsFormat
    from asrlab.weights.layout import DigestCache


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
            raise errors.wrong_checksum(
                entry.key, folder / file.name, expected=str(expected), actual=file.sha256, kept=None
            )


_MODEL = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_CTRANSLATE2_FILES = (
    "model.bin",
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
)
_HUB_SUFFIXES = frozenset({".jinja", ".json", ".model", ".safetensors", ".txt"})


def weights_format(path: Path) -> WeightsFormat:
    """Tell the format of the weights at *path*: a folder's by what is in it, a file's by its name.

    Raises:
        WeightsError: There are none, or only such as could run code when they are loaded.
    """
    if path.is_dir():
        return _folder_format(path)
    if not path.exists():
        raise WeightsError(f"there are no weights at {path}; give a folder or a .pt file", model=str(path))
    if path.suffix == ".pt":
        return "openai-pt"
    raise WeightsError(f"{path} is neither a folder nor a .pt file; give the folder that it is in", model=str(path))


def files_of(folder: Path, format_: WeightsFormat) -> tuple[str, ...]:
    """The names of the files that make up the weights in *folder*, the main file first.

    Of sharded weights the main file is the first shard: it changes with the weights, as the index does not.

    Raises:
        WeightsError: A file that the weights need is missing, or the index of the shards makes no sense.
    """
    if format_ == "ctranslate2":
        return tuple(name for name in _CTRANSLATE2_FILES if (folder / name).is_file())
    main = (_MODEL,) if (folder / _MODEL).is_file() else _shards(folder)
    return tuple(dict.fromkeys((*main, "config.json", *_beside(folder), *_below(folder))))


def _folder_format(folder: Path) -> WeightsFormat:
    if (folder / "model.bin").is_file():
        return "ctranslate2"
    _refuse_pickles(folder)
    if not any((folder / name).is_file() for name in (_MODEL, _INDEX)):
        raise WeightsError(
            f"the folder {folder} holds no model.bin and no {_MODEL}, so neither CTranslate2 nor safetensors weights",
            model=str(folder),
        )
    if not (folder / "config.json").is_file():
        raise WeightsError(f"the folder {folder} holds safetensors weights without config.json", model=str(folder))
    return "safetensors"


def _refuse_pickles(folder: Path) -> None:
    # accelerate takes pytorch_model.bin before model.safetensors where both are there.
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles:
        cure = "move it away" if (folder / _MODEL).is_file() else f"convert it to {_MODEL}"
        raise WeightsError(
            f"the folder {folder} holds {pickles[0]}, a pickle, which can run code when it is loaded; {cure}",
            model=str(folder),
        )


def _shards(folder: Path) -> tuple[str, ...]:
    index = folder / _INDEX
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        outside = [name for name in names if PurePosixPath(name).name != name or not name.endswith(".safetensors")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(f"cannot read {index} as an index of shards: {error}", model=str(folder)) from error
    if outside or not names:
        raise WeightsError(f"{index} names {outside or 'no shards'}, not safetensors beside it", model=str(folder))
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"the folder {folder} lacks {name}, which {_INDEX} names", model=str(folder))
    return tuple(names)


def _beside(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in _HUB_SUFFIXES and path.is_file())


def _below(folder: Path) -> Iterable[str]:
    # A part of the model, such as LFM2.5's audio_detokenizer, has a config.json of its own.
    for part in sorted(path for path in folder.iterdir() if (path / "config.json").is_file()):
        yield from (f"{part.name}/{name}" for name in _beside(part))
