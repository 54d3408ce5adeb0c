"""Check the files beside a Whisper ``model.bin``: configuration, vocabulary, tokenizer and preprocessor.

CTranslate2 and faster-whisper use the token ids, layers and heads in them as indices, unchecked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asrlab.errors import WeightsError
from asrlab.weights.json_file import read_json_object, read_small_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_side_files"]

_MAX_VOCABULARY_BYTES = 4 << 20  # Whisper's has 0.5 MB
_MAX_TOKENIZER_BYTES = 16 << 20  # Whisper's has 2.5 MB
_NEEDED_TOKENS = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>")
_PREPROCESSOR = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
_LANGUAGE_BOUND = 1000


def check_side_files(folder: Path, facts: Mapping[str, int]) -> None:
    """Refuse files that do not belong to a model of these *facts*; those that may be missing are left out.

    Args:
        folder: The folder with ``model.bin``.
        facts: ``n_vocab``, ``n_mels``, ``decoder_layers`` and ``decoder_heads`` of the model.

    Raises:
        WeightsError: Naming the file and what is wrong with it.
    """
    if (folder / "config.json").is_file():
        _check_config(folder / "config.json", facts)
    tokens = _vocabulary(folder)
    if len(tokens) != facts["n_vocab"]:
        raise _bad(tokens.path, f"it has {len(tokens)} tokens, but model.bin has embeddings for {facts['n_vocab']}")
    if missing := [token for token in _NEEDED_TOKENS if token not in tokens.ids]:
        raise _bad(tokens.path, f"it lacks the token {missing[0]}")
    if (folder / "tokenizer.json").is_file():
        _check_tokenizer(folder / "tokenizer.json", facts["n_vocab"], tokens)
    _check_preprocessor(folder / "preprocessor_config.json", facts["n_mels"])


class _Tokens:
    def __init__(self, path: Path, tokens: list[str]) -> None:
        self.path, self.ids, self._count = path, {token: place for place, token in enumerate(tokens)}, len(tokens)

    def __len__(self) -> int:
        return self._count


def _vocabulary(folder: Path) -> _Tokens:
    """The tokens as CTranslate2 reads them: vocabulary.json where it is there, otherwise vocabulary.txt."""
    path = folder / "vocabulary.json"
    if path.is_file():
        text = read_small_text(path, max_bytes=_MAX_VOCABULARY_BYTES)
        try:
            tokens = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _bad(path, f"it is not JSON ({str(error)[:100]})") from error
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise _bad(path, "it is not a list of tokens")
        return _Tokens(path, tokens)
    path = folder / "vocabulary.txt"
    if not path.is_file():
        raise WeightsError(
            f"{folder} has neither vocabulary.json nor vocabulary.txt; fetch the weights again", model=str(folder)
        )
    lines = read_small_text(path, max_bytes=_MAX_VOCABULARY_BYTES).split("\n")
    return _Tokens(path, [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)])


def _check_config(path: Path, facts: Mapping[str, int]) -> None:
    config = read_json_object(path)
    for name in ("suppress_ids", "suppress_ids_begin", "lang_ids"):
        ids = config.get(name) or []
        # -1 stands for the model's own choice in older folders
        if not isinstance(ids, list) or not all(_within(number, -1, facts["n_vocab"]) for number in ids):
            raise _bad(path, f"its {name} are not a list of token ids below {facts['n_vocab']}")
        if name == "lang_ids" and (len(ids) > _LANGUAGE_BOUND or -1 in ids):
            raise _bad(path, "its lang_ids are not those of languages")
    heads = config.get("alignment_heads") or []
    layers, per_layer = facts["decoder_layers"], facts["decoder_heads"]
    pairs = isinstance(heads, list) and all(
        isinstance(pair, list) and len(pair) == 2 and _within(pair[0], 0, layers) and _within(pair[1], 0, per_layer)
        for pair in heads
    )
    if not pairs:
        raise _bad(path, f"its alignment_heads are not pairs of one of {layers} layers and one of {per_layer} heads")
    if config.get("quantization_type") not in (None, 0):
        raise _bad(path, f"its quantization_type is {str(config['quantization_type'])[:40]}, which is not Whisper's")


def _within(number: object, low: int, high: int) -> bool:
    return type(number) is int and low <= number < high


def _check_tokenizer(path: Path, n_vocab: int, tokens: _Tokens) -> None:
    content = read_json_object(path, max_bytes=_MAX_TOKENIZER_BYTES)
    model = content.get("model")
    known = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(known, dict):
        raise _bad(path, "it has no model with a vocabulary")
    added = _added_ids(path, content)
    if not all(_within(number, 0, n_vocab) for number in (*known.values(), *added.values())):
        raise _bad(path, f"it has token ids that are not below {n_vocab}, the tokens of model.bin")
    ids = {**known, **added}
    for token in _NEEDED_TOKENS:
        if ids.get(token) != tokens.ids[token]:
            raise _bad(path, f"its {token} is {ids.get(token)}, but {tokens.ids[token]} in {tokens.path.name}")


def _added_ids(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(
        isinstance(token, dict) and isinstance(token.get("content"), str) for token in added
    ):
        raise _bad(path, "its added_tokens are not a list of tokens")
    return {token["content"]: token.get("id") for token in added}


def _check_preprocessor(path: Path, n_mels: int) -> None:
    config = read_json_object(path) if path.is_file() else {}
    mels = config.get("feature_size", 80)  # faster-whisper's own default
    if type(mels) is not int or mels != n_mels:
        missing = "" if config else "; preprocessor_config.json is missing"
        raise _bad(path, f"it makes {str(mels)[:40]} mel bands, but model.bin takes {n_mels}{missing}")
    for name, value in _PREPROCESSOR.items():
        if config.get(name, value) != value or isinstance(config.get(name), bool):
            raise _bad(path, f"its {name} is {str(config[name])[:40]}; Whisper's is {value}")


def _bad(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} does not belong to this model.bin: {reason}; fetch the weights again, or give another folder",
        model=str(path),
    )
