"""Engine liquid-audio: LFM2.5-Audio, as its authors wrote it, on any device."""

from __future__ import annotations

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.patches import Patch
from asrlab.patches.liquid_audio import PATCHES
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_patches"]

SPEC = EngineSpec(
    name="liquid-audio",
    aliases=("liquid_audio", "lfm2_5_audio"),
    default_model="lfm2.5-audio-1.5b",
    factory="asrlab.engines.liquid_audio.recognizer:load",
    devices="asrlab.device:torch_devices",
    models=(
        ModelSpec(
            name="lfm2.5-audio-1.5b",
            weights=("liquidai/lfm2.5-audio-1.5b",),
            languages=("en",),
            description="English, speech and text",
            wer_bound=0.10,  # as many errors as the matrix accepts in the 70 words of the smoke set
        ),
    ),
    weights_formats=("safetensors",),
    compute_types=("float32", "bfloat16"),
    distribution="liquid-audio",
    import_name="liquid_audio",
    install="pip install 'asrlab[liquid-audio]'",
    reported_distributions=("liquid-audio", "torch", "torchaudio", "transformers", "onnxruntime"),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the liquid-audio engine."""
    return [SPEC]


@hookimpl
def asrlab_patches() -> tuple[Patch, ...]:
    """Return the patches of liquid-audio."""
    return PATCHES
