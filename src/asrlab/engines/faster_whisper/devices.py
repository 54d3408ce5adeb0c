"""Devices and number formats that CTranslate2 reports for this machine, and default batching."""

from __future__ import annotations

import ctranslate2

from asrlab.device import Device, DeviceReport
from asrlab.environment import usable_cores
from asrlab.errors import OptionError
from asrlab.options import Batching

BATCH_SIZE = 8
"""Larger batches gain little on the CPU; smaller batches are slower."""
MARGIN = 6.0
"""Seconds of silence after the longest chunk of a batch, instead of a window of 30 s.

With less, words are lost first, and then loops begin: ``benchmarks.throughput`` has the figures.
"""
_MAX_WORKERS = 8

# In order of preference. CTranslate2's own "auto" would choose float32 on the CPU for the float16 folders of the hub.
_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float16", "float32")}


def devices() -> DeviceReport:
    """Return CTranslate2's devices: ``cpu``, and each ``cuda:N`` that it finds."""
    available, missing = ["cpu"], []
    count = ctranslate2.get_cuda_device_count()
    if count:
        available += [f"cuda:{index}" for index in range(count)]
    else:
        missing.append(("cuda", f"CTranslate2 {ctranslate2.__version__} finds no CUDA device"))
    missing.append(("mps", _mps_reason()))
    return DeviceReport(available=tuple(available), missing=tuple(missing))


def _mps_reason() -> str:
    try:
        types = ctranslate2.get_supported_compute_types("mps")
    except ValueError as error:
        return f"CTranslate2 {ctranslate2.__version__} reports: {error}; it runs on cpu and cuda"
    return f"CTranslate2 supports {', '.join(sorted(types))}, but faster-whisper cannot load a model there"


def choose_compute_type(requested: str, device: Device) -> str:
    """Return the compute type to load with.

    Raises:
        OptionError: If CTranslate2 does not support *requested* on *device*.
    """
    kind, _, index = device.resolved.partition(":")
    supported = ctranslate2.get_supported_compute_types(kind, int(index or 0))
    if requested == "auto":
        return next((name for name in _AUTO[kind] if name in supported), "default")
    if requested not in supported and requested != "default":  # default: the format of the weights, or the nearest
        raise OptionError(
            f"faster-whisper cannot compute in {requested!r} on {device.resolved}; choose one that CTranslate2 "
            f"supports here: {', '.join(sorted(supported))}",
            option="compute_type",
            supported=sorted(supported),
        )
    return requested


def default_threads() -> int:
    """Return the CPU threads for one inference: the cores of this process, at most 4, as in CTranslate2's default.

    Source: faster-whisper, ``WhisperModel``, argument ``cpu_threads``.
    """
    return min(4, usable_cores())


def default_batching(device: str, *, threads: int) -> Batching:
    """Return the batching for a device without tuned settings.

    On the CPU a thread is fastest alone on its batch, but each batch in progress takes memory of its own. A GPU is
    expected to gain from batches in the encoder, too.

    Args:
        device: Resolved device.
        threads: Threads for all workers together.
    """
    workers = min(threads, _MAX_WORKERS) if device == "cpu" else 1
    return Batching(
        batch_size=BATCH_SIZE,
        workers=workers,
        threads=threads // workers,
        padding_s=MARGIN,
        batch_encoder=device != "cpu",
    )
