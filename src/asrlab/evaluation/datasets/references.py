"""What was said, for scoring: from a data set, or from a file of texts without audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import AudioFile
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.hypotheses import sniff_trn, trn_lines
from asrlab.evaluation.datasets.load import FORMATS
from asrlab.evaluation.datasets.paths import AudioRoot
from asrlab.evaluation.datasets.stm import stm_files, stm_segments
from asrlab.evaluation.datasets.tabular import sniff_table
from asrlab.evaluation.datasets.text_file import TextFile
from asrlab.evaluation.datasets.text_table import sniff_text_table, text_rows
from asrlab.languages import language_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import Dataset, Utterance
    from asrlab.evaluation.datasets.format import ExternalAudioPolicy


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


def from_file(path: Path, *, allow_external_audio: ExternalAudioPolicy = False) -> Iterator[Reference] | None:
    """The references in a trn file, an STM file or folder, or a table without audio; None if *path* is none of them.

    Args:
        path: The file or folder.
        allow_external_audio: Accept STM files in the folder that are links to elsewhere.

    Raises:
        DatasetError: A file of the folder leads out of it; while iterating: a line cannot be read.
    """
    is_file = path.is_file()
    is_named_stm = is_file and path.suffix.lower() == ".stm"
    if is_named_stm or [each.name for each in FORMATS if each.recognizes(path)] == ["stm"]:
        files = [file.absolute() for file in stm_files(path)]
        root = AudioRoot.of(path.absolute(), allow_external_audio=allow_external_audio)
        return _of_stm(files if is_file else root.check_all(files))
    if not is_file:
        return None
    if sniff_text_table(path) and not sniff_table(path):
        return _of_table(path)
    return _of_trn(path) if sniff_trn(path) else None


def from_dataset(dataset: Dataset) -> Iterator[Reference]:
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
    lines = TextFile(path=path)
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
