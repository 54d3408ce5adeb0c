"""The patches of openai-whisper for MPS: sparse alignment heads, and an alignment in float64."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision
from asrlab.upstream import import_upstream

_BUFFER = "alignment_heads"
_patch = partial(Patch, distribution="openai-whisper", versions=("20250625",), devices=("mps",), module="whisper")


def _minimal_model() -> Any:
    """Return a minimal model, without a draw from the user's random numbers."""
    import torch

    upstream = import_upstream("whisper.model")

    with torch.random.fork_rng(devices=[]):
        # upstream's positions need a state of at least 4
        audio = {"n_mels": 1, "n_audio_ctx": 1, "n_audio_state": 4, "n_audio_head": 1, "n_audio_layer": 0}
        text = {"n_vocab": 1, "n_text_ctx": 1, "n_text_state": 4, "n_text_head": 1, "n_text_layer": 2}
        return upstream.Whisper(upstream.ModelDimensions(**audio, **text))


def _check_heads(_originals: tuple[Any, ...], device: str) -> PatchDecision:
    import torch

    model = _minimal_model()
    if not getattr(getattr(model, _BUFFER, None), "is_sparse", False):
        return PatchDecision("retired", "upstream's alignment heads are no longer a sparse tensor")
    try:
        torch.ones(1, 1, dtype=torch.bool).to_sparse().to(device)
    except (NotImplementedError, RuntimeError) as error:
        first_sentence = str(error).partition("\n")[0].partition(". ")[0]
        return PatchDecision(
            "needed", f"torch {torch.__version__} has no sparse tensors on {device} ({first_sentence})"
        )
    return PatchDecision("not-needed", f"torch {torch.__version__} has sparse tensors on {device}")


def _keep_buffer(apply: Callable[..., Any], _device: CurrentDevice) -> Callable[..., Any]:
    """Return the method behind ``Module.to`` with the buffer kept on the CPU, where ``timing.py`` reads it."""

    @wraps(apply)
    def _apply(model: Any, *arguments: Any, **named: Any) -> Any:
        buffer = model._buffers.pop(_BUFFER, None)  # noqa: SLF001 - torch keeps buffers here
        non_persistent = model._non_persistent_buffers_set  # noqa: SLF001 - as above
        try:
            return apply(model, *arguments, **named)
        finally:
            if buffer is not None:
                model.register_buffer(_BUFFER, buffer, persistent=_BUFFER not in non_persistent)

    return _apply


def _verify_heads(device: str) -> None:
    """Raise if a minimal model does not move to the device without its buffer."""
    model = _minimal_model().to(device)
    if model.alignment_heads.device.type != "cpu" or not model.alignment_heads.is_sparse:
        raise RuntimeError(f"the alignment heads are on {model.alignment_heads.device}")


ALIGNMENT_HEADS = _patch(
    name="openai-whisper-alignment-heads",
    reason="the model's buffer of alignment heads is sparse, and sparse tensors cannot move to MPS with torch 2.8 or "
    "older (SparseMPS)",
    issue_url="https://github.com/pytorch/pytorch/issues/141320",
    obsolete_when="when torch moves sparse tensors to MPS (2.9 does), or the buffer is no longer sparse",
    changes={"whisper.model:Whisper._apply": _keep_buffer},
    check=_check_heads,
    verify=_verify_heads,
)


def _check_dtw(originals: tuple[Any, ...], device: str) -> PatchDecision:
    (dtw,) = originals
    if dtw is None:
        return PatchDecision("retired", "upstream no longer has dtw")
    names = dtw.__code__.co_names  # in the order in which the code first uses them
    if "double" not in names or ("cpu" in names and names.index("cpu") < names.index("double")):
        return PatchDecision("retired", "upstream no longer converts to float64 on the device")
    return PatchDecision("needed", f"upstream converts to float64 on {device}, which has no float64")


def _move_to_cpu(dtw: Callable[[Any], Any], _device: CurrentDevice) -> Callable[[Any], Any]:
    @wraps(dtw)
    def on_cpu(matrix: Any) -> Any:
        return dtw(matrix.cpu() if matrix.device.type == "mps" else matrix)

    return on_cpu


class _MovedToCpu(Exception):  # noqa: N818 - not an error
    """A signal that the matrix below was moved to the CPU."""


class _MpsMatrix:
    """A stand-in for a matrix on MPS: it can move to the CPU, and cannot become float64."""

    is_cuda = False
    device = SimpleNamespace(type="mps")

    def cpu(self) -> Any:
        raise _MovedToCpu

    def double(self) -> Any:
        raise RuntimeError("whisper.timing.dtw still converts to float64 on the device")


def _verify_dtw(_device: str) -> None:
    """Raise if the alignment does not first move a matrix on MPS to the CPU."""
    with suppress(_MovedToCpu):
        import_upstream("whisper.timing").dtw(_MpsMatrix())


FLOAT64_ALIGNMENT = _patch(
    name="openai-whisper-float64-alignment",
    reason="timing.dtw converts to float64 on the device, and MPS has no float64: word timestamps fail there",
    issue_url="https://github.com/openai/whisper/pull/2825",
    obsolete_when="when dtw moves to the CPU before it converts to float64",
    changes={"whisper.timing:dtw": _move_to_cpu},
    check=_check_dtw,
    verify=_verify_dtw,
)

# In order of application.
PATCHES = (ALIGNMENT_HEADS, FLOAT64_ALIGNMENT)
