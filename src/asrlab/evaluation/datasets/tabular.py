"""Tables with named columns, row by row: CSV, TSV and Mozilla Common Voice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.delimited import Quoting, read_rows, split_header
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.dataset import ReadOptions

DELIMITERS = ("\t", ",", ";")


@attrs.frozen(kw_only=True)
class DelimitedTable:
    """A file whose first line that is not blank names the columns.

    Attributes:
        file: The file.
        delimiter: Character between cells.
        is_quoted: True if a cell may be in double quotes, and then hold delimiters, line ends, and quotes written
            twice. With tabs a cell is read as quoted only where that fits the header, since many programs write tabs
            without quotes (see `Quoting`). False reads a quote like any other character.
    """

    file: TextFile
    delimiter: str
    is_quoted: bool = True

    def rows(self) -> Iterator[tuple[int, RecordReader]]:
        """Yield the rows by column, with the number of the line each begins on; an empty cell counts as absent.

        Raises:
            DatasetError: If the file cannot be read, or a row has more or fewer cells than the header.
        """
        header: list[str] = []
        for number, cells in self._cells():
            if not header:
                header = column_names(cells)
            elif len(cells) != len(header):
                is_split = self.is_quoted and len(cells) > len(header)
                hint = f"; put cells that hold {self.delimiter!r} in quotes" if is_split else ""
                raise self.file.error(
                    number, f"has {len(cells)} cells where the header has {len(header)} columns{hint}"
                )
            else:
                values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
                yield number, RecordReader(values=values, error=partial(self.file.error, number), is_row=True)

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        lines = ((number, self.file.decode(number, raw)) for number, raw in self.file.raw_lines())
        quoting: Quoting = "lenient" if self.delimiter == "\t" else "strict"
        return read_rows(lines, self.delimiter, quoting if self.is_quoted else "none", self.file.error)


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
    "duration": ("duration",),
    "speaker": ("client_id", "speaker", "speaker_id"),
    "recording": ("recording", "recording_id"),
    "language": ("lang", "language", "locale"),
}


@attrs.frozen(kw_only=True)
class UtteranceColumns:
    """The names of a table's columns by meaning; None for those that the table lacks.

    Attributes:
        audio: Column of the audio's path.
        text: Column of the reference.
        id: Column of the utterance's id.
        start: Column of the start in seconds from the start of the file.
        end: Column of the end in seconds from the start of the file.
        duration: Column of the duration in seconds. It is ignored without a start, since it is then the file's.
        speaker: Column of the speaker.
        recording: Column of the recording that the utterance is a part of.
        language: Column of the language's tag.
    """

    audio: str
    text: str | None
    id: str | None
    start: str | None
    end: str | None
    duration: str | None
    speaker: str | None
    recording: str | None
    language: str | None

    @classmethod
    def find(
        cls, names: Iterable[str], *, error: Callable[[str], DatasetError], options: ReadOptions
    ) -> UtteranceColumns:
        """Find the columns among *names*.

        Raises:
            DatasetError: If there is no column for the audio, or none for a required reference, or two for the same.
        """
        present = list(names)
        columns = {
            kind: _only([name for name in present if name in usual], kind, error)
            for kind, usual in _COLUMN_NAMES.items()
        }
        audio = columns.pop("audio")
        if audio is None:
            raise error(f"no column names the audio; call it {' or '.join(AUDIO_COLUMNS)}")
        if columns["text"] is None and options.require_text:
            raise error(
                f"no column holds the references; call it {' or '.join(_TEXT_COLUMNS)}, or do without "
                "(require_text=False)"
            )
        return cls(audio=audio, **columns)

    def utterance(self, record: RecordReader, *, root: AudioRoot, options: ReadOptions) -> Utterance:
        """Return the utterance of a row.

        Raises:
            DatasetError: If a value is missing or invalid.
        """
        named = record.path(self.audio)
        return Utterance(
            id=self.label(record, "id") or default_id(named, self.start_seconds(record)),
            audio=self.slice(record, root.audio(named, field=self.audio, error=record.error)),
            text=self.reference(record, options),
            language=self.label(record, "language"),
            speaker=self.label(record, "speaker"),
            recording=self.label(record, "recording"),
        )

    def label(self, record: RecordReader, kind: str) -> str | None:
        """Return the name in the column *kind*; None if absent."""
        column = getattr(self, kind)
        return record.label(column) if column else None

    def start_seconds(self, record: RecordReader) -> float | None:
        """Return the start in seconds; None if absent."""
        return record.seconds(self.start) if self.start else None

    def slice(self, record: RecordReader, path: Path) -> Path | AudioFile:
        """Return the part of the file at *path* that the row names."""
        start = self.start_seconds(record)
        end = record.seconds(self.end) if self.end else None
        duration = record.seconds(self.duration) if self.duration and start is not None else None
        if duration is None and end is not None:
            duration = end - (start or 0.0)
        return audio_slice(path, offset=start, duration=duration, error=record.error)

    def reference(self, record: RecordReader, options: ReadOptions) -> str | None:
        """Return the reference; None if the table has none."""
        if not self.text:
            return None
        if record.is_row and record.string(self.text) is None:
            return ""  # an empty cell, like an empty .txt, says that nothing is spoken
        return record.reference(self.text, is_required=options.require_text)


def _only(names: list[str], kind: str, error: Callable[[str], DatasetError]) -> str | None:
    if len(names) > 1:
        both = " and ".join(f"'{name}'" for name in names)
        raise error(f"the columns {both} could each be the {kind}; keep one, and rename or remove the other")
    return names[0] if names else None


def sniff_table(path: Path) -> bool:
    """Return True if the first line of *path* names a column for the audio, and *path* has no suffix of JSON."""
    return path.suffix.lower() not in (".json", ".jsonl") and find_delimiter(path) is not None


def sniff_other_table(path: Path) -> bool:
    """Return True for a table that is not Common Voice's, which has no quotes and keeps its audio in ``clips``."""
    return sniff_table(path) and not sniff_common_voice(path)


