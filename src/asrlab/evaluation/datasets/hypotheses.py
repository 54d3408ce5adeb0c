"""Texts to score, recognized by content: hypotheses of other programs, and references without audio.

Hypotheses are in tables, trn, CTM or the Open ASR Leaderboard's JSONL; references in tables, trn, STM or a data set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import attrs

from asrlab.audio import AudioFile
from asrlab.control_characters import unescape_controls
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.dataset import Dataset, ExternalAudioPolicy, ReadOptions, Reference, Utterance
from asrlab.evaluation.datasets.load import FORMATS
from asrlab.evaluation.datasets.paths import AudioRoot, default_id
from asrlab.evaluation.datasets.stm import COMMENT, find_alternatives, list_stm_files, read_stm_references, track_name
from asrlab.evaluation.datasets.tabular import DELIMITERS, read_header, read_records, sniff_table
from asrlab.evaluation.datasets.text_file import (
    RecordReader,
    TextFile,
    UniqueIds,
    first_line,
    first_object,
    read_objects,
)
from asrlab.transcript.document import unescape_formula
from asrlab.transcript.scoring_formats import unescape_id

HYPOTHESIS_FORMATS = ("csv", "ctm", "leaderboard", "trn")
"""Names of the formats; ``csv`` includes tables with tabs or semicolons between cells."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_ID = re.compile(r"\(([^()\s]+)\)")
_NO_WORD = "@"
# The middle of a word and the end of a segment are compared as decimals, not as their binary sums.
_TIME_DIGITS = 6


@attrs.frozen(kw_only=True)
class TimedWord:
    """A word of a CTM file, with the time in seconds halfway between its start and end."""

    text: str
    middle: float


@attrs.frozen(kw_only=True)
class Hypothesis:
    """The text that a program recognized in one utterance."""

    id: str  # of the utterance; in CTM the recording's name, with its channel unless that is the first
    text: str
    reference: str | None = None  # if the file has both texts
    language: str | None = None  # of the reference
    speaker: str | None = None
    recording: str | None = None
    words: tuple[TimedWord, ...] = attrs.field(default=(), repr=False)  # of CTM, in order
    alternatives: Alternatives | None = attrs.field(default=None, repr=False)  # of trn, if there are several readings


@attrs.frozen(kw_only=True)
class HypothesisFile:
    """A file of hypotheses: its path, one of `HYPOTHESIS_FORMATS`, and a hypothesis for each id in order."""

    path: Path
    format: str
    hypotheses: tuple[Hypothesis, ...] = attrs.field(repr=False)


def read_hypotheses(path: Path, *, format: str | None = None) -> HypothesisFile:  # noqa: A002 - as in load_dataset
    """Read the hypotheses in a file, gzipped or not.

    Without the name of a *format*, the file is recognized by its suffix and first line.

    Raises:
        DatasetError: If the file is in no known format, a line cannot be read, or an id is repeated.
        OptionError: If there is no such format.
    """
    if format is not None and format not in _READERS:
        raise OptionError(
            f"there is no format {format!r} of hypotheses; choose one of {', '.join(HYPOTHESIS_FORMATS)}",
            option="format",
            supported=HYPOTHESIS_FORMATS,
        )
    name = format or _sniff_format(path)
    return HypothesisFile(path=path, format=name, hypotheses=tuple(_READERS[name](path)))


def _sniff_format(path: Path) -> str:
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
    start = first_line(path)
    found = "it is binary" if re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", start) else f"its first line is {start[:60]!r}"
    raise DatasetError(
        f"{path} is not a file of hypotheses in a known format ({found}); give a table with the columns utt_id and "
        "text, trn, CTM, or JSONL with pred_text",
        path=path,
    )


def sniff_trn(path: Path) -> bool:
    """Return True if the suffix of *path* is ``.trn``, or its first line ends with an id in parentheses."""
    return path.suffix.lower() == ".trn" or _split_trn(first_line(path).strip()) is not None


