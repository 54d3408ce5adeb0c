"""Weights: a catalogue with checksums, a store that fills itself, and a converter between two engines' formats."""

from asrlab.weights.catalogue import (
    CarriedFile,
    CarrierPart,
    StoredFile,
    StoredWeights,
    StoreManifest,
    WeightsEntry,
    WeightsFile,
    describe_origin,
    describe_size,
    entries,
    entry,
)
from asrlab.weights.ctranslate2 import convert, read_ctranslate2
from asrlab.weights.local import check_weights, explain_failed_load, weights_format
from asrlab.weights.openai_checkpoint import OpenAICheckpoint, WhisperDims, why_not_whisper
from asrlab.weights.safetensors_check import read_safetensors_shapes
from asrlab.weights.sources import CarrierSource, FolderSource, HubSource, Progress, UrlSource, WeightsSource
from asrlab.weights.store import WeightsStore, is_offline

__all__ = [
    "CarriedFile",
    "CarrierPart",
    "CarrierSource",
    "FolderSource",
    "HubSource",
    "OpenAICheckpoint",
    "Progress",
    "StoreManifest",
    "StoredFile",
    "StoredWeights",
    "UrlSource",
    "WeightsEntry",
    "WeightsFile",
    "WeightsSource",
    "WeightsStore",
    "WhisperDims",
    "check_weights",
    "convert",
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
