"""Tables with named columns, row by row: CSV, TSV and Mozilla Common Voice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import attrs

from asrlab.audio import AudioFile, AudioSource
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.delimited import Quoting, read_rows, split_header
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds, first_line

DELIMITERS = ("\t", ",", ";")


def read_records(file: TextFile, delimiter: str, *, is_quoted: bool = True) -> Iterator[tuple[int, RecordReader]]:
    """Yield the rows of a table by column, with the number of the line each begins on.

    The first line that is not blank names the columns. An empty cell counts as absent.

    Cells may be in double quotes if *is_quoted*. With tabs a cell is then read as quoted only where that fits the
    header, since many programs write tabs without quotes (see `Quoting`).
    """
    lines = ((number, file.decode(number, raw)) for number, raw in file.raw_lines())
    quoting: Quoting = "none" if not is_quoted else "lenient" if delimiter == "\t" else "strict"
    header: list[str] = []
    for number, cells in read_rows(lines, delimiter, quoting, file.error):
        if not header:
            header = column_names(cells)
        elif len(cells) != len(header):
            is_split = is_quoted and len(cells) > len(header)
            hint = f"; put cells that hold {delimiter!r} in quotes" if is_split else ""
            raise file.error(number, f"has {len(cells)} cells where the header has {len(header)} columns{hint}")
        else:
            values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
            yield number, RecordReader(values=values, error=partial(file.error, number), is_row=True)


def read_header(path: Path, delimiter: str) -> list[str]:
    """Return the column names in the first line of *path*."""
    return column_names(split_header(first_line(path), delimiter))


def column_names(cells: list[str]) -> list[str]:
    """Return the cells of a header in lower case, with ``_`` for spaces."""
    return [cell.strip().lower().replace(" ", "_") for cell in cells]


AUDIO_COLUMNS = (
    "audio", "audio_file", "audio_filepath", "audio_path", "file", "file_name", "file_path", "filename", "filepath",
    "path", "wav", "wav_filename", "wav_path",
)  # fmt: skip
"""Names of the column that holds the audio's path."""
_TEXT_COLUMNS = ("reference", "sentence", "text", "transcript", "transcription")
_COLUMN_NAMES = {
    "audio": AUDIO_COLUMNS,
    "text": _TEXT_COLUMNS,
    "id": ("id", "utt_id", "utterance_id"),
    "start": ("offset", "start"),
    "end": ("end",),
    "duration": ("duration",),  # ignored without a start, since the duration is then that of the whole file
    "speaker": ("client_id", "speaker", "speaker_id"),
    "recording": ("recording", "recording_id"),
    "language": ("lang", "language", "locale"),
}


@attrs.frozen
class UtteranceColumns:
    """The column of a table for each kind in `_COLUMN_NAMES`, as a tuple that is empty if the table has none."""

    names: dict[str, tuple[str, ...]]

    @classmethod
    def find(
        cls, names: Iterable[str], *, error: Callable[[str], DatasetError], options: ReadOptions
    ) -> UtteranceColumns:
        """Find the columns among *names*."""
        present = list(names)
        columns = {kind: tuple(name for name in present if name in usual) for kind, usual in _COLUMN_NAMES.items()}
        for kind, found in columns.items():
            if len(found) > 1:
                both = " and ".join(f"'{name}'" for name in found)
                raise error(f"the columns {both} could each be the {kind}; keep one, and rename or remove the other")
        if not columns["audio"]:
            raise error(f"no column names the audio; call it {' or '.join(AUDIO_COLUMNS)}")
        if not columns["text"] and options.require_text:
            raise error(
                f"no column holds the references; call it {' or '.join(_TEXT_COLUMNS)}, or do without "
                "(require_text=False)"
            )
        return cls(columns)

    def read(self, record: RecordReader, root: AudioRoot, options: ReadOptions) -> Utterance:
        """Return the utterance of a row that names a file."""
        [column] = self.names["audio"]
        named = record.path(column)
        audio = self.slice(record, root.audio(named, field=column, error=record.error))
        return self.utterance(record, audio, default_id(named, self.seconds(record, "start")), options)

    def utterance(self, record: RecordReader, audio: AudioSource, default: str, options: ReadOptions) -> Utterance:
        """Return the utterance of a row with its audio, and its id unless the row has one."""
        text = None
        if self.names["text"]:
            [column] = self.names["text"]
            # an empty cell, like an empty .txt, says that nothing is spoken
            if record.is_row:
                text = record.string(column) or ""
            else:
                text = record.reference(column, is_required=options.require_text)
        return Utterance(
            id=record.label(*self.names["id"]) or default,
            audio=audio,
            text=text,
            language=record.label(*self.names["language"]),
            speaker=record.label(*self.names["speaker"]),
            recording=record.label(*self.names["recording"]),
        )

    def seconds(self, record: RecordReader, kind: str) -> float | None:
        """Return the number in the column of a kind; None if absent."""
        return record.seconds(*self.names[kind])

    def slice(self, record: RecordReader, path: Path) -> Path | AudioFile:
        """Return the part of the file at *path* that the row names."""
        start, end = self.seconds(record, "start"), self.seconds(record, "end")
        duration = None if start is None else self.seconds(record, "duration")
        if duration is None and end is not None:
            duration = end - (start or 0.0)
        return audio_slice(path, offset=start, duration=duration, error=record.error)


