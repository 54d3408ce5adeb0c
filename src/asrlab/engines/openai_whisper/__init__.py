"""Engine openai-whisper: Whisper on PyTorch, as its authors wrote it."""

from __future__ import annotations

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.engines.faster_whisper import SPEC as FASTER_WHISPER
from asrlab.engines.whisper import SIZES, max_wer, model_languages
from asrlab.patches import Patch
from asrlab.patches.openai_whisper import PATCHES
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_patches"]

_CTRANSLATE2 = {model.name: model.weights for model in FASTER_WHISPER.models}


def _model(name: str, aliases: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(
        name=name,
        aliases=aliases,
        weights=(f"openai/whisper-{name}", *_CTRANSLATE2[name]),  # the second are converted without loss
        languages=model_languages(name),
        description="English" if model_languages(name) else "multilingual",
        wer_bound=max_wer(name),
    )


SPEC = EngineSpec(
    name="openai-whisper",
    aliases=("whisper", "openai_whisper"),
    default_model="base",
    factory="asrlab.engines.openai_whisper.recognizer:load",
    devices="asrlab.device:torch_devices",
    models=tuple(_model(name, aliases) for name, aliases in SIZES),
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
