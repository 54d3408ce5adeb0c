"""What was said, for scoring: from a data set, or from a file of texts without audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import AudioFile
from asrlab.datasets.csv_table import is_table
from asrlab.datasets.hypotheses import is_trn, trn_lines
from asrlab.datasets.stm import stm_segments
from asrlab.datasets.text_table import is_text_table, text_rows
from asrlab.languages import language_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asrlab.datasets.dataset import Utterance

__all__ = ["Reference", "of_dataset", "of_file"]


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
    """

    id: str
    text: str
    language: str | None = attrs.field(default=None, converter=language_tag)
    speaker: str | None = None
    recording: str | None = None
    start: float | None = None
    end: float | None = None


def of_file(path: Path) -> Iterator[Reference] | None:
    """The references in a trn file, an STM file, or a table without audio; None if *path* is none of them.

    Raises:
        DatasetError: While iterating: a line cannot be read.
    """
    if not path.is_file():
        return None
    if path.suffix.lower() == ".stm":
        return _of_stm(path)
    if is_text_table(path) and not is_table(path):
        return _of_table(path)
    return _of_trn(path) if is_trn(path) else None


def of_dataset(utterances: Iterable[Utterance]) -> Iterator[Reference]:
    """The references of a data set; an utterance without one is left out."""
    for each in utterances:
        if each.text is not None:
            part = each.audio if isinstance(each.audio, AudioFile) else None
            start = part.offset if part else None
            yield Reference(
                id=each.id,
                text=each.text,
                language=each.language,
                speaker=each.speaker,
                recording=each.recording,
                start=start,
                end=None if part is None or part.duration is None else part.offset + part.duration,
            )


def _of_trn(path: Path) -> Iterator[Reference]:
    for _, name, text in trn_lines(path):
        yield Reference(id=name, text=text)


def _of_table(path: Path) -> Iterator[Reference]:
    for row in text_rows(path):
        text = row.text if row.reference is None else row.reference
        yield Reference(id=row.id, text=text, language=row.language, speaker=row.speaker, recording=row.recording)


def _of_stm(path: Path) -> Iterator[Reference]:
    for each in stm_segments(path):
        yield Reference(
            id=each.id,
            text=each.text,
            speaker=each.speaker,
            recording=each.file,
            start=each.start,
            end=each.end,
        )
