from asrlab.batching import BatchBackend as BatchBackend, ChunkFeatures as ChunkFeatures, Decoded as Decoded, Detected as Detected
from asrlab.engine.contract import Recognition as Recognition, Recognizer as Recognizer, TranscriberInfo as TranscriberInfo
from asrlab.engine.spec import EngineSpec as EngineSpec, LoadRequest as LoadRequest, ModelSpec as ModelSpec, PLUGIN_API as PLUGIN_API
from asrlab.evaluation.datasets import DatasetSpec as DatasetSpec
from asrlab.plugins.hookspecs import hookimpl as hookimpl
