"""The openai-whisper engine: Whisper on PyTorch, as its authors wrote it."""

from __future__ import annotations

from asrlab.plugins.hookspecs import hookimpl
from asrlab.spec import EngineSpec, ModelSpec

__all__ = ["SPEC", "asrlab_engines"]


def _model(name: str, *aliases: str, ctranslate2: str = "") -> ModelSpec:
    return ModelSpec(
        name=name,
        aliases=aliases,
        weights=(f"openai/whisper-{name}", ctranslate2 or f"systran/faster-whisper-{name}"),
        languages=("en",) if name.endswith(".en") else None,
        description="English" if name.endswith(".en") else "multilingual",
    )


SPEC = EngineSpec(
    name="openai-whisper",
    aliases=("whisper", "openai_whisper"),
    default_model="base",
    factory="asrlab.engines.openai_whisper.load:load",
    devices="asrlab.device:torch_devices",
    models=(
        _model("tiny"),
        _model("tiny.en"),
        _model("base"),
        _model("base.en"),
        _model("small"),
        _model("small.en"),
        _model("medium"),
        _model("medium.en"),
        _model("large-v1"),
        _model("large-v2"),
        _model("large-v3", "large"),
        _model("large-v3-turbo", "turbo", ctranslate2="mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
    ),
    weights_formats=("openai-pt", "ctranslate2"),
    compute_types=("float32", "float16"),
    distribution="openai-whisper",
    import_name="whisper",
    install="pip install 'asrlab[openai-whisper]'",
    versions_of=("openai-whisper", "torch", "tiktoken", "numba"),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """The openai-whisper engine."""
    return [SPEC]