def read_trn_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield each utterance's line number, id and text; skip comments."""
    file = TextFile(path=path)
    ids = UniqueIds(file=file)
    for number, raw in file.raw_lines():
        line = file.decode(number, raw).rstrip()
        if not line.strip() or line.startswith(COMMENT):
            continue
        parts = _split_trn(line.strip())
        if parts is None:
            raise file.error(number, f"column {len(line)}: no id in parentheses at the end; a line is: text (id)")
        text, name = unescape_controls(parts[0]), unescape_id(parts[1])
        ids.add(name, number)
        yield number, name, text


def _split_trn(line: str) -> tuple[str, str] | None:
    """Split a line into its text and id; return None if there is no id at its end."""
    start = line.rfind("(")
    match = _ID.fullmatch(line, start) if start >= 0 else None
    return None if match is None else (line[:start].rstrip(), match[1])


def _read_trn(path: Path) -> Iterator[Hypothesis]:
    for _, name, text in read_trn_lines(path):
        try:
            alternatives = parse_alternatives(text)
        except ValueError:  # systems may write a brace that nothing closes; it is a character like any other
            alternatives = None
        yield Hypothesis(id=name, text=text, alternatives=alternatives)


def _read_ctm(path: Path) -> Iterator[Hypothesis]:
    file = TextFile(path=path)
    tracks: dict[str, list[tuple[float, TimedWord]]] = defaultdict(list)
    for number, line in file.lines():
        if line.startswith(COMMENT):
            continue
        fields = _split_ctm(line)
        if fields is None:
            raise file.error(number, "cannot be read; a line is: file, channel, start, duration, word")
        recording, channel, start, duration, word = fields
        words = tracks[track_name(unescape_id(recording), channel)]
        if word != _NO_WORD:
            middle = round(float(start) + float(duration) / 2, _TIME_DIGITS)
            words.append((float(start), TimedWord(text=unescape_controls(word), middle=middle)))
    for name, words in tracks.items():
        ordered = tuple(word for _, word in sorted(words, key=lambda timed: timed[0]))
        yield Hypothesis(id=name, text=" ".join(word.text for word in ordered), words=ordered)


def _split_ctm(line: str) -> list[str] | None:
    """Split a line into file, channel, start, duration and word; return None if it is not a line of CTM."""
    fields = line.split(maxsplit=5)[:5]
    is_ctm = len(fields) == 5 and _NUMBER.fullmatch(fields[2]) and _NUMBER.fullmatch(fields[3])
    return fields if is_ctm else None


def _read_leaderboard(path: Path) -> Iterator[Hypothesis]:
    file = TextFile(path=path)
    ids = UniqueIds(file=file, hint="give each line its own 'id'")
    for number, record in read_objects(file):
        name, named = record.label("id", "utt_id"), record.string("audio_filepath")
        if name is None and not named:
            raise record.error("there is no 'audio_filepath'; every line needs one, or an 'id'")
        name = name or default_id(named or "", record.seconds("offset"))
        ids.add(name, number)
        text = record.required(record.string("pred_text"), "pred_text")
        language = record.string("lang", "language")
        yield Hypothesis(id=name, text=text, reference=record.string("text"), language=language)


_ID_COLUMNS = ("utt_id", "utterance_id", "id")
_HYPOTHESIS_COLUMNS = ("hypothesis", "pred_text", "prediction")
_TEXT_COLUMNS = ("text", "transcript", "transcription", "sentence")
_REFERENCE_COLUMN = "reference"


@attrs.frozen(kw_only=True)
class _TextColumns:
    delimiter: str
    id: str
    text: str
    reference: str | None


def sniff_text_table(path: Path) -> bool:
    """Return True if the first line of *path* names a column for ids and one for texts."""
    return _find_columns(path) is not None


