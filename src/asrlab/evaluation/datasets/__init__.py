"""Data sets: utterances to transcribe and score, by name, or from a file or folder in one of several formats.

Importing this room is cheap; nothing is read before a data set is iterated, but for what says what it is.
"""

from __future__ import annotations

from asrlab.evaluation.datasets.dataset import Dataset, DatasetSpec, Utterance
from asrlab.evaluation.datasets.folder import read_folder
from asrlab.evaluation.datasets.format import DatasetFormat, ReadOptions
from asrlab.evaluation.datasets.load import FORMATS, SMOKE, load_dataset
from asrlab.evaluation.datasets.manifest import read_manifest
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
    "read_folder",
    "read_manifest",
]
