"""What was said, for scoring: from a data set, or from a file of texts without audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import AudioFile
from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.hypotheses import is_trn, trn_lines
from asrlab.evaluation.datasets.load import FORMATS
from asrlab.evaluation.datasets.paths import AudioRoot
from asrlab.evaluation.datasets.stm import stm_files, stm_segments
from asrlab.evaluation.datasets.tabular import DELIMITERS, Table, header_of, is_table
from asrlab.evaluation.datasets.text_file import Lines, Seen, first_line
from asrlab.languages import language_tag
from asrlab.transcript.alternatives import Alternatives, parse_alternatives
from asrlab.transcript.document import unescape_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import Dataset, Utterance
    from asrlab.evaluation.datasets.format import AllowOutside
    from asrlab.evaluation.datasets.record_reader import Fields


@attrs.frozen(kw_only=True)
class Reference:
    """What was said in one utterance.

    Attributes:
        id: The utterance's id.
        text: What was said; empty says that nothing was.
        language: BCP 47 tag; None if not known.
        speaker: Who speaks; None if not known.
        recording: What it was cut from; None if not known.
        start: Seconds into the recording; None where the times are not known.
        end: Seconds into the recording; None if it goes to the end, or is not known.
        track: The channel of the recording that *start* and *end* are of; None where the times are not known.
        alternatives: The readings of *text*, where it is in sclite's notation and has several; else None.
        is_ignored: Nothing that is written of this stretch is scored, and it is no utterance.
    """

    id: str
    text: str
    language: str | None = attrs.field(default=None, converter=language_tag)
    speaker: str | None = None
    recording: str | None = None
    start: float | None = None
    end: float | None = None
    track: str | None = None
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)
    is_ignored: bool = False


def of_file(path: Path, *, allow_outside: AllowOutside = False) -> Iterator[Reference] | None:
    """The references in a trn file, an STM file or folder, or a table without audio; None if *path* is none of them.

    Args:
        path: The file or folder.
        allow_outside: Accept STM files in the folder that are links to elsewhere.

    Raises:
        DatasetError: A file of the folder leads out of it; while iterating: a line cannot be read.
    """
    is_file = path.is_file()
    is_named_stm = is_file and path.suffix.lower() == ".stm"
    if is_named_stm or [each.name for each in FORMATS if each.recognizes(path)] == ["stm"]:
        files = [file.absolute() for file in stm_files(path)]
        root = AudioRoot.of(path.absolute(), allow_outside=allow_outside)
        return _of_stm(files if is_file else root.check_all(files))
    if not is_file:
        return None
    if is_text_table(path) and not is_table(path):
        return _of_table(path)
    return _of_trn(path) if is_trn(path) else None


def of_dataset(dataset: Dataset) -> Iterator[Reference]:
    """The references of a data set, and what is not to be scored; an utterance without a reference is left out."""
    for each in dataset:
        if each.text is not None:
            yield _of_utterance(each, each.text)
    for each in dataset.unscored() if dataset.unscored else ():
        yield _of_utterance(each, "", is_ignored=True)


def _of_utterance(utterance: Utterance, text: str, *, is_ignored: bool = False) -> Reference:
    part = utterance.audio if isinstance(utterance.audio, AudioFile) else None
    return Reference(
        id=utterance.id,
        text=text,
        language=utterance.language,
        speaker=utterance.speaker,
        recording=utterance.recording,
        start=part.offset if part else None,
        end=None if part is None or part.duration is None else part.offset + part.duration,
        track=utterance.recording if part else None,
        is_ignored=is_ignored,
    )


def _of_trn(path: Path) -> Iterator[Reference]:
    lines = Lines(path=path)
    for number, name, text in trn_lines(path):
        try:
            alternatives = parse_alternatives(text)
        except ValueError as problem:
            raise lines.error(number, f"{problem}; close it with '}}', or remove it") from problem
        yield Reference(id=name, text=text, alternatives=alternatives)


def _of_table(path: Path) -> Iterator[Reference]:
    for row in text_rows(path):
        text = row.text if row.reference is None else row.reference
        yield Reference(id=row.id, text=text, language=row.language, speaker=row.speaker, recording=row.recording)


def _of_stm(files: Iterable[Path]) -> Iterator[Reference]:
    for each in (segment for file in files for segment in stm_segments(file)):
        yield Reference(
            id=each.id,
            text=each.text,
            speaker=each.speaker,
            recording=each.file,
            start=each.start,
            end=each.end,
            track=each.track,
            alternatives=each.alternatives,
            is_ignored=each.is_ignored,
        )


_IDS = ("utt_id", "utterance_id", "id")
_HYPOTHESES = ("hypothesis", "pred_text", "prediction")
_TEXTS = ("text", "transcript", "transcription", "sentence")
_REFERENCE = "reference"


@attrs.frozen(kw_only=True)
class TextRow:
    """A row.

    Attributes:
        id: The utterance's id.
        text: What a program wrote, or what was said; empty where the cell is.
        reference: What was said, where the table has both; else None.
        language: The language as the table names it; None if it does not.
        speaker: Who speaks; None if not known.
        recording: What it was cut from; None if not known.
    """

    id: str
    text: str
    reference: str | None = None
    language: str | None = None
    speaker: str | None = None
    recording: str | None = None


@attrs.frozen(kw_only=True)
class _Columns:
    delimiter: str
    id: str
    text: str
    reference: str | None


def is_text_table(path: Path) -> bool:
    """Whether the first line of *path* names a column for ids and one for texts."""
    return _columns(path) is not None


def text_rows(path: Path) -> Iterator[TextRow]:
    """The rows of a table; what `asrlab.transcript.document.escape_formula` did to a cell is undone.

    Raises:
        DatasetError: There is no column for ids or none for texts; a row cannot be read, has no id, or one that is
            there already.
    """
    columns = _columns(path)
    if columns is None:
        raise DatasetError(
            f"the header of {path} does not name ids and texts ({first_line(path)[:60]!r}); begin it with utt_id and "
            "text, with tabs, commas or semicolons between them",
            path=path,
        )
    lines = Lines(path=path)
    seen = Seen(lines=lines, hint="remove one of the two")
    for number, fields in Table(lines=lines, delimiter=columns.delimiter).rows():
        row = _row(fields, columns)
        seen.check(row.id, number)
        yield row


def _row(fields: Fields, columns: _Columns) -> TextRow:
    name = fields.label(columns.id)
    if name is None:
        raise fields.error(f"there is no '{columns.id}'; every row needs one")
    reference = None if columns.reference is None else _plain(fields.string(columns.reference) or "")
    return TextRow(
        id=_plain(name),
        text=_plain(fields.string(columns.text) or ""),
        reference=reference,
        language=_label(fields, "lang", "language", "locale"),
        speaker=_label(fields, "speaker", "speaker_id"),
        recording=_label(fields, "recording", "recording_id"),
    )


def _label(fields: Fields, *names: str) -> str | None:
    found = fields.label(*names)
    return None if found is None else _plain(found)


def _plain(cell: str) -> str:
    """What the cell was before asrlab wrote it."""
    return unescape_controls(unescape_formula(cell))


def _columns(path: Path) -> _Columns | None:
    line = first_line(path)
    for delimiter in DELIMITERS:
        names = header_of(line, delimiter) if delimiter in line else []
        name = next((each for each in _IDS if each in names), None)
        texts = [each for each in (*_HYPOTHESES, *_TEXTS, _REFERENCE) if each in names]
        if name and texts:
            return _Columns(delimiter=delimiter, id=name, text=texts[0], reference=_reference(texts))
    return None


def _reference(texts: list[str]) -> str | None:
    """The column of what was said, where another one holds what was written."""
    if _REFERENCE in texts[1:]:
        return _REFERENCE
    return next((each for each in texts[1:] if each in _TEXTS), None) if texts[0] in _HYPOTHESES else None
