"""The sparse buffer of alignment heads, kept on the CPU where the device takes no sparse tensor."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch, PatchDecision

_BUFFER = "alignment_heads"


def _smallest_model() -> Any:
    """A model of no size; the random numbers for its weights are not taken from the user's."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    with torch.random.fork_rng(devices=[]):
        # a state of 4 is the least that upstream's positions can be computed for
        audio = {"n_mels": 1, "n_audio_ctx": 1, "n_audio_state": 4, "n_audio_head": 1, "n_audio_layer": 0}
        text = {"n_vocab": 1, "n_text_ctx": 1, "n_text_state": 4, "n_text_head": 1, "n_text_layer": 2}
        return Whisper(ModelDimensions(**audio, **text))


def _needed(_originals: tuple[Any, ...], device: str) -> PatchDecision:
    import torch

    model = _smallest_model()
    if not getattr(getattr(model, _BUFFER, None), "is_sparse", False):
        return PatchDecision(status="retired", reason="upstream's alignment heads are no sparse tensor any more")
    try:
        torch.ones(1, 1, dtype=torch.bool).to_sparse().to(device)
    except (NotImplementedError, RuntimeError) as error:
        first_sentence = str(error).partition("\n")[0].partition(". ")[0]
        return PatchDecision(
            status="needed", reason=f"torch {torch.__version__} has no sparse tensors on {device} ({first_sentence})"
        )
    return PatchDecision(status="not-needed", reason=f"torch {torch.__version__} has sparse tensors on {device}")


def _leaving_buffer(apply: Callable[..., Any], _device: DeviceNow) -> Callable[..., Any]:
    """The method behind ``Module.to``, which leaves the buffer where it is; ``timing.py`` reads its indices there."""

    @wraps(apply)
    def _apply(model: Any, *arguments: Any, **named: Any) -> Any:
        buffer = model._buffers.pop(_BUFFER, None)  # noqa: SLF001 - torch's place for buffers
        kept = model._non_persistent_buffers_set  # noqa: SLF001 - likewise
        try:
            return apply(model, *arguments, **named)
        finally:
            if buffer is not None:
                model.register_buffer(_BUFFER, buffer, persistent=_BUFFER not in kept)

    return _apply


def _verify(device: str) -> None:
    """The smallest model moves to the device with its buffer left behind."""
    model = _smallest_model().to(device)
    if model.alignment_heads.device.type != "cpu" or not model.alignment_heads.is_sparse:
        raise RuntimeError(f"the alignment heads are on {model.alignment_heads.device}")


ALIGNMENT_HEADS = Patch(
    name="openai-whisper-alignment-heads",
    distribution="openai-whisper",
    versions=("20250625",),
    devices=("mps",),
    reason="the model's buffer of alignment heads is sparse, and with torch 2.8 or older no sparse tensor can move to "
    "MPS (SparseMPS)",
    link="https://github.com/pytorch/pytorch/issues/141320",
    retires="when torch moves sparse tensors to MPS (2.9 does), or the buffer is sparse no more",
    module="whisper",
    changes={"whisper.model:Whisper._apply": _leaving_buffer},
    needed=_needed,
    verify=_verify,
)
