"""The lossless conversion of a CTranslate2 Whisper folder to an openai-whisper checkpoint.

CTranslate2 stores openai-whisper's own numbers under other names. The projections with the same input
are joined (query, key and value of self-attention; key and value of cross-attention). The key, which has no bias in
Whisper, has one of zeros.

Source: ``ctranslate2/converters/transformers.py`` (``WhisperLoader``) and ``whisper/model.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.ctranslate2_format import CTranslate2Model, read_ctranslate2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    import torch


_HEAD_SIZE = 64  # in every Whisper model
_MLP_RATIO = 4


@attrs.frozen(kw_only=True)
class WhisperDims:
    """The dimensions of a Whisper model, named and ordered as in ``whisper.model.ModelDimensions``.

    Attributes:
        n_mels: Mel bands of the input.
        n_audio_ctx: Positions of the encoder: 1500 for 30 seconds.
        n_audio_state: Width of the encoder.
        n_audio_head: Attention heads of each encoder layer.
        n_audio_layer: Layers of the encoder.
        n_vocab: Tokens.
        n_text_ctx: Positions of the decoder.
        n_text_state: Width of the decoder.
        n_text_head: Attention heads of each decoder layer.
        n_text_layer: Layers of the decoder.
    """

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    def as_dict(self) -> dict[str, int]:
        """Return the dimensions as keyword arguments of ``whisper.model.ModelDimensions``."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class OpenAICheckpoint:
    """The content of an openai-whisper ``.pt`` file.

    Attributes:
        dims: The model's dimensions.
        state_dict: The parameters on the CPU, in their stored type (float16 in Systran's folders).
    """

    dims: WhisperDims
    state_dict: Mapping[str, torch.Tensor]


def convert(folder: Path) -> OpenAICheckpoint:
    """Convert the CTranslate2 Whisper model in *folder*.

    Raises:
        WeightsError: If there is no such model, or the model is quantised, damaged, or not laid out as Whisper is.
    """
    model = read_ctranslate2(folder / "model.bin")
    if model.spec != "WhisperSpec":
        raise WeightsError(f"{model.path} is a {model.spec}, not a Whisper model", model=str(model.path))
    return _Conversion(model).checkpoint()


