"""Public names for authors of engine plugins; docs/tutorial/writing-a-plugin.md shows their use."""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.batching": "BatchBackend ChunkFeatures Decoded Detected",
        "asrlab.engine.contract": "Recognition Recognizer TranscriberInfo",
        "asrlab.engine.spec": "PLUGIN_API EngineSpec LoadRequest ModelSpec",
        "asrlab.evaluation.datasets": "DatasetSpec",
        "asrlab.plugins.hookspecs": "hookimpl",
    },
)
