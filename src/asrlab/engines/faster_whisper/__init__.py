"""The faster-whisper engine: Whisper on CTranslate2."""

from __future__ import annotations

from asrlab.plugins.hookspecs import hookimpl
from asrlab.spec import EngineSpec, ModelSpec

__all__ = ["SPEC", "asrlab_engines"]


def _model(name: str, *aliases: str, weights: str = "") -> ModelSpec:
    return ModelSpec(
        name=name,
        aliases=aliases,
        weights=(weights or f"systran/faster-whisper-{name}",),
        languages=("en",) if name.endswith(".en") or name.startswith("distil-") else None,
        description="English" if name.endswith(".en") or name.startswith("distil-") else "multilingual",
    )


SPEC = EngineSpec(
    name="faster-whisper",
    aliases=("faster_whisper",),
    default_model="base",
    factory="asrlab.engines.faster_whisper.transcriber:load",
    devices="asrlab.engines.faster_whisper.devices:devices",
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
        _model("large-v3-turbo", "turbo", weights="mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        _model("distil-small.en", weights="systran/faster-distil-whisper-small.en"),
        _model("distil-medium.en", weights="systran/faster-distil-whisper-medium.en"),
        _model("distil-large-v2", weights="systran/faster-distil-whisper-large-v2"),
        _model("distil-large-v3", weights="systran/faster-distil-whisper-large-v3"),
        _model("distil-large-v3.5", weights="distil-whisper/distil-large-v3.5-ct2"),
    ),
    weights_formats=("ctranslate2",),
    distribution="faster-whisper",
    import_name="faster_whisper",
    install="pip install 'asrlab[faster-whisper]'",
    versions_of=("faster-whisper", "ctranslate2", "tokenizers", "onnxruntime"),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """The faster-whisper engine."""
    return [SPEC]
