"""Engine openai-whisper: Whisper on PyTorch, as its authors wrote it."""

from __future__ import annotations

from asrlab.engine.spec import EngineSpec
from asrlab.engines.faster_whisper import SPEC as FASTER_WHISPER
from asrlab.engines.whisper import SIZES, model_spec
from asrlab.patches import Patch
from asrlab.patches.openai_whisper import PATCHES
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_patches"]

# CTranslate2's weights are converted without loss.
_CTRANSLATE2 = {model.name: model.weights for model in FASTER_WHISPER.models}
SPEC = EngineSpec(
    name="openai-whisper",
    aliases=("whisper", "openai_whisper"),
    default_model="base",
    factory="asrlab.engines.openai_whisper.recognizer:load",
    devices="asrlab.device:torch_devices",
    models=tuple(model_spec(name, f"openai/whisper-{name}", *_CTRANSLATE2[name]) for name in SIZES),
    weights_formats=("openai-pt", "ctranslate2"),
    compute_types=("float32", "float16"),
    distribution="openai-whisper",
    import_name="whisper",
    install="pip install 'asrlab[openai-whisper]'",
    reported_distributions=("openai-whisper", "torch", "tiktoken", "numba"),
    supports_batching=True,
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the openai-whisper engine."""
    return [SPEC]


@hookimpl
def asrlab_patches() -> tuple[Patch, ...]:
    """Return the patches of openai-whisper."""
    return PATCHES
