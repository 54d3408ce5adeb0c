"""The usual names of columns, and an utterance made of the values below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Utterance
from asrlab.evaluation.datasets.places import Root, default_id, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.fields import Fields
    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["AUDIO_COLUMNS", "Columns"]

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
class Columns:
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
    def find(cls, names: Iterable[str], *, error: Callable[[str], DatasetError], options: ReadOptions) -> Columns:
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

    def utterance(self, fields: Fields, *, root: Root, options: ReadOptions) -> Utterance:
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
    def _label(fields: Fields, column: str | None) -> str | None:
        return fields.label(column) if column else None

    def _audio(self, fields: Fields, path: Path, start: float | None) -> Path | AudioFile:
        end = fields.seconds(self.end) if self.end else None
        duration = fields.seconds(self.duration) if self.duration and start is not None else None
        if duration is None and end is not None:
            duration = end - (start or 0.0)
        return part_of(path, offset=start, duration=duration, error=fields.error)

    def _text(self, fields: Fields, options: ReadOptions) -> str | None:
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
