"""LibriSpeech's tree: ``SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`` beside the audio."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.lines import Lines, Seen
from asrlab.evaluation.datasets.places import Root, audio_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["is_librispeech", "read_librispeech"]

_SUFFIX = ".trans.txt"
_DEPTHS = ("", "*/", "*/*/", "*/*/*/", "*/*/*/*/")  # from a chapter's folder to the folder of all parts
_SPACE = re.compile(r"[ \t]+")


def is_librispeech(path: Path) -> bool:
    """Whether *path* is a folder with ``*.trans.txt`` in it, or up to four folders below."""
    return path.is_dir() and any(True for depth in _DEPTHS for _ in path.glob(f"{depth}*{_SUFFIX}"))


def read_librispeech(path: Path, options: ReadOptions) -> Dataset:
    """All chapters below a folder, in the order of their names, each read when its turn comes.

    A line of ``*.trans.txt`` is an id and the text; the audio has the id for its name, in the same folder, with any
    ending that audio has. Speaker and recording come from the path: of ``84/121123/84-121123.trans.txt``, ``84`` and
    ``84-121123``.

    Raises:
        DatasetError: There is no ``*.trans.txt``; while iterating: a folder or line cannot be read, with its number.

    Source: LibriSpeech, ``README.TXT``, section 5.
    """
    if not is_librispeech(path):
        raise DatasetError(f"{path} is no LibriSpeech tree: no folder in it has a file *{_SUFFIX}", path=path)
    return Dataset(
        name=path.resolve().name,
        source=f"LibriSpeech tree {path}",
        read=partial(_utterances, path.absolute(), options),
    )


def _utterances(top: Path, options: ReadOptions) -> Iterator[Utterance]:
    root = Root.of(top, allow_outside=options.allow_outside)
    for folder, names in root.walk():
        for name in names:
            if name.endswith(_SUFFIX):
                yield from _chapter(root.check(folder / name), top, options)


def _chapter(place: Path, top: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines, there = Lines(path=place), audio_beside(place.parent)
    root = Root.of(place.parent, allow_outside=options.allow_outside, top=top)
    recording = place.name.removesuffix(_SUFFIX)
    speaker, _, chapter = recording.partition("-")
    seen = Seen(lines=lines, hint="remove one of the two")
    for number, line in lines.text():
        name, *text = _SPACE.split(line, maxsplit=1)
        seen.check(name, number)
        # what is not there is named as LibriSpeech names it, and found missing when it is transcribed
        named = there[name].name if name in there else f"{name}.flac"
        yield Utterance(
            id=name,
            audio=root.audio(named, field="id", error=partial(lines.error, number)),
            text=text[0] if text else "",
            speaker=speaker if chapter else place.parent.parent.name,
            recording=recording,
        )
