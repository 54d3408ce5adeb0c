"""Data sets by name or path, including the named data sets of plugins."""

from __future__ import annotations

from os import PathLike

from asrlab.evaluation.datasets import load
from asrlab.evaluation.datasets.dataset import Dataset, DatasetSpec, ExternalAudioPolicy
from asrlab.plugins.manager import PluginHost


def load_dataset(
    name: str | PathLike[str] | object,
    *,
    format: str | None = None,  # noqa: A002 - as on the command line
    allow_external_audio: ExternalAudioPolicy = False,
    host: PluginHost | None = None,
) -> Dataset:
    """Load a data set by its name or path.

    Args:
        name: A name such as ``smoke``, a folder of audio with ``.txt`` files of the same names, a JSONL manifest, or a
            file or folder in another supported format: see ``docs/reference/data-sets.md``. Or an object of the library
            ``datasets``.
        format: Name of the file's or folder's format, such as ``kaldi``; None recognizes it by names and first lines.
        allow_external_audio: Accept files outside the data set's folder that it names or links to. ``audio`` accepts
            audio only, for callers that read texts and never open the audio.
        host: The plugins to search; None for those of this environment.

    Raises:
        DatasetError: If there is no such data set, its format is ambiguous, or it cannot be read.
        OptionError: If there is no such format, or a format is given for a named data set.
    """
    return load.load_dataset(name, specs=list_datasets(host), format=format, allow_external_audio=allow_external_audio)


def list_datasets(host: PluginHost | None = None) -> tuple[DatasetSpec, ...]:
    """Return all named data sets, ``smoke`` first, without reading any."""
    offered = (host or PluginHost()).collect("asrlab_datasets", DatasetSpec)
    return (load.SMOKE, *(spec for _, spec in offered))
