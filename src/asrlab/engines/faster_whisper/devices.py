"""What CTranslate2 can use here, by its own answers."""

from __future__ import annotations

import ctranslate2

from asrlab.device import Device, DeviceReport
from asrlab.environment import usable_cores
from asrlab.errors import OptionError
from asrlab.options import Batching

BATCH_SIZE = 8
"""With more, decoding gains little on the CPU, and with fewer it loses."""
MARGIN = 6.0
"""Seconds of silence behind the longest piece of a batch, instead of a window of 30 s.

With less, words are lost first and then loops begin: ``benchmarks.throughput`` has the figures.
"""
_MOST_WORKERS = 8

# In order of preference. CTranslate2's own "auto" would take float32 on the CPU for the float16 folders of the hub.
_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float16", "float32")}


def devices() -> DeviceReport:
    """CTranslate2's devices: ``cpu``, and ``cuda:N`` where it finds any."""
    available, missing = ["cpu"], []
    count = ctranslate2.get_cuda_device_count()
    if count:
        available += [f"cuda:{index}" for index in range(count)]
    else:
        missing.append(("cuda", f"CTranslate2 {ctranslate2.__version__} finds no CUDA device"))
    missing.append(("mps", _refusal("mps")))
    return DeviceReport(available=tuple(available), missing=tuple(missing))


def _refusal(kind: str) -> str:
    try:
        types = ctranslate2.get_supported_compute_types(kind)
    except ValueError as error:
        return f"CTranslate2 {ctranslate2.__version__} answers: {error}; it runs on cpu and cuda"
    return f"CTranslate2 offers {', '.join(sorted(types))}, but faster-whisper cannot place a model there"


def choose_compute_type(asked: str, device: Device) -> str:
    """The compute type to load with.

    Raises:
        OptionError: CTranslate2 does not support *asked* on *device*.
    """
    kind, _, index = device.resolved.partition(":")
    supported = ctranslate2.get_supported_compute_types(kind, int(index or 0))
    if asked == "auto":
        return next((name for name in _AUTO[kind] if name in supported), "default")
    if asked not in supported and asked != "default":  # default: as the weights are, or the nearest that there is
        raise OptionError(
            f"faster-whisper cannot compute in {asked!r} on {device.resolved}; here CTranslate2 supports "
            f"{', '.join(sorted(supported))}",
            option="compute_type",
            supported=sorted(supported),
        )
    return asked


def default_threads() -> int:
    """CPU threads for one inference: the cores this process may use, at most 4, as CTranslate2's own default is.

    Source: faster-whisper, ``WhisperModel``, argument ``cpu_threads``.
    """
    return min(4, usable_cores())


def default_batching(device: str, *, threads: int) -> Batching:
    """How recordings go together where nothing was tuned.

    On the CPU a thread does most where it is alone at its batch, but each batch under way takes memory of its own. A
    GPU is expected to gain by batches in the encoder, too.

    Args:
        device: As resolved.
        threads: What all workers together may take.
    """
    workers = min(threads, _MOST_WORKERS) if device == "cpu" else 1
    return Batching(
        batch_size=BATCH_SIZE,
        workers=workers,
        threads=threads // workers,
        padding_s=MARGIN,
        batch_encoder=device != "cpu",
    )
