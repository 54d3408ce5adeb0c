"""Tables with named columns, row by row: CSV and its relatives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.delimited import Quoting, read_rows, split_header
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.record_reader import RecordReader
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.format import ReadOptions
    from asrlab.evaluation.datasets.record_reader import RecordReader
    from asrlab.evaluation.datasets.text_file import TextFile

DELIMITERS = ("\t", ",", ";")


@attrs.frozen(kw_only=True)
class Table:
    """A file whose first line that is not blank names the columns.

    Attributes:
        lines: The file.
        delimiter: What stands between cells.
        quoted: Whether a cell may be in double quotes, and then hold delimiters, line ends, and quotes written twice;
            with tabs only where that fits the header, since many programs write tabs without quotes (see `Quoting`).
            False takes a quote for a character like any other.
    """

    lines: TextFile
    delimiter: str
    quoted: bool = True

    def rows(self) -> Iterator[tuple[int, RecordReader]]:
        """The rows by column, with the number of the line each begins on; an empty cell is as good as absent.

        Raises:
            DatasetError: The file cannot be read, it is no table, or a row has more or fewer cells than the header.
        """
        header: list[str] = []
        for number, cells in self._cells():
            if not header:
                header = header_names(cells)
            elif len(cells) != len(header):
                raise self.lines.error(number, self._uneven(len(cells), len(header)))
            else:
                values: Mapping[str, str] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
                yield number, RecordReader(values=values, error=partial(self.lines.error, number), written=True)

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        text = ((number, self.lines.decoded(number, raw)) for number, raw in self.lines.raw())
        quoting: Quoting = "lenient" if self.delimiter == "\t" else "strict"
        return read_rows(text, self.delimiter, quoting if self.quoted else "none", self.lines.error)

    def _uneven(self, found: int, wanted: int) -> str:
        hint = f"; put cells that hold {self.delimiter!r} in quotes" if self.quoted and found > wanted else ""
        return f"has {found} cells where the header has {wanted} columns{hint}"


def header_of(line: str, delimiter: str) -> list[str]:
    """The names of the columns in a header."""
    return header_names(split_header(line, delimiter))


def header_names(cells: list[str]) -> list[str]:
    """The names as they are compared: in lower case, with ``_`` for a space."""
    return [cell.strip().lower().replace(" ", "_") for cell in cells]


AUDIO_COLUMNS = (
    "audio", "audio_file", "audio_filepath", "audio_path", "file", "file_name", "file_path", "filename", "filepath",
    "path", "wav", "wav_filename", "wav_path",
)  # fmt: skip
"""Names of the column that holds the audio's path."""
_TEXT = ("reference", "sentence", "text", "transcript", "transcription")
_USUAL = {
    "audio": AUDIO_COLUMNS,
    "text": _TEXT,
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
    """Which column is which; None where there is none.

    Attributes:
        audio: The audio's path.
        text: The reference.
        id: The utterance's name.
        start: Seconds into the file at which it starts.
        end: Seconds into the file at which it ends.
        duration: Seconds that it lasts; counts only where it has a start, since elsewhere it is that of the file.
        speaker: Who speaks.
        recording: What it was cut from.
        language: The language's tag.
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
        """The columns among *names*.

        Raises:
            DatasetError: There is none for the audio, or none for the text where one is required; or two for the same.
        """
        there = list(names)
        found = {what: _one(what, [name for name in there if name in usual], error) for what, usual in _USUAL.items()}
        audio = found.pop("audio")
        if audio is None:
            raise error(f"no column names the audio; call it {' or '.join(AUDIO_COLUMNS)}")
        if found["text"] is None and options.require_text:
            raise error(
                f"no column holds the references; call it {' or '.join(_TEXT)}, or do without (require_text=False)"
            )
        return cls(audio=audio, **found)

    def utterance(self, fields: RecordReader, *, root: AudioRoot, options: ReadOptions) -> Utterance:
        """The utterance in a row.

        Raises:
            DatasetError: A value is missing or cannot be.
        """
        named = fields.string(self.audio)
        if not named:
            raise fields.error(f"there is no '{self.audio}'; every row needs one")
        start = fields.seconds(self.start) if self.start else None
        return Utterance(
            id=self._label(fields, self.id) or default_id(named, start),
            audio=self._audio(fields, root.audio(named, field=self.audio, error=fields.error), start),
            text=self._text(fields, options),
            language=self._label(fields, self.language),
            speaker=self._label(fields, self.speaker),
            recording=self._label(fields, self.recording),
        )

    @staticmethod
    def _label(fields: RecordReader, column: str | None) -> str | None:
        return fields.label(column) if column else None

    def _audio(self, fields: RecordReader, path: Path, start: float | None) -> Path | AudioFile:
        end = fields.seconds(self.end) if self.end else None
        duration = fields.seconds(self.duration) if self.duration and start is not None else None
        if duration is None and end is not None:
            duration = end - (start or 0.0)
        return audio_slice(path, offset=start, duration=duration, error=fields.error)

    def _text(self, fields: RecordReader, options: ReadOptions) -> str | None:
        text = fields.string(self.text) if self.text else None
        if text is None and self.text and fields.written:
            return ""  # an empty cell, which says as much as an empty .txt: that nothing is said
        if text is None and options.require_text:
            raise fields.error(f"there is no '{self.text}'; add the reference, or do without (require_text=False)")
        return text


def _one(what: str, found: list[str], error: Callable[[str], DatasetError]) -> str | None:
    if len(found) > 1:
        both = " and ".join(f"'{name}'" for name in found)
        raise error(f"the columns {both} could each be the {what}; keep one, and rename or remove the other")
    return found[0] if found else None


_JSON = (".json", ".jsonl")


def sniff_table(path: Path) -> bool:
    """Whether the first line of *path* names columns, with one for the audio, and it is not called a JSON file."""
    return path.suffix.lower() not in _JSON and delimiter_of(path) is not None


def delimiter_of(path: Path) -> str | None:
    """What stands between the names of the columns, told by one of them being a usual name for the audio."""
    line = first_line(path)
    fitting = (one for one in DELIMITERS if one in line and set(AUDIO_COLUMNS) & set(header_of(line, one)))
    return next(fitting, None)


def read_table(path: Path, options: ReadOptions) -> Dataset:
    """A table with a header: tabs, commas or semicolons between the cells, double quotes around those that need them.

    Columns are told by their names, in any case: see `UtteranceColumns`. Others are left out. An empty cell is as good as
    absent, but for the reference, where it says that nothing is said. Relative paths begin in the table's folder.

    Raises:
        DatasetError: It is no such table; while iterating: a row cannot be read, with its line.
    """
    delimiter = delimiter_of(path)
    if delimiter is None:
        raise _no_table(path)
    UtteranceColumns.find(header_of(first_line(path), delimiter), error=partial(_at_header, path), options=options)
    read = partial(table_utterances, path.absolute(), options, delimiter)
    return Dataset(name=path.name, source=f"{'TSV' if delimiter == '\t' else 'CSV'} file {path}", read=read)


def table_utterances(place: Path, options: ReadOptions, delimiter: str) -> Iterator[Utterance]:
    """The utterances of a table, row by row."""
    table = Table(lines=TextFile(path=place), delimiter=delimiter)
    root = AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio)
    columns = UtteranceColumns.find(
        header_of(first_line(place), delimiter), error=partial(_at_header, place), options=options
    )
    seen = UniqueIds(lines=table.lines, hint="give each row its own in a column 'id'")
    for number, fields in table.rows():
        utterance = columns.utterance(fields, root=root, options=options)
        seen.check(utterance.id, number)
        yield utterance


def _at_header(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"the header of {path}: {problem}", path=path)


def _no_table(path: Path) -> DatasetError:
    line = TextFile(path=path).head() and first_line(path)
    saw = f"its first line is {line[:60]!r}" if line else "it is empty"
    return DatasetError(
        f"{path} is no table with a header that names the audio's column: {saw}; begin it with names such as "
        "'path' and 'text', with tabs, commas or semicolons between them, in UTF-8",
        path=path,
    )
