from asrlab.batching import (
    BatchBackend as BatchBackend,
    ChunkFeatures as ChunkFeatures,
    Decoded as Decoded,
    Detected as Detected,
)
from asrlab.engine.contract import (
    Recognition as Recognition,
    Recognizer as Recognizer,
    TranscriberInfo as TranscriberInfo,
)
from asrlab.engine.spec import (
    PLUGIN_API as PLUGIN_API,
    EngineSpec as EngineSpec,
    LoadRequest as LoadRequest,
    ModelSpec as ModelSpec,
)
from asrlab.evaluation.datasets import DatasetSpec as DatasetSpec
from asrlab.plugins.hookspecs import hookimpl as hookimpl
