"""The input and output of batched transcription."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import attrs

from asrlab.audio import AudioReader, AudioSource
from asrlab.options import TranscribeOptions
from asrlab.transcript import DecodingPath, Segment, Transcript, TranscriptWarning


@runtime_checkable
class HasAudio(Protocol):
    """An item of a data set, such as an ``Utterance``."""

    @property
    def audio(self) -> AudioSource:
        """The audio to transcribe."""
        ...


class FullPath(Protocol):
    """Transcription of one recording without batches, by the engine's own code."""

    def __call__(
        self, audio: AudioSource, options: TranscribeOptions, *, sample_rate: int | None = None, is_sole: bool = False
    ) -> Transcript:
        """Transcribe *audio*; *is_sole* if nothing else is decoded meanwhile."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class BatchRequest:
    """Items to transcribe.

    Attributes:
        items: Audio sources or objects with an ``audio`` attribute; read lazily.
        options: Checked options, the same for all items.
        sample_rate: In Hz, for numpy arrays.
        in_order: Whether results come in the order of *items*; otherwise each comes as soon as it is ready.
    """

    items: Iterable[AudioSource | HasAudio]
    options: TranscribeOptions
    sample_rate: int | None = None
    in_order: bool = True


@attrs.frozen(kw_only=True, eq=False)
class BatchedRecording:
    """A recording decoded in batches.

    Attributes:
        reader: The audio, read to its end.
        segments: Segments in order, in seconds from the start of the recording.
        language: As the engine names it; None if it is not known.
        language_probability: In [0, 1]; None if the language was not detected.
        warnings: Warnings about skipped silence and from the full path.
        busy_s: Seconds of work, reading included.
        decoding: How it was decoded.
    """

    reader: AudioReader
    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float | None
    warnings: tuple[TranscriptWarning, ...]
    busy_s: float
    decoding: DecodingPath


@attrs.frozen(kw_only=True, eq=False)
class BatchResult:
    """Result of one item.

    Attributes:
        index: Position of the item in the input, from 0.
        item: The item.
        value: The recording decoded in batches, a transcript of the full path, or the exception of a failed item.
    """

    index: int
    item: AudioSource | HasAudio
    value: BatchedRecording | Transcript | Exception