class _Conversion:
    """The conversion of one model, which uses each variable once."""

    def __init__(self, model: CTranslate2Model) -> None:
        self._model = model
        self._used: set[str] = set()
        self._state: dict[str, torch.Tensor] = {}

    def checkpoint(self) -> OpenAICheckpoint:
        dims = self._dims()
        self._stem(dims)
        for layer in range(dims.n_audio_layer):
            self._layer("encoder", layer, dims.n_audio_state)
        for layer in range(dims.n_text_layer):
            self._layer("decoder", layer, dims.n_text_state)
        self._check_tied()
        variables = self._model.variables
        unused = sorted(name for name, array in variables.items() if name not in self._used and array.ndim)
        if unused:
            raise self._model.layout_error(f"it holds {unused[0]!r}, which Whisper does not have")
        return OpenAICheckpoint(dims=dims, state_dict=self._state)

    def _dims(self) -> WhisperDims:
        width, n_mels, _ = self._model.array("encoder/conv1/weight", rank=3).shape
        n_audio_ctx, _ = self._model.array("encoder/position_encodings/encodings", rank=2).shape
        n_text_ctx, _ = self._model.array("decoder/position_encodings/encodings", rank=2).shape
        n_vocab, text_width = self._model.array("decoder/embeddings/weight", rank=2).shape
        return WhisperDims(
            n_mels=n_mels,
            n_audio_ctx=n_audio_ctx,
            n_audio_state=width,
            n_audio_head=self._heads("encoder", width),
            n_audio_layer=self._model.count_layers("encoder"),
            n_vocab=n_vocab,
            n_text_ctx=n_text_ctx,
            n_text_state=text_width,
            n_text_head=self._heads("decoder", text_width),
            n_text_layer=self._model.count_layers("decoder"),
        )

    def _heads(self, side: str, width: int) -> int:
        heads = int(self._model.array(f"{side}/num_heads", rank=0))
        if heads * _HEAD_SIZE != width:
            raise self._model.layout_error(
                f"its {side} is {width} wide with {heads} heads; a head of Whisper is {_HEAD_SIZE} wide"
            )
        return heads

    def _stem(self, dims: WhisperDims) -> None:
        width, text_width = dims.n_audio_state, dims.n_text_state
        self._affine("encoder.conv1", "encoder/conv1", width, dims.n_mels, 3)
        self._affine("encoder.conv2", "encoder/conv2", width, width, 3)
        self._put("encoder.positional_embedding", "encoder/position_encodings/encodings", dims.n_audio_ctx, width)
        self._norm("encoder.ln_post", "encoder/layer_norm", width)
        self._put("decoder.token_embedding.weight", "decoder/embeddings/weight", dims.n_vocab, text_width)
        self._put("decoder.positional_embedding", "decoder/position_encodings/encodings", dims.n_text_ctx, text_width)
        self._norm("decoder.ln", "decoder/layer_norm", text_width)

    def _layer(self, side: str, layer: int, width: int) -> None:
        target, source = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
        self._norm(f"{target}.attn_ln", f"{source}/self_attention/layer_norm", width)
        self._split(f"{target}.attn", f"{source}/self_attention/linear_0", ("query", "key", "value"), width)
        self._affine(f"{target}.attn.out", f"{source}/self_attention/linear_1", width, width)
        if side == "decoder":
            self._norm(f"{target}.cross_attn_ln", f"{source}/attention/layer_norm", width)
            self._affine(f"{target}.cross_attn.query", f"{source}/attention/linear_0", width, width)
            self._split(f"{target}.cross_attn", f"{source}/attention/linear_1", ("key", "value"), width)
            self._affine(f"{target}.cross_attn.out", f"{source}/attention/linear_2", width, width)
        self._norm(f"{target}.mlp_ln", f"{source}/ffn/layer_norm", width)
        self._affine(f"{target}.mlp.0", f"{source}/ffn/linear_0", _MLP_RATIO * width, width)
        self._affine(f"{target}.mlp.2", f"{source}/ffn/linear_1", width, _MLP_RATIO * width)

    def _affine(self, target: str, source: str, *shape: int) -> None:
        self._put(f"{target}.weight", f"{source}/weight", *shape)
        self._put(f"{target}.bias", f"{source}/bias", shape[0])

    def _norm(self, target: str, source: str, width: int) -> None:
        self._put(f"{target}.weight", f"{source}/gamma", width)
        self._put(f"{target}.bias", f"{source}/beta", width)

    def _split(self, target: str, source: str, names: tuple[str, ...], width: int) -> None:
        weight = self._floats(f"{source}/weight", len(names) * width, width)
        bias = self._floats(f"{source}/bias", len(names) * width)
        for i, name in enumerate(names):
            rows = slice(i * width, (i + 1) * width)
            self._state[f"{target}.{name}.weight"] = _tensor(weight[rows])
            if name != "key":
                self._state[f"{target}.{name}.bias"] = _tensor(bias[rows])
            elif bias[rows].any():
                raise self._model.layout_error(f"{source}/bias gives the key a bias, which Whisper does not have")

    def _put(self, target: str, source: str, *shape: int) -> None:
        self._state[target] = _tensor(self._floats(source, *shape))

    def _floats(self, name: str, *shape: int) -> npt.NDArray[Any]:
        array = self._model.array(name, rank=len(shape))
        if array.dtype.kind != "f":
            raise WeightsError(
                f"{self._model.path}: {name} is {self._model.tensors[name].kind}; quantised weights cannot be "
                "converted without loss; give the float16 folder",
                model=str(self._model.path),
            )
        if array.shape != shape:
            raise self._model.layout_error(f"{name} has the shape {array.shape}, not {shape}")
        self._used.add(name)
        return array

    def _check_tied(self) -> None:
        import numpy as np

        # Whisper has one matrix for both, so a different output matrix would be lost
        tied, output = "decoder/embeddings/weight", "decoder/projection/weight"
        variables = self._model.variables
        if output in variables:
            if not np.shares_memory(variables[tied], variables[output]):
                raise self._model.layout_error(f"its {output} is not its {tied}")
            self._used.add(output)


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(array))
