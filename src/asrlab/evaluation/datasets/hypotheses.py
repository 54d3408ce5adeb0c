"""Hypotheses that another program wrote: tables, trn, CTM and the Open ASR Leaderboard's JSONL, told by content."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.alternatives import parse_alternatives
from asrlab.evaluation.datasets.manifest import first_object, objects
from asrlab.evaluation.datasets.paths import default_id
from asrlab.evaluation.datasets.record_reader import RecordReader
from asrlab.evaluation.datasets.stm import track_of
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line
from asrlab.evaluation.datasets.text_table import sniff_text_table, text_rows
from asrlab.transcript.scoring_formats import unescape_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrlab.evaluation.alternatives import Alternatives


HYPOTHESIS_FORMATS = ("csv", "ctm", "leaderboard", "trn")
"""Names of the forms that are read; ``csv`` is also tabs or semicolons between cells."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_ID = re.compile(r"\(([^()\s]+)\)")
_COMMENT = ";;"
_NO_WORD = "@"
# The middle of a word and the end of a segment are compared as they are written, and not as their sums in binary are.
_TIME_DIGITS = 6


@attrs.frozen(kw_only=True)
class TimedWord:
    """A word of a CTM file.

    Attributes:
        text: The word.
        middle: Seconds, halfway between its start and end.
    """

    text: str
    middle: float


@attrs.frozen(kw_only=True)
class Hypothesis:
    """What a program wrote for one utterance.

    Attributes:
        id: The utterance's id; in CTM the recording's name, and its channel where that is not the first.
        text: What it wrote.
        reference: What was said, where the file has that, too; else None.
        language: The reference's language as the file names it; None if it does not.
        words: In CTM the words with their times, in order; else empty.
        alternatives: In trn the readings, where there are several; else None.
    """

    id: str
    text: str
    reference: str | None = None
    language: str | None = None
    words: tuple[TimedWord, ...] = attrs.field(default=(), repr=False)
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class HypothesisFile:
    """A file of hypotheses.

    Attributes:
        path: The file.
        format: One of `HYPOTHESIS_FORMATS`.
        hypotheses: In the order of the file, one for each id.
    """

    path: Path
    format: str
    hypotheses: tuple[Hypothesis, ...] = attrs.field(repr=False)


def read_hypotheses(path: Path, *, format: str | None = None) -> HypothesisFile:  # noqa: A002 - as in load_dataset
    """The hypotheses in a file, gzipped or not.

    Args:
        path: A table with a column for the id and one for the text; trn, ``text (id)``; CTM; or JSONL with
            ``pred_text``.
        format: Which of them, by name; None tells it by the ending and the first line.

    Raises:
        DatasetError: It is none of them, a line cannot be read, or an id is there twice.
        OptionError: There is no such format.
    """
    if format is not None and format not in _READERS:
        raise OptionError(
            f"there is no format {format!r} of hypotheses; choose one of {', '.join(HYPOTHESIS_FORMATS)}",
            option="format",
            supported=HYPOTHESIS_FORMATS,
        )
    name = format or _told(path)
    return HypothesisFile(path=path, format=name, hypotheses=tuple(_READERS[name](path)))


def sniff_trn(path: Path) -> bool:
    """Whether *path* is called ``.trn``, or its first line ends with an id in parentheses."""
    return path.suffix.lower() == ".trn" or _split_trn(first_line(path).strip()) is not None


