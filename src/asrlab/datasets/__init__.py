"""Data sets: utterances to transcribe and score, by name, or from a file or folder in one of several formats.

Importing this room is cheap; nothing is read before a data set is iterated, but for what says what it is.
"""

from __future__ import annotations

from asrlab.datasets.dataset import Dataset, Utterance
from asrlab.datasets.folder import read_folder
from asrlab.datasets.format import Format, ReadOptions
from asrlab.datasets.formats import FORMATS
from asrlab.datasets.load import SMOKE, load_dataset
from asrlab.datasets.manifest import read_manifest
from asrlab.datasets.places import AUDIO_SUFFIXES
from asrlab.datasets.spec import DatasetSpec

__all__ = [
    "AUDIO_SUFFIXES",
    "FORMATS",
    "SMOKE",
    "Dataset",
    "DatasetSpec",
    "Format",
    "ReadOptions",
    "Utterance",
    "load_dataset",
    "read_folder",
    "read_manifest",
]
