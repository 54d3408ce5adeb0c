"""Check a folder of CTranslate2 Whisper weights before CTranslate2 opens it.

CTranslate2 trusts shapes, head counts and token ids: wrong ones kill the process with a signal. Refused
models cannot run. Every format that its converters write (float32, float16, bfloat16, int16, int8) is accepted, with
any number of layers, heads and mel bands.

Source: CTranslate2 4.8, ``src/layers/whisper.cc``, ``src/layers/transformer.cc``, ``src/models/whisper.cc``,
``python/ctranslate2/specs``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asrlab.errors import WeightsError
from asrlab.weights.ctranslate2_format import MAX_LAYERS, CTranslate2Model, read_ctranslate2
from asrlab.weights.safetensors_check import FLOAT_KINDS, first_not_finite, read_json_object, read_small_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

_MIN_AUDIO_CTX = 1500  # positions of a window of 30 s
_MIN_TEXT_CTX = 448  # maximum tokens that faster-whisper decodes
# The accepted values of each setting; a setting that is not listed must be 0.
_SWITCHES = {
    "decoder/activation": range(8),
    "decoder/pre_norm": range(1, 2),
    "encoder/pre_norm": range(1, 2),
    "decoder/alignment_heads": range(1 << 15),
    "decoder/alignment_layer": range(-MAX_LAYERS, MAX_LAYERS),
    "encoder/num_heads": range(1 << 15),
    "decoder/num_heads": range(1 << 15),
}


def check_ctranslate2_folder(folder: Path) -> None:
    """Refuse a folder with which CTranslate2 would crash, fail later, or write nonsense.

    The layout of ``model.bin`` is checked for every kind of model; shapes, vocabulary and configuration for Whisper.

    Raises:
        WeightsError: If the folder is refused; the message names the file and the reason.
    """
    model = read_ctranslate2(folder / "model.bin")
    if model.spec == "WhisperSpec":
        layout = _LayoutCheck(model)
        layout.check()
        check_side_files(folder, layout.side_facts)
    damaged = first_not_finite(model.path, model.tensors.values())
    if damaged is not None:
        raise WeightsError(
            f"{model.path} is damaged: {damaged!r} holds numbers that are not finite; fetch the weights again",
            model=str(model.path),
        )


class _LayoutCheck:
    """A check that the shapes of a Whisper model's variables fit each other."""

    def __init__(self, model: CTranslate2Model) -> None:
        self._model = model
        self._used: set[str] = set()
        self.side_facts: dict[str, int] = {}

    def check(self) -> None:
        n_mels, width, n_vocab = self._stem()
        layers = {side: self._model.count_layers(side) for side in ("encoder", "decoder")}
        for side, count in layers.items():
            heads = self._heads(side, width)
            for layer in range(count):
                self._layer(side, layer, width)
            self.side_facts |= {f"{side}_layers": count, f"{side}_heads": heads}
        self._scalars()
        self.side_facts |= {"n_mels": n_mels, "n_vocab": n_vocab}
        if spare := sorted(name for name in self._model.variables if name not in self._used):
            raise self._model.layout_error(f"it holds {spare[0][:80]!r}, which Whisper does not have")

    def _stem(self) -> tuple[int, int, int]:
        conv = self._model.array("encoder/conv1/weight", rank=3)
        width, n_mels, _ = conv.shape
        audio_ctx, _ = self._model.array("encoder/position_encodings/encodings", rank=2).shape
        text_ctx, _ = self._model.array("decoder/position_encodings/encodings", rank=2).shape
        n_vocab, _ = self._model.array("decoder/embeddings/weight", rank=2).shape
        if not (width and n_mels and n_vocab):
            raise self._model.layout_error("a dimension of it is 0")
        if audio_ctx < _MIN_AUDIO_CTX or text_ctx < _MIN_TEXT_CTX:
            raise self._model.layout_error(
                f"it has positions for {audio_ctx} frames and {text_ctx} tokens; Whisper needs {_MIN_AUDIO_CTX} and "
                f"{_MIN_TEXT_CTX}"
            )
        self._weight("encoder/conv1", width, n_mels, 3)
        self._weight("encoder/conv2", width, width, 3)
        self._floats("encoder/position_encodings/encodings", audio_ctx, width)
        self._floats("decoder/position_encodings/encodings", text_ctx, width)
        self._matrix("decoder/embeddings/weight", n_vocab, width)
        for side in ("encoder", "decoder"):
            self._norm(f"{side}/layer_norm", width)
        if "decoder/projection/weight" in self._model.variables:
            self._matrix("decoder/projection/weight", n_vocab, width)
        else:
            raise self._model.layout_error("it lacks 'decoder/projection/weight'")
        if "decoder/projection/bias" in self._model.variables:
            self._floats("decoder/projection/bias", n_vocab)
        return n_mels, width, n_vocab

    def _heads(self, side: str, width: int) -> int:
        heads = self._scalar(f"{side}/num_heads", default=8)
        if heads < 1 or width % heads:
            raise self._model.layout_error(f"its {side} is {width} wide, which {heads} heads do not divide")
        return heads

    def _layer(self, side: str, layer: int, width: int) -> None:
        prefix = f"{side}/layer_{layer}"
        self._norm(f"{prefix}/self_attention/layer_norm", width)
        self._weight(f"{prefix}/self_attention/linear_0", 3 * width, width)
        self._weight(f"{prefix}/self_attention/linear_1", width, width)
        if side == "decoder":
            self._norm(f"{prefix}/attention/layer_norm", width)
            self._weight(f"{prefix}/attention/linear_0", width, width)
            self._weight(f"{prefix}/attention/linear_1", 2 * width, width)
            self._weight(f"{prefix}/attention/linear_2", width, width)
        inner, _ = self._model.array(f"{prefix}/ffn/linear_0/weight", rank=2).shape
        if not inner:
            raise self._model.layout_error(f"{prefix}/ffn/linear_0/weight is empty")
        self._norm(f"{prefix}/ffn/layer_norm", width)
        self._weight(f"{prefix}/ffn/linear_0", inner, width)
        self._weight(f"{prefix}/ffn/linear_1", width, inner)

    def _norm(self, prefix: str, width: int) -> None:
        self._floats(f"{prefix}/gamma", width)
        self._floats(f"{prefix}/beta", width)

    def _weight(self, prefix: str, *shape: int) -> None:
        self._matrix(f"{prefix}/weight", *shape)
        self._floats(f"{prefix}/bias", shape[0])

    def _matrix(self, name: str, *shape: int) -> None:
        """Check a weight, quantised or not: int8 has a scale for each row, int16 a single one."""
        self._shaped(name, *shape)
        kind, scale = self._model.tensors[name].kind, f"{name}_scale"
        scales = {"int8": (shape[0],), "int16": ()}
        if kind not in (*FLOAT_KINDS, *scales):
            raise self._model.layout_error(f"{name} holds {kind}, which Whisper cannot compute with")
        if kind in FLOAT_KINDS or (kind == "int16" and scale not in self._model.variables):
            return
        values = self._shaped(scale, *scales[kind])
        if self._model.tensors[scale].kind != "float32" or not (values > 0).all():
            raise self._model.layout_error(f"{scale} holds scales that are not above 0")

    def _floats(self, name: str, *shape: int) -> None:
        self._shaped(name, *shape)
        kind = self._model.tensors[name].kind
        if kind not in FLOAT_KINDS:
            raise self._model.layout_error(f"{name} holds {kind}, not floating-point numbers")

    def _scalars(self) -> None:
        for name in self._switches():
            value = self._scalar(name)
            if value not in _SWITCHES.get(name, range(1)):
                raise self._model.layout_error(f"its {name} is {value}, which is not Whisper's")

    def _switches(self) -> Iterator[str]:
        """Yield the integer scalars: settings, not weights. Newer converters write more of them than older ones."""
        for name, array in self._model.variables.items():
            if array.ndim == 0 and array.dtype.kind == "i" and name not in self._used:
                yield name

    def _scalar(self, name: str, *, default: int | None = None) -> int:
        if default is not None and name not in self._model.variables:
            return default
        array = self._model.array(name, rank=0)
        if array.dtype.kind != "i":
            raise self._model.layout_error(f"its {name} is not a whole number")
        self._used.add(name)
        return int(array)

    def _shaped(self, name: str, *shape: int) -> npt.NDArray[Any]:
        array = self._model.array(name, rank=len(shape))
        if array.shape != shape:
            raise self._model.layout_error(f"{name} has the shape {array.shape}, not {shape}")
        self._used.add(name)
        return array


