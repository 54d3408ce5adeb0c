"""Mozilla Common Voice: a table of clips beside the folder ``clips``."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_beside, default_id
from asrlab.evaluation.datasets.tabular import Table, header_of
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.format import ReadOptions
    from asrlab.evaluation.datasets.record_reader import RecordReader

_NEEDED = {"client_id", "path", "sentence"}
_CLIPS = "clips"


def sniff_common_voice(path: Path) -> bool:
    """Whether *path* is a table with Common Voice's columns, or a folder of such tables and ``clips``."""
    return bool(_tables(path))


def read_common_voice(path: Path, options: ReadOptions) -> Dataset:
    """One of the tables of a release, such as ``test.tsv``; or its folder, if there is only one table in it.

    The audio is ``path`` in the folder ``clips`` beside the table, the reference ``sentence``, the speaker
    ``client_id``, the language ``locale``.

    Raises:
        DatasetError: It is no such table, or the folder has several; while iterating: a row cannot be read, with its
            line.

    Source: the tables are written without quoting, by common-voice/CorporaCreator, ``corpus.py``.
    """
    tables = _tables(path)
    if not tables:
        raise DatasetError(
            f"{path} is no table of Common Voice: its first line lacks {', '.join(sorted(_NEEDED))}, with tabs between",
            path=path,
        )
    if len(tables) > 1:
        raise DatasetError(f"{path} holds several tables; give one: {', '.join(map(str, tables))}", path=path)
    table = tables[0]
    if path.is_dir():
        AudioRoot.of(path.absolute(), allow_external_audio=options.allow_external_audio).check(table.absolute())
    source = f"Common Voice table {table}"
    return Dataset(name=table.name, source=source, read=partial(_common_voice_utterances, table.absolute(), options))


def _tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if set(header_of(first_line(path), "\t")) >= _NEEDED else []
    if not (path / _CLIPS).is_dir():
        return []
    return [table for table in sorted(path.glob("*.tsv")) if _tables(table)]


def _common_voice_utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = TextFile(path=place)
    root = AudioRoot.of(place.parent / _CLIPS, allow_external_audio=options.allow_external_audio, top=place.parent)
    seen = UniqueIds(lines=lines, hint="remove one of the two")
    for number, fields in Table(lines=lines, delimiter="\t", quoted=False).rows():
        utterance = _utterance(fields, root)
        seen.check(utterance.id, number)
        yield utterance


def _utterance(fields: RecordReader, root: AudioRoot) -> Utterance:
    named = fields.string("path")
    if not named:
        raise fields.error("there is no 'path'; every row needs one")
    return Utterance(
        id=default_id(named, None),
        audio=root.audio(named, field="path", error=fields.error),
        text=fields.string("sentence") or "",
        language=fields.label("locale"),
        speaker=fields.label("client_id"),
    )


_SUFFIX = ".trans.txt"
_DEPTHS = ("", "*/", "*/*/", "*/*/*/", "*/*/*/*/")  # from a chapter's folder to the folder of all parts
_SPACE = re.compile(r"[ \t]+")


def sniff_librispeech(path: Path) -> bool:
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
    if not sniff_librispeech(path):
        raise DatasetError(f"{path} is no LibriSpeech tree: no folder in it has a file *{_SUFFIX}", path=path)
    return Dataset(
        name=path.resolve().name,
        source=f"LibriSpeech tree {path}",
        read=partial(_librispeech_utterances, path.absolute(), options),
    )


def _librispeech_utterances(top: Path, options: ReadOptions) -> Iterator[Utterance]:
    root = AudioRoot.of(top, allow_external_audio=options.allow_external_audio)
    for folder, names in root.walk():
        for name in names:
            if name.endswith(_SUFFIX):
                yield from _chapter(root.check(folder / name), top, options)


def _chapter(place: Path, top: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines, there = TextFile(path=place), audio_beside(place.parent)
    root = AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio, top=top)
    recording = place.name.removesuffix(_SUFFIX)
    speaker, _, chapter = recording.partition("-")
    seen = UniqueIds(lines=lines, hint="remove one of the two")
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
