"""Weights on disk outside of the store: their format, their files, and their checks before an engine opens them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from asrlab.errors import AsrlabError, WeightsError
from asrlab.weights import errors
from asrlab.weights.ctranslate2_check import check_ctranslate2_folder
from asrlab.weights.manifest import StoredFile, StoredWeights
from asrlab.weights.openai_checkpoint import check_openai_checkpoint
from asrlab.weights.safetensors_check import (
    check_hub_config,
    check_safetensors_file,
    read_json_object,
    read_safetensors_shapes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry, WeightsFormat
    from asrlab.weights.manifest import DigestCache


def local_weights(path: Path, *, entry: WeightsEntry | None, digests: DigestCache) -> StoredWeights:
    """Check the folder or ``.pt`` file at *path*, and compare it with *entry* if given; nothing is changed there.

    Raises:
        WeightsError: If *path* has no weights, or not those of *entry*.
    """
    format_ = weights_format(path)
    if entry is not None and entry.format != format_:
        message = f"{path} has the format {format_}, but {entry.key!r} needs {entry.format}; name other weights"
        raise WeightsError(message, model=entry.key)
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
    return list_files(path, format_)


def _hashed(folder: Path, name: str, digests: DigestCache) -> StoredFile:
    path = folder / name
    return StoredFile(name=name, sha256=digests.sha256(path), size_bytes=path.stat().st_size)


def _compare(entry: WeightsEntry, folder: Path, files: tuple[StoredFile, ...]) -> None:
    pinned = {file.name: file.sha256 for file in entry.files}
    if entry.format == "openai-pt":
        pinned = {files[0].name: entry.main_file.sha256}  # identified by content: the file may have any name
    for file in files:
        expected = pinned[file.name]
        if expected not in (None, file.sha256):
            raise errors.wrong_checksum(
                entry.key, folder / file.name, expected=str(expected), actual=file.sha256, moved_to=None
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
    """Return the format of the weights at *path*, from a folder's content or a file's name.

    Raises:
        WeightsError: If there are no weights, or only weights that could run code when they are loaded.
    """
    if path.is_dir():
        return _folder_format(path)
    if not path.exists():
        raise WeightsError(f"there are no weights at {path}; give a folder or a .pt file", model=str(path))
    if path.suffix == ".pt":
        return "openai-pt"
    raise WeightsError(f"{path} is neither a folder nor a .pt file; give the folder that it is in", model=str(path))


def list_files(folder: Path, format_: WeightsFormat) -> tuple[str, ...]:
    """Return the names of the files that make up the weights in *folder*, the main file first.

    The main file of sharded weights is the first shard, which changes with the weights; the index does not.

    Raises:
        WeightsError: If a needed file is missing, or the index of the shards is damaged.
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
    # accelerate prefers pytorch_model.bin to model.safetensors if both exist.
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
        raise WeightsError(
            f"cannot read {index} as an index of shards: {error}; fetch the weights again", model=str(folder)
        ) from error
    if outside or not names:
        raise WeightsError(f"{index} names {outside or 'no shards'}, not safetensors beside it", model=str(folder))
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"the folder {folder} lacks {name}, which {_INDEX} names", model=str(folder))
    return tuple(names)


def _beside(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in _HUB_SUFFIXES and path.is_file())


def _below(folder: Path) -> Iterable[str]:
    # a component of the model, such as LFM2.5's audio_detokenizer, has its own config.json
    for part in sorted(path for path in folder.iterdir() if (path / "config.json").is_file()):
        yield from (f"{part.name}/{name}" for name in _beside(part))


_CONFIGS = ("generation_config.json", "preprocessor_config.json")
_MAX_OTHER_BYTES = 64 << 20  # tokenizer.json of the largest vocabularies has 35 MB


def check_weights(path: Path, format_: WeightsFormat) -> None:
    """Refuse weights that would crash an engine, need more memory than their size, or contain NaN or infinities.

    No engine is imported. Each byte of the weights is read once: about 0.3 s per GB that is in the page cache.

    Raises:
        WeightsError: If a file is refused; the message names the file, the reason and what to do.
    """
    if format_ == "openai-pt":
        check_openai_checkpoint(path)
    elif format_ == "ctranslate2":
        check_ctranslate2_folder(path)
    else:
        _check_hub_folder(path)


def _check_hub_folder(folder: Path) -> None:
    for name in list_files(folder, "safetensors"):
        file = folder / name
        if name.endswith(".safetensors"):
            check_safetensors_file(file)
        elif file.name == "config.json":
            beside = file.parent.glob("*.safetensors")
            shapes = [shape for path in beside for shape in read_safetensors_shapes(path).values()]
            check_hub_config(file, read_json_object(file), shapes)
        elif file.name in _CONFIGS:
            read_json_object(file)
        elif file.stat().st_size > _MAX_OTHER_BYTES:
            raise WeightsError(
                f"{file} is larger than {_MAX_OTHER_BYTES >> 20} MiB, which no model needs; fetch the weights again",
                model=str(file),
            )


@contextmanager
def explain_failed_load(path: Path | None, *, model: str, advice: str) -> Iterator[None]:
    """Convert what an engine's package raises while it opens weights to a `WeightsError`.

    An ImportError passes unchanged: a missing package is no fault of the weights.

    Args:
        path: The weights.
        model: The model's name.
        advice: What to do; the message ends with it.

    Raises:
        WeightsError: If an error was raised; the message has its class and first line.
    """
    try:
        yield
    except (AsrlabError, ImportError):
        raise
    except BaseException as error:
        # a panic of a Rust library is not an Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        raise WeightsError(
            f"{path} cannot be loaded as {model} ({type(error).__name__}: {first_line}); {advice}", model=model
        ) from error