def read_text_rows(path: Path) -> Iterator[Hypothesis]:
    """Yield the rows of a table; undo the escapes of `asrlab.transcript.document.escape_formula`.

    The text of a table without hypotheses is the reference.
    """
    columns = _find_columns(path)
    if columns is None:
        raise DatasetError(
            f"the header of {path} does not name ids and texts ({first_line(path)[:60]!r}); begin it with utt_id and "
            "text, with tabs, commas or semicolons between them",
            path=path,
        )
    file = TextFile(path=path)
    ids = UniqueIds(file=file)
    for number, record in read_records(file, columns.delimiter):
        name = _unescape(record.name(columns.id))
        ids.add(name, number)
        yield Hypothesis(
            id=name,
            text=_unescape(record.string(columns.text) or ""),
            reference=None if columns.reference is None else _unescape(record.string(columns.reference) or ""),
            language=_unescaped_label(record, "lang", "language", "locale"),
            speaker=_unescaped_label(record, "speaker", "speaker_id"),
            recording=_unescaped_label(record, "recording", "recording_id"),
        )


def _unescaped_label(record: RecordReader, *columns: str) -> str | None:
    label = record.label(*columns)
    return None if label is None else _unescape(label)


def _unescape(cell: str) -> str:
    return unescape_controls(unescape_formula(cell))


def _find_columns(path: Path) -> _TextColumns | None:
    line = first_line(path)
    for delimiter in DELIMITERS:
        names = read_header(path, delimiter) if delimiter in line else []
        name = next((column for column in _ID_COLUMNS if column in names), None)
        texts = [column for column in (*_HYPOTHESIS_COLUMNS, *_TEXT_COLUMNS, _REFERENCE_COLUMN) if column in names]
        if name and texts:
            # a column "reference", or one of texts beside one of hypotheses
            usual = _TEXT_COLUMNS if texts[0] in _HYPOTHESIS_COLUMNS else ()
            references = [column for column in (_REFERENCE_COLUMN, *usual) if column in texts[1:]]
            return _TextColumns(delimiter=delimiter, id=name, text=texts[0], reference=next(iter(references), None))
    return None


_READERS: dict[str, Callable[[Path], Iterator[Hypothesis]]] = {
    "csv": read_text_rows,
    "ctm": _read_ctm,
    "leaderboard": _read_leaderboard,
    "trn": _read_trn,
}


def read_references(path: Path, *, allow_external_audio: ExternalAudioPolicy = False) -> Iterator[Reference] | None:
    """Return the references in a trn file, an STM file or folder, or a table without audio; None for other paths.

    With *allow_external_audio*, STM files in the folder may be links to other folders.
    """
    is_file = path.is_file()
    is_named_stm = is_file and path.suffix.lower() == ".stm"
    if is_named_stm or [known.name for known in FORMATS if known.sniff(path)] == ["stm"]:
        files = [file.absolute() for file in list_stm_files(path)]
        root = AudioRoot.at(path.absolute(), ReadOptions(allow_external_audio=allow_external_audio))
        return chain.from_iterable(map(read_stm_references, files if is_file else root.check_all(files)))
    if not is_file:
        return None
    if sniff_text_table(path) and not sniff_table(path):
        return (
            Reference(
                id=row.id,
                text=row.text if row.reference is None else row.reference,
                language=row.language,
                speaker=row.speaker,
                recording=row.recording,
            )
            for row in read_text_rows(path)
        )
    return _read_trn_references(path) if sniff_trn(path) else None


def list_references(dataset: Dataset) -> Iterator[Reference]:
    """Yield the references of a data set and its parts excluded from scoring; skip utterances without a reference."""
    for utterance in dataset:
        if utterance.text is not None:
            yield _from_utterance(utterance, utterance.text)
    for part in dataset.unscored() if dataset.unscored else ():
        yield _from_utterance(part, "", is_ignored=True)


def _from_utterance(utterance: Utterance, text: str, *, is_ignored: bool = False) -> Reference:
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


def _read_trn_references(path: Path) -> Iterator[Reference]:
    file = TextFile(path=path)
    for number, name, text in read_trn_lines(path):
        yield Reference(id=name, text=text, alternatives=find_alternatives(text, partial(file.error, number)))
