"""Data sets: utterances to transcribe and score, loaded by name or from a file or folder in one of several formats.

The import is cheap, and utterances are read while a data set is iterated.
"""

from __future__ import annotations

from asrlab.evaluation.datasets.dataset import Dataset, DatasetFormat, DatasetSpec, ReadOptions, Utterance
from asrlab.evaluation.datasets.load import FORMATS, SMOKE, load_dataset
from asrlab.evaluation.datasets.paths import AUDIO_SUFFIXES

__all__ = [
    "AUDIO_SUFFIXES",
    "FORMATS",
    "SMOKE",
    "Dataset",
    "DatasetFormat",
    "DatasetSpec",
    "ReadOptions",
    "Utterance",
    "load_dataset",
]
