"""Engine faster-whisper: Whisper on CTranslate2."""

from __future__ import annotations

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.engines.whisper import SIZES, max_wer, model_languages
from asrlab.patches import Patch
from asrlab.patches.faster_whisper import PATCHES
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_patches"]

# Weights of a size that are not Systran's, by their name in the catalogue.
_OTHER_WEIGHTS = {"large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo"}

# English models distilled from Whisper.
_DISTILLED = {
    "distil-small.en": "systran/faster-distil-whisper-small.en",
    "distil-medium.en": "systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}


def _model(name: str, aliases: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(
        name=name,
        aliases=aliases,
        weights=(_OTHER_WEIGHTS.get(name, f"systran/faster-whisper-{name}"),),
        languages=model_languages(name),
        description="English" if model_languages(name) else "multilingual",
        wer_bound=max_wer(name),
    )


def _distilled(name: str, weights: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        weights=(weights,),
        languages=("en",),
        description="English, distilled",
        wer_bound=max_wer(name),
    )


SPEC = EngineSpec(
    name="faster-whisper",
    aliases=("faster_whisper",),
    default_model="base",
    factory="asrlab.engines.faster_whisper.recognizer:load",
    devices="asrlab.engines.faster_whisper.devices:devices",
    models=(
        *(_model(name, aliases) for name, aliases in SIZES),
        *(_distilled(name, weights) for name, weights in _DISTILLED.items()),
    ),
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
