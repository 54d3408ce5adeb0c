"""From what a user names to the data set it stands for."""

from __future__ import annotations

import stat
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.format import AllowOutside, ReadOptions
from asrlab.evaluation.datasets.formats import choose_format, named_format
from asrlab.evaluation.datasets.hugging_face import is_hugging_face, read_hugging_face
from asrlab.evaluation.datasets.spec import DatasetSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asrlab.evaluation.datasets.dataset import Dataset
    from asrlab.evaluation.datasets.format import Format

__all__ = ["SMOKE", "load_dataset"]

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
    allow_outside: AllowOutside = False,
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
        allow_outside: Of a file or folder: accept files outside its folder, named in it or linked. ``audio`` accepts
            audio only: what does not open it needs no more.

    Raises:
        DatasetError: It stands for nothing, for two things, or for something that cannot be read.
        OptionError: There is no such *format*, or it is given for a data set that is asked for by name.
    """
    if is_hugging_face(name_or_path):
        if format is not None:
            raise OptionError("a format is for files and folders, and this is an object; leave it out", option="format")
        return read_hugging_face(name_or_path, ReadOptions(require_text=require_text, allow_outside=allow_outside))
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
    options = ReadOptions(require_text=require_text, allow_outside=allow_outside)
    return _from_path(Path(name_or_path), known, chosen, options)


def _from_path(path: Path, known: tuple[DatasetSpec, ...], chosen: Format | None, options: ReadOptions) -> Dataset:
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
