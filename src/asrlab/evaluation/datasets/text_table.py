"""TODO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.tabular import DELIMITERS, Table, header_of
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line
from asrlab.transcript.document import unescape_formula

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.record_reader import RecordReader

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


def sniff_text_table(path: Path) -> bool:
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
    lines = TextFile(path=path)
    seen = UniqueIds(lines=lines, hint="remove one of the two")
    for number, fields in Table(lines=lines, delimiter=columns.delimiter).rows():
        row = _row(fields, columns)
        seen.check(row.id, number)
        yield row


def _row(fields: RecordReader, columns: _Columns) -> TextRow:
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


def _label(fields: RecordReader, *names: str) -> str | None:
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
