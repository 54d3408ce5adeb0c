"""Speech recognition in Hugging Face's format for asrlab. Importing this imports no engine."""

from __future__ import annotations

from asrlab.plugin import EngineSpec, ModelSpec, hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_plugin_api"]

asrlab_plugin_api = 2

# The bounds tell a model that works from one that is broken: they are those of asrlab's own Whisper engines.
SPEC = EngineSpec(
    name="transformers",
    factory="asrlab_transformers.load:load",
    devices="asrlab.device:torch_devices",
    models=(
        ModelSpec(name="openai/whisper-tiny", description="multilingual", wer_bound=0.10),
        ModelSpec(name="openai/whisper-base", description="multilingual", wer_bound=0.05),
        ModelSpec(name="openai/whisper-small", description="multilingual", wer_bound=0.05),
        ModelSpec(name="openai/whisper-large-v3-turbo", description="multilingual", wer_bound=0.05),
        ModelSpec(name="facebook/wav2vec2-base-960h", description="English, upper case", languages=("en",)),
    ),
    accepts_any_model="an id on the Hugging Face hub, owner/name or owner/name@revision",
    weights_formats=("safetensors",),
    compute_types=("float32", "float16", "bfloat16"),
    distribution="transformers",
    import_name="transformers",
    install="pip install asrlab-transformers",
    reported_distributions=("asrlab-transformers", "transformers", "torch", "tokenizers", "safetensors"),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the transformers engine."""
    return [SPEC]