def sniff_table(path: Path) -> bool:
    """Return True if the first line of *path* names a column for the audio, and *path* has no suffix of JSON."""
    return path.suffix.lower() not in (".json", ".jsonl") and find_delimiter(path) is not None


def sniff_other_table(path: Path) -> bool:
    """Return True for a table that is not Common Voice's, which has no quotes and keeps its audio in ``clips``."""
    return sniff_table(path) and not sniff_common_voice(path)


def find_delimiter(path: Path) -> str | None:
    """Return the delimiter with which the header has a usual name for the audio's column; None if there is none."""
    present = (delimiter for delimiter in DELIMITERS if delimiter in first_line(path))
    return next((each for each in present if not set(AUDIO_COLUMNS).isdisjoint(read_header(path, each))), None)


def read_table(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of a table with a header and with tabs, commas or semicolons between cells.

    Columns are found by their names in any case, and others are ignored. An empty cell counts as absent, but an empty
    reference says that nothing is spoken.
    """
    delimiter = find_delimiter(path)
    if delimiter is None:
        line = TextFile(path=path).head() and first_line(path)
        problem = f"its first line is {line[:60]!r}" if line else "it is empty"
        raise DatasetError(
            f"{path} is not a table with a header that names the audio's column: {problem}; begin it with names such "
            "as 'path' and 'text', with tabs, commas or semicolons between them, in UTF-8",
            path=path,
        )
    _find_columns(path, delimiter, options)
    read = partial(read_table_rows, path.absolute(), options, delimiter)
    return Dataset(name=path.name, source=f"{'TSV' if delimiter == '\t' else 'CSV'} file {path}", read=read)


def read_table_rows(path: Path, options: ReadOptions, delimiter: str) -> Iterator[Utterance]:
    """Yield the utterances of a table, row by row."""
    file, root = TextFile(path=path), AudioRoot.at(path.parent, options)
    columns = _find_columns(path, delimiter, options)
    ids = UniqueIds(file=file, hint="give each row its own in a column 'id'")
    return ids.check((number, columns.read(record, root, options)) for number, record in read_records(file, delimiter))


def _find_columns(path: Path, delimiter: str, options: ReadOptions) -> UtteranceColumns:
    return UtteranceColumns.find(
        read_header(path, delimiter),
        error=lambda problem: DatasetError(f"the header of {path}: {problem}", path=path),
        options=options,
    )


_COMMON_VOICE_COLUMNS = {"client_id", "path", "sentence"}
_CLIPS = "clips"


def sniff_common_voice(path: Path) -> bool:
    """Return True if *path* is a table with Common Voice's columns, or a folder of such tables and ``clips``."""
    return bool(_common_voice_tables(path))


def read_common_voice(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of a table of Common Voice, such as ``test.tsv``, or of a folder with one such table.

    Source: the tables are written without quoting, by common-voice/CorporaCreator, ``corpus.py``.
    """
    tables = _common_voice_tables(path)
    if not tables:
        needed = ", ".join(sorted(_COMMON_VOICE_COLUMNS))
        problem = f"its first line lacks {needed}, with tabs between"
        raise DatasetError(f"{path} is not a table of Common Voice: {problem}", path=path)
    if len(tables) > 1:
        raise DatasetError(f"{path} holds several tables; give one: {', '.join(map(str, tables))}", path=path)
    table = tables[0]
    if path.is_dir():
        AudioRoot.at(path.absolute(), options).check(table.absolute())
    read = partial(_read_common_voice_rows, table.absolute(), options)
    return Dataset(name=table.name, source=f"Common Voice table {table}", read=read)


def _common_voice_tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if set(read_header(path, "\t")) >= _COMMON_VOICE_COLUMNS else []
    if not (path / _CLIPS).is_dir():
        return []
    return [table for table in sorted(path.glob("*.tsv")) if _common_voice_tables(table)]


def _read_common_voice_rows(path: Path, options: ReadOptions) -> Iterator[Utterance]:
    file, root = TextFile(path=path), AudioRoot.at(path.parent / _CLIPS, options, top=path.parent)
    names = {"audio": ("path",), "text": ("sentence",), "language": ("locale",), "speaker": ("client_id",)}
    columns = UtteranceColumns({kind: names.get(kind, ()) for kind in _COLUMN_NAMES})
    rows = read_records(file, "\t", is_quoted=False)
    return UniqueIds(file=file).check((number, columns.read(record, root, options)) for number, record in rows)