_MAX_VOCABULARY_BYTES = 4 << 20  # Whisper's has 0.5 MB
_MAX_TOKENIZER_BYTES = 16 << 20  # Whisper's has 2.5 MB
_NEEDED_TOKENS = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>")
_PREPROCESSOR = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
_LANGUAGE_BOUND = 1000


def check_side_files(folder: Path, facts: Mapping[str, int]) -> None:
    """Refuse side files that do not fit a model of these *facts*; optional files may be missing.

    Args:
        folder: The folder with ``model.bin``.
        facts: ``n_vocab``, ``n_mels``, ``decoder_layers`` and ``decoder_heads`` of the model.

    Raises:
        WeightsError: If a file is refused; the message names the file and the reason.
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
        self.path, self.ids, self._count = path, {token: index for index, token in enumerate(tokens)}, len(tokens)

    def __len__(self) -> int:
        return self._count


def _vocabulary(folder: Path) -> _Tokens:
    """Return the tokens that CTranslate2 reads: those of vocabulary.json, or else of vocabulary.txt."""
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
        # in older folders -1 means the model's own choice
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
        raise _bad(path, f"it asks for {str(mels)[:40]} mel bands, but model.bin needs {n_mels}{missing}")
    for name, value in _PREPROCESSOR.items():
        if config.get(name, value) != value or isinstance(config.get(name), bool):
            raise _bad(path, f"its {name} is {str(config[name])[:40]}; Whisper's is {value}")


def _bad(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} does not belong to this model.bin: {reason}; fetch the weights again, or give another folder",
        model=str(path),
    )
