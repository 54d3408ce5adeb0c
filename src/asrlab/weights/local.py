"""Weights on disk: their format, their files, and their checks before an engine opens them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from asrlab.errors import AsrlabError, WeightsError
from asrlab.weights.ctranslate2 import check_layout, read_ctranslate2
from asrlab.weights.openai_checkpoint import WhisperDims, check_openai_checkpoint
from asrlab.weights.safetensors_check import (
    check_finite,
    check_hub_config,
    check_safetensors_file,
    read_json,
    read_small_text,
    weights_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrlab.weights.catalogue import WeightsFormat


_MODEL = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_CTRANSLATE2_JSON = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.json")
_HUB_SUFFIXES = frozenset({".jinja", ".json", ".model", ".safetensors", ".txt"})
_CONFIGS = ("generation_config.json", "preprocessor_config.json")
_MAX_OTHER_BYTES = 64 << 20  # tokenizer.json of the largest vocabularies has 35 MB
_MAX_VOCABULARY_BYTES = 4 << 20  # Whisper's has 0.5 MB
_MAX_TOKENIZER_BYTES = 16 << 20  # Whisper's has 2.5 MB
_NEEDED_TOKENS = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>")
_PREPROCESSOR = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
_LANGUAGE_BOUND = 1000


def weights_format(path: Path) -> WeightsFormat:
    """Return the format of the weights at *path*; refuse weights that could run code when they are loaded."""
    if path.is_dir():
        return _folder_format(path)
    if not path.exists():
        raise WeightsError(f"there are no weights at {path}; give a folder or a .pt file", model=str(path))
    if path.suffix == ".pt":
        return "openai-pt"
    raise weights_error(path, "is neither a folder nor a .pt file", "give the folder that it is in")


def _folder_format(folder: Path) -> WeightsFormat:
    if (folder / "model.bin").is_file():
        return "ctranslate2"
    # accelerate prefers pytorch_model.bin to model.safetensors if both exist
    if pickles := sorted(path.name for path in folder.glob("pytorch_model*.bin")):
        raise weights_error(
            folder,
            f"holds {pickles[0]}, a pickle, which can run code when it is loaded",
            "move it away" if (folder / _MODEL).is_file() else f"convert it to {_MODEL}",
        )
    if not any((folder / name).is_file() for name in (_MODEL, _INDEX)):
        what = f"holds no model.bin and no {_MODEL}, so neither CTranslate2 nor safetensors weights"
        raise weights_error(folder, what, "give another folder")
    if not (folder / "config.json").is_file():
        raise weights_error(folder, "holds safetensors weights without config.json")
    return "safetensors"


def list_files(folder: Path, format_: WeightsFormat) -> tuple[str, ...]:
    """Return the names of the files that make up the weights in *folder*, the main file first.

    The main file of sharded weights is the first shard, which changes with the weights; the index does not.
    """
    if format_ == "ctranslate2":
        return tuple(name for name in ("model.bin", *_CTRANSLATE2_JSON, "vocabulary.txt") if (folder / name).is_file())
    names = [_MODEL] if (folder / _MODEL).is_file() else _shards(folder)
    names += ["config.json", *_hub_files(folder)]
    # a component of the model, such as LFM2.5's audio_detokenizer, has its own config.json
    for part in sorted(path for path in folder.iterdir() if (path / "config.json").is_file()):
        names += [f"{part.name}/{name}" for name in _hub_files(part)]
    return tuple(dict.fromkeys(names))


def _shards(folder: Path) -> list[str]:
    index = folder / _INDEX
    shards = read_json(index, dict, max_bytes=_MAX_OTHER_BYTES).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise weights_error(index, "cannot be read as an index of shards: it has no weight_map with names of files")
    names = sorted(set(shards.values()))
    outside = [name for name in names if PurePosixPath(name).name != name or not name.endswith(".safetensors")]
    if outside or not names:
        raise WeightsError(f"{index} names {outside or 'no shards'}, not safetensors beside it", model=str(folder))
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"the folder {folder} lacks {name}, which {_INDEX} names", model=str(folder))
    return names


def _hub_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in _HUB_SUFFIXES and path.is_file())


def check_weights(path: Path, format_: WeightsFormat) -> None:
    """Refuse weights that would crash an engine, need more memory than their size, or contain NaN or infinities.

    No engine is imported. Each byte of the weights is read once: about 0.3 s per GB that is in the page cache.
    """
    if format_ == "openai-pt":
        check_openai_checkpoint(path)
    elif format_ == "ctranslate2":
        _check_ctranslate2_folder(path)
    else:
        for name in list_files(path, "safetensors"):
            _check_hub_file(path / name)


def _check_hub_file(path: Path) -> None:
    if path.suffix == ".safetensors":
        check_safetensors_file(path)
    elif path.name == "config.json":
        check_hub_config(path)
    elif path.name in _CONFIGS:
        read_json(path, dict)
    elif path.stat().st_size > _MAX_OTHER_BYTES:
        raise weights_error(path, f"is larger than {_MAX_OTHER_BYTES >> 20} MiB, which no model needs")


def _check_ctranslate2_folder(folder: Path) -> None:
    """Check the numbers of any kind of model; of Whisper also the layout and the files beside ``model.bin``."""
    model = read_ctranslate2(folder / "model.bin")
    if model.spec == "WhisperSpec":
        dims = check_layout(model)
        if (folder / "config.json").is_file():
            _check_config(folder / "config.json", dims)
        _check_vocabulary(folder, dims.n_vocab)
        _check_preprocessor(folder / "preprocessor_config.json", dims.n_mels)
    check_finite(model.path, model.tensors.values())


def _check_config(path: Path, dims: WhisperDims) -> None:
    config = read_json(path, dict)
    for name in ("suppress_ids", "suppress_ids_begin", "lang_ids"):
        ids = config.get(name) or []
        # in older folders -1 means the model's own choice
        if not isinstance(ids, list) or not all(_within(number, -1, dims.n_vocab) for number in ids):
            raise _mismatch(path, f"its {name} are not a list of token ids below {dims.n_vocab}")
        if name == "lang_ids" and (len(ids) > _LANGUAGE_BOUND or -1 in ids):
            raise _mismatch(path, "its lang_ids are not those of languages")
    pairs = config.get("alignment_heads") or []
    n_layers, n_heads = dims.n_text_layer, dims.n_text_head
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and _within(pair[0], 0, n_layers) and _within(pair[1], 0, n_heads)
        for pair in pairs
    ):
        reason = f"its alignment_heads are not pairs of one of {n_layers} layers and one of {n_heads} heads"
        raise _mismatch(path, reason)
    quantization = config.get("quantization_type")
    if quantization not in (None, 0):
        raise _mismatch(path, f"its quantization_type is {str(quantization)[:40]}, which is not Whisper's")


def _within(number: object, low: int, high: int) -> bool:
    return type(number) is int and low <= number < high


def _check_vocabulary(folder: Path, n_vocab: int) -> None:
    """Check the tokens of vocabulary.json, or else vocabulary.txt, as CTranslate2 reads them, and of tokenizer.json."""
    path = folder / "vocabulary.json"
    if path.is_file():
        tokens = read_json(path, list, max_bytes=_MAX_VOCABULARY_BYTES)
        if not all(isinstance(token, str) for token in tokens):
            raise _mismatch(path, "it is not a list of tokens")
    else:
        path = folder / "vocabulary.txt"
        if not path.is_file():
            raise weights_error(folder, "has neither vocabulary.json nor vocabulary.txt")
        lines = read_small_text(path, max_bytes=_MAX_VOCABULARY_BYTES).removesuffix("\n").split("\n")
        tokens = [line.removesuffix("\r") for line in lines]
    ids = {token: index for index, token in enumerate(tokens)}
    if len(tokens) != n_vocab:
        raise _mismatch(path, f"it has {len(tokens)} tokens, but model.bin has embeddings for {n_vocab}")
    if missing := [token for token in _NEEDED_TOKENS if token not in ids]:
        raise _mismatch(path, f"it lacks the token {missing[0]}")
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        known = _tokenizer_ids(tokenizer)
        if not all(_within(number, 0, n_vocab) for number in known.values()):
            raise _mismatch(tokenizer, f"it has token ids that are not below {n_vocab}, the tokens of model.bin")
        for token in _NEEDED_TOKENS:
            if known.get(token) != ids[token]:
                raise _mismatch(tokenizer, f"its {token} is {known.get(token)}, but {ids[token]} in {path.name}")


def _tokenizer_ids(path: Path) -> dict[str, Any]:
    content = read_json(path, dict, max_bytes=_MAX_TOKENIZER_BYTES)
    model, added = content.get("model"), content.get("added_tokens") or []
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise _mismatch(path, "it has no model with a vocabulary")
    if not isinstance(added, list) or not all(
        isinstance(token, dict) and isinstance(token.get("content"), str) for token in added
    ):
        raise _mismatch(path, "its added_tokens are not a list of tokens")
    return {**model["vocab"], **{token["content"]: token.get("id") for token in added}}


def _check_preprocessor(path: Path, n_mels: int) -> None:
    config = read_json(path, dict) if path.is_file() else {}
    mels = config.get("feature_size", 80)  # faster-whisper's own default
    if type(mels) is not int or mels != n_mels:
        missing = "" if config else "; preprocessor_config.json is missing"
        raise _mismatch(path, f"it asks for {str(mels)[:40]} mel bands, but model.bin needs {n_mels}{missing}")
    for name, value in _PREPROCESSOR.items():
        if config.get(name, value) != value or isinstance(config.get(name), bool):
            raise _mismatch(path, f"its {name} is {str(config[name])[:40]}; Whisper's is {value}")


def _mismatch(path: Path, reason: str) -> WeightsError:
    return weights_error(
        path, f"does not belong to this model.bin: {reason}", "fetch the weights again, or give another folder"
    )


@contextmanager
def explain_failed_load(path: Path | None, *, model: str, advice: str) -> Iterator[None]:
    """Convert what an engine's package raises while it opens the weights at *path* to a `WeightsError`.

    The message has the class and first line of the error, and ends with *advice*. An ImportError passes unchanged: a
    missing package is no fault of the weights.
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