def find_delimiter(path: Path) -> str | None:
    """Return the delimiter with which the header has a usual name for the audio's column; None if there is none."""
    line = first_line(path)
    present = (delimiter for delimiter in DELIMITERS if delimiter in line)
    return next((each for each in present if set(AUDIO_COLUMNS) & set(read_header(path, each))), None)


def read_table(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of a table with a header and with tabs, commas or semicolons between cells.

    Cells may be in double quotes. Columns are found by their names in any case, see `UtteranceColumns`, and others are
    ignored. An empty cell counts as absent, but an empty reference says that nothing is spoken. Relative paths begin in
    the table's folder.
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
    file = TextFile(path=path)
    root = AudioRoot.at(path.parent, options)
    columns = _find_columns(path, delimiter, options)
    ids = UniqueIds(file=file, hint="give each row its own in a column 'id'")
    for number, record in DelimitedTable(file=file, delimiter=delimiter).rows():
        utterance = columns.utterance(record, root=root, options=options)
        ids.add(utterance.id, number)
        yield utterance


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

    The audio is ``path`` in the folder ``clips`` beside the table, the reference ``sentence``, the speaker
    ``client_id``, the language ``locale``.

    Source: the tables are written without quoting, by common-voice/CorporaCreator, ``corpus.py``.
    """
    tables = _common_voice_tables(path)
    if not tables:
        needed = ", ".join(sorted(_COMMON_VOICE_COLUMNS))
        raise DatasetError(
            f"{path} is not a table of Common Voice: its first line lacks {needed}, with tabs between", path=path
        )
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
    file = TextFile(path=path)
    root = AudioRoot.at(path.parent / _CLIPS, options, top=path.parent)
    ids = UniqueIds(file=file)
    for number, record in DelimitedTable(file=file, delimiter="\t", is_quoted=False).rows():
        named = record.path("path")
        ids.add(default_id(named, None), number)
        yield Utterance(
            id=default_id(named, None),
            audio=root.audio(named, field="path", error=record.error),
            text=record.string("sentence") or "",
            language=record.label("locale"),
            speaker=record.label("client_id"),
        )
