"""The tensors of a Whisper model by their names in openai-whisper, and what its dimensions must be.

Source: openai-whisper 20250625, ``whisper/model.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.weights.ctranslate2_to_openai import WhisperDims

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_NAMES = tuple(WhisperDims.__annotations__)
_MELS = (80, 128)  # those that openai-whisper has filters for
_AUDIO_CTX = 1500  # positions of 30 s, to which every window is padded
_MIN_TEXT_CTX = 16
_MIN_VOCAB = 51_864  # of the English models, the smallest of Whisper's vocabularies
_STEM, _AUDIO_LAYER, _TEXT_LAYER = 11, 15, 24  # tensors
_MAX_SHOWN = 60


def check_dims(dims: object) -> WhisperDims | str:
    """Return *dims* as a record if a Whisper model can have them, otherwise what is wrong with them, in words."""
    if not isinstance(dims, dict):
        return "its 'dims' are no dictionary"
    if set(dims) != set(_NAMES):
        odd = sorted(set(_NAMES) ^ set(map(str, dims)))[:3]
        return f"its 'dims' are not the ten of a Whisper model ({', '.join(odd)})"
    for name in _NAMES:
        value = dims[name]
        if type(value) is not int or not 1 <= value < 1 << 31:
            return f"its {name} is {_shown(value)}, not a whole number from 1 up"
    known = WhisperDims(**{name: dims[name] for name in _NAMES})
    return known if (reason := _why_not(known)) is None else reason


def _why_not(dims: WhisperDims) -> str | None:
    wrong = {
        f"its n_mels is {dims.n_mels}, not 80 or 128": dims.n_mels not in _MELS,
        f"its n_audio_ctx is {dims.n_audio_ctx}, not {_AUDIO_CTX}": dims.n_audio_ctx != _AUDIO_CTX,
        f"its n_text_ctx is {dims.n_text_ctx}, less than {_MIN_TEXT_CTX}": dims.n_text_ctx < _MIN_TEXT_CTX,
        f"its n_vocab is {dims.n_vocab}, less than Whisper's {_MIN_VOCAB}": dims.n_vocab < _MIN_VOCAB,
        f"its n_audio_state is {dims.n_audio_state} and its n_text_state {dims.n_text_state}; Whisper has one width for"
        " both": dims.n_audio_state != dims.n_text_state,
        f"its width of {dims.n_audio_state} cannot be parted among {dims.n_audio_head} heads": dims.n_audio_state
        % dims.n_audio_head
        != 0
        or dims.n_audio_state % 2 != 0,
        f"its width of {dims.n_text_state} cannot be parted among {dims.n_text_head} heads": dims.n_text_state
        % dims.n_text_head
        != 0,
    }
    return next((reason for reason, applies in wrong.items() if applies), None)


def _shown(value: object) -> str:
    if type(value) is int and value.bit_length() > _MAX_SHOWN:
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:_MAX_SHOWN] if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"


def check_shapes(dims: WhisperDims, shapes: Mapping[object, tuple[int, ...]]) -> str | None:
    """Return what is wrong with the names and *shapes* of the tensors of a model of these *dims*, None if nothing is.

    The count is looked at first: nothing is made for each of ten million layers that a file only declares.
    """
    odd = next((name for name in shapes if not isinstance(name, str)), None)
    if odd is not None:
        return f"a tensor is called {_shown(odd)}, which is no text"
    count = _STEM + _AUDIO_LAYER * dims.n_audio_layer + _TEXT_LAYER * dims.n_text_layer
    # a checkpoint that lacks one or two is told which; one that is far off is told the numbers
    if abs(count - len(shapes)) > _TEXT_LAYER:
        return (
            f"it declares {dims.n_audio_layer} and {dims.n_text_layer} layers, which are {count} tensors, but holds "
            f"{len(shapes)}"
        )
    expected = dict(_tensors(dims))
    if missing := sorted(set(expected) - set(shapes)):
        return f"it lacks the tensor {missing[0]} ({len(missing)} in all)"
    if extra := sorted(str(name) for name in shapes if name not in expected):
        return f"it holds the tensor {_shown(extra[0])}, which Whisper does not have ({len(extra)} in all)"
    for name, shape in expected.items():
        if shapes[name] != shape:
            return f"{name} has the shape {shapes[name]}, not {shape}"
    return None


def _tensors(dims: WhisperDims) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, text_width = dims.n_audio_state, dims.n_text_state
    yield from _affine("encoder.conv1", width, dims.n_mels, 3)
    yield from _affine("encoder.conv2", width, width, 3)
    yield "encoder.positional_embedding", (dims.n_audio_ctx, width)
    yield from _affine("encoder.ln_post", width)
    yield "decoder.token_embedding.weight", (dims.n_vocab, text_width)
    yield "decoder.positional_embedding", (dims.n_text_ctx, text_width)
    yield from _affine("decoder.ln", text_width)
    for layer in range(dims.n_audio_layer):
        yield from _block(f"encoder.blocks.{layer}", width, ("attn",))
    for layer in range(dims.n_text_layer):
        yield from _block(f"decoder.blocks.{layer}", text_width, ("attn", "cross_attn"))


def _block(prefix: str, width: int, attentions: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for attention in attentions:
        for name in ("query", "value", "out"):
            yield from _affine(f"{prefix}.{attention}.{name}", width, width)
        yield f"{prefix}.{attention}.key.weight", (width, width)
        yield from _affine(f"{prefix}.{attention}_ln", width)
    yield from _affine(f"{prefix}.mlp.0", 4 * width, width)
    yield from _affine(f"{prefix}.mlp.2", width, 4 * width)
    yield from _affine(f"{prefix}.mlp_ln", width)


def _affine(prefix: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.weight", shape
    yield f"{prefix}.bias", shape[:1]
