"""Weights: a catalogue with checksums, a store that fills itself, and a converter between two engines' formats."""

from asrlab.weights.catalogue import CarriedFile, CarrierPart, WeightsEntry, WeightsFile, WeightsFormat, entries, entry
from asrlab.weights.ctranslate2_format import CTranslate2Model, read_ctranslate2
from asrlab.weights.ctranslate2_to_openai import OpenAICheckpoint, WhisperDims, convert
from asrlab.weights.errors import describe_origin, describe_size
from asrlab.weights.hub_source import HubSource
from asrlab.weights.local import check_weights, explain_failed_load, weights_format
from asrlab.weights.manifest import StoredFile, StoredWeights, default_root
from asrlab.weights.openai_checkpoint import why_not_whisper
from asrlab.weights.safetensors_check import read_safetensors_shapes
from asrlab.weights.sources import CarrierSource, Fetched, FolderSource, Progress, UrlSource, WeightsSource
from asrlab.weights.store import WeightsStore, is_offline

__all__ = [
    "CTranslate2Model",
    "CarriedFile",
    "CarrierPart",
    "CarrierSource",
    "Fetched",
    "FolderSource",
    "HubSource",
    "OpenAICheckpoint",
    "Progress",
    "StoredFile",
    "StoredWeights",
    "UrlSource",
    "WeightsEntry",
    "WeightsFile",
    "WeightsFormat",
    "WeightsSource",
    "WeightsStore",
    "WhisperDims",
    "check_weights",
    "convert",
    "default_root",
    "describe_origin",
    "describe_size",
    "entries",
    "entry",
    "explain_failed_load",
    "is_offline",
    "read_ctranslate2",
    "read_safetensors_shapes",
    "weights_format",
    "why_not_whisper",
]