def trn_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each utterance's line number, id and text; comments are left out.

    Raises:
        DatasetError: A line has no id at its end, or one that is there already.
    """
    lines = TextFile(path=path)
    seen = UniqueIds(lines=lines, hint="remove one of the two")
    for number, raw in lines.raw():
        line = lines.decoded(number, raw).rstrip()
        if not line.strip() or line.startswith(_COMMENT):
            continue
        found = _split_trn(line.strip())
        if found is None:
            raise lines.error(number, f"column {len(line)}: no id in parentheses at the end; a line is: text (id)")
        text, written = found
        name = unescape_id(written)
        seen.check(name, number)
        yield number, name, unescape_controls(text)


def _split_trn(line: str) -> tuple[str, str] | None:
    """The text and the id of a line; None if there is no id at its end."""
    start = line.rfind("(")
    found = _ID.fullmatch(line, start) if start >= 0 else None
    return None if found is None else (line[:start].rstrip(), found[1])


def _told(path: Path) -> str:
    if not path.is_file():
        raise DatasetError(f"there is no file {str(path)!r} with hypotheses", path=path)
    if "pred_text" in first_object(path):
        return "leaderboard"
    if path.suffix.lower() == ".ctm":
        return "ctm"
    if path.suffix.lower() != ".trn" and sniff_text_table(path):
        return "csv"
    if sniff_trn(path):
        return "trn"
    if _split_ctm(first_line(path).strip()):
        return "ctm"
    shown = first_line(path)[:60]
    raise DatasetError(
        f"{path} is no file of hypotheses that is known (its first line is {shown!r}); give a table with the columns "
        "utt_id and text, trn, CTM, or JSONL with pred_text",
        path=path,
    )


def _table(path: Path) -> Iterator[Hypothesis]:
    for row in text_rows(path):
        yield Hypothesis(id=row.id, text=row.text, reference=row.reference, language=row.language)


def _trn(path: Path) -> Iterator[Hypothesis]:
    for _, name, text in trn_lines(path):
        yield Hypothesis(id=name, text=text, alternatives=_alternatives(text))


def _alternatives(text: str) -> Alternatives | None:
    try:
        return parse_alternatives(text)
    except ValueError:  # a brace that is not closed is a character like any other: systems write what they like
        return None


def _ctm(path: Path) -> Iterator[Hypothesis]:
    lines = TextFile(path=path)
    found: dict[str, list[tuple[float, TimedWord]]] = defaultdict(list)
    for number, line in lines.text():
        if line.startswith(_COMMENT):
            continue
        fields = _split_ctm(line)
        if fields is None:
            raise lines.error(number, "cannot be read; a line is: file, channel, start, duration, word")
        file, channel, start, length, word = fields
        words = found[track_of(unescape_id(file), channel)]
        if word != _NO_WORD:
            middle = round(float(start) + float(length) / 2, _TIME_DIGITS)
            words.append((float(start), TimedWord(text=unescape_controls(word), middle=middle)))
    for name, words in found.items():
        ordered = tuple(word for _, word in sorted(words, key=lambda each: each[0]))
        yield Hypothesis(id=name, text=" ".join(word.text for word in ordered), words=ordered)


def _split_ctm(line: str) -> tuple[str, str, str, str, str] | None:
    """File, channel, start, duration and word of a line; None if it is no line of a CTM file."""
    fields = line.split(maxsplit=5)[:5]
    if len(fields) < 5 or not (_NUMBER.fullmatch(fields[2]) and _NUMBER.fullmatch(fields[3])):
        return None
    file, channel, start, length, word = fields
    return file, channel, start, length, word


def _leaderboard(path: Path) -> Iterator[Hypothesis]:
    lines = TextFile(path=path)
    seen = UniqueIds(lines=lines, hint="give each line its own 'id'")
    for number, fields in objects(lines):
        name = _leaderboard_id(fields)
        seen.check(name, number)
        text = fields.string("pred_text")
        if text is None:
            raise fields.error("there is no 'pred_text'; every line needs one")
        language = fields.string("lang", "language")
        yield Hypothesis(id=name, text=text, reference=fields.string("text"), language=language)


def _leaderboard_id(fields: RecordReader) -> str:
    name = fields.label("id", "utt_id")
    named = fields.string("audio_filepath")
    if name is None and not named:
        raise fields.error("there is no 'audio_filepath'; every line needs one, or an 'id'")
    return name or default_id(named or "", fields.seconds("offset"))


_READERS: dict[str, Callable[[Path], Iterator[Hypothesis]]] = {
    "csv": _table,
    "ctm": _ctm,
    "leaderboard": _leaderboard,
    "trn": _trn,
}
