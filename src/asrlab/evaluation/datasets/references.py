"""Reference texts for scoring, from a data set or from a file of texts without audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from asrlab.audio import AudioFile
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.dataset import Dataset, ExternalAudioPolicy, ReadOptions, Utterance
from asrlab.evaluation.datasets.hypotheses import read_text_rows, read_trn_lines, sniff_text_table, sniff_trn
from asrlab.evaluation.datasets.load import FORMATS
from asrlab.evaluation.datasets.paths import AudioRoot
from asrlab.evaluation.datasets.stm import list_stm_files, read_stm_segments
from asrlab.evaluation.datasets.tabular import sniff_table
from asrlab.evaluation.datasets.text_file import TextFile
from asrlab.languages import language_tag


@attrs.frozen(kw_only=True)
class Reference:
    """The reference text of one utterance.

    Attributes:
        id: Id of the utterance.
        text: The text; empty if nothing is spoken.
        language: BCP 47 tag; None if unknown.
        speaker: Speaker; None if unknown.
        recording: Recording that contains the utterance; None if unknown.
        start: Start in seconds from the start of the recording; None without times.
        end: End in seconds from the start of the recording; None if it is the recording's end, or without times.
        track: Channel of the recording that *start* and *end* refer to; None without times.
        alternatives: The readings of *text*, if it has several in sclite's notation; else None.
        is_ignored: True for a part of the recording that is excluded from scoring. It is not an utterance.
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


def from_file(path: Path, *, allow_external_audio: ExternalAudioPolicy = False) -> Iterator[Reference] | None:
    """Return the references in a trn file, an STM file or folder, or a table without audio; None for other paths.

    Args:
        path: The file or folder.
        allow_external_audio: Permission for STM files in the folder that are links to other folders.
    """
    is_file = path.is_file()
    is_named_stm = is_file and path.suffix.lower() == ".stm"
    if is_named_stm or [known.name for known in FORMATS if known.sniff(path)] == ["stm"]:
        files = [file.absolute() for file in list_stm_files(path)]
        root = AudioRoot.at(path.absolute(), ReadOptions(allow_external_audio=allow_external_audio))
        return _read_stm(files if is_file else root.check_all(files))
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
    return _read_trn(path) if sniff_trn(path) else None


def from_dataset(dataset: Dataset) -> Iterator[Reference]:
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


def _read_trn(path: Path) -> Iterator[Reference]:
    for number, name, text in read_trn_lines(path):
        try:
            alternatives = parse_alternatives(text)
        except ValueError as problem:
            raise TextFile(path=path).error(number, f"{problem}; close it with '}}', or remove it") from problem
        yield Reference(id=name, text=text, alternatives=alternatives)


def _read_stm(files: Iterable[Path]) -> Iterator[Reference]:
    for segment in (segment for file in files for segment in read_stm_segments(file)):
        yield Reference(
            id=segment.id,
            text=segment.text,
            speaker=segment.speaker,
            recording=segment.file,
            start=segment.start,
            end=segment.end,
            track=segment.track,
            alternatives=segment.alternatives,
            is_ignored=segment.is_ignored,
        )
