"""From what a user names to the data set it stands for."""

from __future__ import annotations

import stat
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.corpora import (
    read_common_voice,
    read_librispeech,
    sniff_common_voice,
    sniff_librispeech,
)
from asrlab.evaluation.datasets.dataset import DatasetSpec
from asrlab.evaluation.datasets.folder import read_audiofolder, read_folder, sniff_audiofolder, sniff_folder
from asrlab.evaluation.datasets.format import DatasetFormat, ExternalAudioPolicy, ReadOptions
from asrlab.evaluation.datasets.hugging_face import is_hugging_face, read_hugging_face
from asrlab.evaluation.datasets.kaldi import read_kaldi, sniff_kaldi
from asrlab.evaluation.datasets.lhotse import read_lhotse, sniff_lhotse
from asrlab.evaluation.datasets.manifest import read_manifest, sniff_manifest
from asrlab.evaluation.datasets.stm import read_stm, sniff_stm
from asrlab.evaluation.datasets.tabular import read_table, sniff_table
from asrlab.evaluation.datasets.text_file import TextFile, first_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import Dataset
    from asrlab.evaluation.datasets.format import DatasetFormat, ReadOptions

SMOKE = DatasetSpec(
    name="smoke",
    description="five short clips of read English, embedded in asrlab; shows that everything works, ranks nothing",
    factory="asrlab.evaluation.datasets.smoke:smoke",
)


def load_dataset(
    name_or_path: str | PathLike[str] | object,
    *,
    specs: Iterable[DatasetSpec] = (),
    format: str | None = None,  # noqa: A002 - what it is, and called as on the command line
    require_text: bool = True,
    allow_external_audio: ExternalAudioPolicy = False,
) -> Dataset:
    """The data set that *name_or_path* stands for.

    Args:
        name_or_path: An object of the library ``datasets``; ``smoke``; the name of one of *specs*; or a file or folder
            in one of the formats (`FORMATS`). A name goes before a file or folder that is called the same: write
            ``./smoke`` for the folder.
        specs: The data sets that can be asked for by name besides ``smoke``.
        format: Of a file or folder: the name of its format; None tells it by names and first lines.
        require_text: Of a file or folder: an utterance without reference is an error. False lets it through with
            ``text=None``.
        allow_external_audio: Of a file or folder: accept files outside its folder, named in it or linked. ``audio`` accepts
            audio only: what does not open it needs no more.

    Raises:
        DatasetError: It stands for nothing, for two things, or for something that cannot be read.
        OptionError: There is no such *format*, or it is given for a data set that is asked for by name.
    """
    if is_hugging_face(name_or_path):
        if format is not None:
            raise OptionError("a format is for files and folders, and this is an object; leave it out", option="format")
        return read_hugging_face(
            name_or_path, ReadOptions(require_text=require_text, allow_external_audio=allow_external_audio)
        )
    if not isinstance(name_or_path, str | PathLike):
        raise DatasetError(
            f"a {type(name_or_path).__name__} is no data set; give a name, a path, or an object of the library datasets"
        )
    # the same spec twice is one, so that ``smoke`` may also come in by a hook
    known = tuple(dict.fromkeys((SMOKE, *specs)))
    named = [spec for spec in known if spec.name == name_or_path]
    if len(named) > 1:
        raise DatasetError(
            f"data set {name_or_path!r} is offered twice, by {' and by '.join(spec.factory for spec in named)}; remove "
            "or disable the plugin that is not meant (see: asrlab plugins)"
        )
    chosen = None if format is None else named_format(format)
    if named and chosen:
        raise OptionError(
            f"a format is for files and folders, and {name_or_path!r} is a name; leave it out, or write "
            f"./{name_or_path} for the file or folder",
            option="format",
        )
    if named:
        return named[0].load()
    options = ReadOptions(require_text=require_text, allow_external_audio=allow_external_audio)
    return _from_path(Path(name_or_path), known, chosen, options)


def _from_path(
    path: Path, known: tuple[DatasetSpec, ...], chosen: DatasetFormat | None, options: ReadOptions
) -> Dataset:
    mode = _mode(path)
    if mode is None:
        raise _unknown(path, known)
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise DatasetError(
            f"{path} is neither a file nor a folder; give a JSONL manifest or a folder of audio", path=path
        )
    return (chosen or choose_format(path)).read(path, options)


def _mode(path: Path) -> int | None:
    """What kind of file *path* is; None if there is none."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); see to its permissions", path=path) from error
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None


def _unknown(path: Path, known: tuple[DatasetSpec, ...]) -> DatasetError:
    names = [spec.name for spec in known]
    near = get_close_matches(str(path), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return DatasetError(
        f"there is no data set, file or folder {str(path)!r}; {hint}give a name ({', '.join(names)}), a folder of "
        "audio with same-named .txt files, or a JSONL manifest",
        path=path,
    )


_JSON = (".json", ".jsonl")


def _read_folder(path: Path, options: ReadOptions) -> Dataset:
    return read_folder(path, require_text=options.require_text, allow_external_audio=options.allow_external_audio)


def _read_manifest(path: Path, options: ReadOptions) -> Dataset:
    return read_manifest(path, require_text=options.require_text, allow_external_audio=options.allow_external_audio)


def _is_other_table(path: Path) -> bool:
    # a table of Common Voice is one with columns of the usual names, too, but without quotes and with its own folder
    return sniff_table(path) and not sniff_common_voice(path)


_FOLDER = DatasetFormat(
    name="folder",
    description="a folder of audio with same-named .txt files",
    looks=sniff_folder,
    read=_read_folder,
)
_NEMO = DatasetFormat(name="nemo", description="a JSONL manifest", looks=sniff_manifest, read=_read_manifest)
FORMATS = (
    DatasetFormat(
        name="audiofolder",
        description="Hugging Face's audiofolder",
        looks=sniff_audiofolder,
        read=read_audiofolder,
    ),
    DatasetFormat(
        name="common-voice",
        description="a table of Common Voice beside clips",
        looks=sniff_common_voice,
        read=read_common_voice,
    ),
    DatasetFormat(name="csv", description="CSV or TSV with named columns", looks=_is_other_table, read=read_table),
    _FOLDER,
    DatasetFormat(name="kaldi", description="a Kaldi data directory", looks=sniff_kaldi, read=read_kaldi),
    DatasetFormat(name="lhotse", description="Lhotse's manifests", looks=sniff_lhotse, read=read_lhotse),
    DatasetFormat(
        name="librispeech",
        description="LibriSpeech's tree",
        looks=sniff_librispeech,
        read=read_librispeech,
    ),
    _NEMO,
    DatasetFormat(name="stm", description="segment time marks (STM)", looks=sniff_stm, read=read_stm),
)
"""All formats, by name."""


def named_format(name: str) -> DatasetFormat:
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


def choose_format(path: Path) -> DatasetFormat:
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
    head = TextFile(path=path).head()
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
