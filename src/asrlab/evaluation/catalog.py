"""Data sets by name or path, those of plugins included."""

from __future__ import annotations

from os import PathLike
from typing import Literal

from asrlab.evaluation.datasets import load
from asrlab.evaluation.datasets.dataset import Dataset, DatasetSpec
from asrlab.plugins.manager import PluginHost


def load_dataset(
    name: str | PathLike[str] | object,
    *,
    format: str | None = None,  # noqa: A002 - what it is, and called as on the command line
    allow_external_audio: bool | Literal["audio"] = False,
    host: PluginHost | None = None,
) -> Dataset:
    """A data set by its name or its path.

    Args:
        name: A name such as ``smoke``, a folder of audio files with ``.txt`` files beside them, a JSONL manifest, or a
            file or folder in another of the formats that are read: see ``docs/reference/data-sets.md``. Or an object of
            the library ``datasets``.
        format: The name of the file's or folder's format, such as ``kaldi``; None tells it by names and first lines.
        allow_external_audio: Accept files outside of its folder, named in it or linked. ``audio`` accepts audio only: what
            does not open it needs no more.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        DatasetError: There is no such data set, it could be in several formats, or it cannot be read.
        OptionError: There is no such format, or one is given for a data set that is asked for by name.
    """
    return load.load_dataset(name, specs=list_datasets(host), format=format, allow_external_audio=allow_external_audio)


def list_datasets(host: PluginHost | None = None) -> tuple[DatasetSpec, ...]:
    """All data sets that have names, ``smoke`` first. Reads none."""
    offered = (host or PluginHost()).collect("asrlab_datasets", DatasetSpec)
    return (load.SMOKE, *(spec for _, spec in offered))
