"""The formats that are read, in one table, and which of them a path is in."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.audiofolder import is_audiofolder, read_audiofolder
from asrlab.evaluation.datasets.common_voice import is_common_voice, read_common_voice
from asrlab.evaluation.datasets.csv_table import is_table, read_table
from asrlab.evaluation.datasets.folder import is_folder_of_pairs, read_folder
from asrlab.evaluation.datasets.format import Format
from asrlab.evaluation.datasets.kaldi import is_kaldi, read_kaldi
from asrlab.evaluation.datasets.lhotse import is_lhotse, read_lhotse
from asrlab.evaluation.datasets.librispeech import is_librispeech, read_librispeech
from asrlab.evaluation.datasets.lines import Lines, first_line
from asrlab.evaluation.datasets.manifest import is_manifest, read_manifest
from asrlab.evaluation.datasets.stm import is_stm, read_stm

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import Dataset
    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["FORMATS", "choose_format", "named_format"]

_JSON = (".json", ".jsonl")


def _read_folder(path: Path, options: ReadOptions) -> Dataset:
    return read_folder(path, require_text=options.require_text, allow_outside=options.allow_outside)


def _read_manifest(path: Path, options: ReadOptions) -> Dataset:
    return read_manifest(path, require_text=options.require_text, allow_outside=options.allow_outside)


def _is_other_table(path: Path) -> bool:
    # a table of Common Voice is one with columns of the usual names, too, but without quotes and with its own folder
    return is_table(path) and not is_common_voice(path)


_FOLDER = Format(
    name="folder",
    description="a folder of audio with same-named .txt files",
    looks=is_folder_of_pairs,
    read=_read_folder,
)
_NEMO = Format(name="nemo", description="a JSONL manifest", looks=is_manifest, read=_read_manifest)

FORMATS = (
    Format(
        name="audiofolder",
        description="Hugging Face's audiofolder",
        looks=is_audiofolder,
        read=read_audiofolder,
    ),
    Format(
        name="common-voice",
        description="a table of Common Voice beside clips",
        looks=is_common_voice,
        read=read_common_voice,
    ),
    Format(name="csv", description="CSV or TSV with named columns", looks=_is_other_table, read=read_table),
    _FOLDER,
    Format(name="kaldi", description="a Kaldi data directory", looks=is_kaldi, read=read_kaldi),
    Format(name="lhotse", description="Lhotse's manifests", looks=is_lhotse, read=read_lhotse),
    Format(
        name="librispeech",
        description="LibriSpeech's tree",
        looks=is_librispeech,
        read=read_librispeech,
    ),
    _NEMO,
    Format(name="stm", description="segment time marks (STM)", looks=is_stm, read=read_stm),
)
"""All formats, by name."""


def named_format(name: str) -> Format:
    """The format called *name*.

    Raises:
        OptionError: There is none.
    """
    names = tuple(each.name for each in FORMATS)
    for each in FORMATS:
        if each.name == name:
            return each
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise OptionError(
        f"there is no format {name!r} of data sets; {hint}choose one of {', '.join(names)}",
        option="format",
        supported=names,
    )


def choose_format(path: Path) -> Format:
    """The format that the file or folder *path* is in.

    Raises:
        DatasetError: It looks like none, or like several.
    """
    found = [each for each in FORMATS if each.recognizes(path)]
    if len(found) > 1:
        raise DatasetError(
            f"{path} could be {' or '.join(each.description for each in found)}; say which with "
            f"{' or '.join(f'format={each.name!r}' for each in found)} (--format NAME)",
            path=path,
        )
    if found:
        return found[0]
    if path.is_dir():
        return _FOLDER  # which says what a folder needs
    head = Lines(path=path).head()
    if path.suffix.lower() in _JSON or head.startswith(b"{"):
        return _NEMO  # which says what a line needs
    raise _unrecognized(path, empty=not head)


def _unrecognized(path: Path, *, empty: bool) -> DatasetError:
    saw = "is empty" if empty else f"begins with {first_line(path)[:60]!r}"
    return DatasetError(
        f"{path} is no data set in a format that asrlab tells by itself: it {saw}; name its format "
        f"({', '.join(each.name for each in FORMATS)}) with format= or --format (single files of audio are for: "
        "asrlab transcribe)",
        path=path,
    )
