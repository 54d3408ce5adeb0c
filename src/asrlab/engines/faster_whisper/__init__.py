"""Engine faster-whisper: Whisper on CTranslate2."""

from __future__ import annotations

from asrlab.device import DeviceReport
from asrlab.engine.spec import EngineSpec
from asrlab.engines.whisper import SIZES, model_spec
from asrlab.patches import Patch
from asrlab.patches.faster_whisper import PATCHES
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_patches", "devices"]

# Weights in the catalogue: OpenAI's sizes, and English models distilled from them.
_WEIGHTS = {
    **{name: f"systran/faster-whisper-{name}" for name in SIZES},
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "systran/faster-distil-whisper-small.en",
    "distil-medium.en": "systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
SPEC = EngineSpec(
    name="faster-whisper",
    aliases=("faster_whisper",),
    default_model="base",
    factory="asrlab.engines.faster_whisper.recognizer:load",
    devices="asrlab.engines.faster_whisper:devices",
    models=tuple(model_spec(name, weights) for name, weights in _WEIGHTS.items()),
    weights_formats=("ctranslate2",),
    distribution="faster-whisper",
    import_name="faster_whisper",
    install="pip install 'asrlab[faster-whisper]'",
    reported_distributions=("faster-whisper", "ctranslate2", "tokenizers", "onnxruntime"),
    supports_batching=True,
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the faster-whisper engine."""
    return [SPEC]


@hookimpl
def asrlab_patches() -> tuple[Patch, ...]:
    """Return the patches of faster-whisper."""
    return PATCHES


def devices() -> DeviceReport:
    """Return CTranslate2's devices: ``cpu``, and each ``cuda:N`` that it finds."""
    import ctranslate2

    library = f"CTranslate2 {ctranslate2.__version__}"
    cuda = tuple(f"cuda:{index}" for index in range(ctranslate2.get_cuda_device_count()))
    missing = () if cuda else (("cuda", f"{library} finds no CUDA device"),)
    try:
        types = ctranslate2.get_supported_compute_types("mps")
        reason = f"CTranslate2 supports {', '.join(sorted(types))}, but faster-whisper cannot load a model there"
    except ValueError as error:
        reason = f"{library} reports: {error}; it runs on cpu and cuda"
    return DeviceReport(available=("cpu", *cuda), missing=(*missing, ("mps", reason)))
