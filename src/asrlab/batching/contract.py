"""The contract of batched transcription: input, output, an engine's part, and the state of a recording between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

from asrlab.audio import AudioReader, AudioSource
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath, Segment, Transcript, TranscriptWarning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONG_RECORDING_WEIGHT = 3


@attrs.frozen(kw_only=True, eq=False)
class ChunkFeatures[Features]:
    """Features of a short recording, or of a chunk of a long one, with the seconds of audio in them."""

    features: Features
    duration: float


@attrs.frozen(kw_only=True)
class Detected:
    """Language of one chunk, as the engine names it, and its probability in [0, 1]; None if it was not detected."""

    language: str
    probability: float | None = None


@attrs.frozen(kw_only=True)
class Decoded:
    """Text of one chunk.

    Attributes:
        segments: Segments with text, in order, in seconds from the start of the chunk.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        compression_ratio: Length of the text over its compressed length.
        no_speech_prob: Probability of no speech, in [0, 1].
        ended: True if the model ended the text; False if it was stopped at the limit of tokens.
        remaining_s: Seconds of audio left for another window; 0 if the chunk is finished.
    """

    segments: tuple[Segment, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    ended: bool = True
    remaining_s: float = 0.0


class BatchBackend[Features, Encoded](Protocol):
    """Decoding of batches with one set of options, step by step.

    *Features* and *Encoded* are the engine's own types: arrays or tensors, of one chunk and of a batch. Several threads
    call the methods at once.
    """

    @property
    def batching(self) -> Batching:
        """Complete settings: the size of a batch, and how many batches may be decoded at once."""

    @property
    def max_chunk_s(self) -> float:
        """Maximum chunk duration in seconds; a longer recording is split at silence."""

    @property
    def language(self) -> str | None:
        """The requested language, or the only language of the model; None if it must be detected."""

    def compute_features(self, samples: NDArray[np.float32]) -> Features:
        """Compute the features of one chunk.

        Args:
            samples: float32, shape (n,), in [-1, 1], at 16 kHz; at most `max_chunk_s` seconds.
        """

    def encode(self, chunks: Sequence[ChunkFeatures[Features]]) -> Encoded:
        """Encode *chunks* in one window: the full window, or as short as the longest chunk allows."""

    def detect_languages(self, encoded: Encoded) -> tuple[Detected, ...]:
        """Detect the language of each chunk; *encoded* is also passed to `decode`."""

    def decode(
        self, encoded: Encoded, chunks: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Decode each chunk to its end, at the first of the requested temperatures, with words if requested."""


@runtime_checkable
class HasAudio(Protocol):
    """An item of a data set, such as an ``Utterance``."""

    @property
    def audio(self) -> AudioSource:
        """The audio to transcribe."""


class FullPath(Protocol):
    """Transcription of one recording without batches, by the engine's own code."""

    def __call__(
        self, audio: AudioSource, options: TranscribeOptions, *, sample_rate: int | None = None, is_sole: bool = False
    ) -> Transcript:
        """Transcribe *audio*; *is_sole* if nothing else is decoded meanwhile."""


@attrs.frozen(kw_only=True, eq=False)
class BatchRequest:
    """Items to transcribe.

    Attributes:
        items: Audio sources or objects with an ``audio`` attribute; read lazily.
        options: Checked options, the same for all items.
        sample_rate: In Hz, for numpy arrays.
        in_order: True if results come in the order of *items*; otherwise each comes as soon as it is ready.
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
        language_probability: Probability in [0, 1]; None if the language was not detected.
        warnings: Warnings about skipped silence and from the full path.
        busy_s: Seconds of work, reading included.
        decoding: Description of how the recording was decoded.
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
    """Result of the item at *index* of the input: decoded in batches, of the full path, or the item's exception."""

    index: int
    item: AudioSource | HasAudio
    value: BatchedRecording | Transcript | Exception


@attrs.define(kw_only=True, eq=False)
class Chunk:
    """A short recording, or a part of a long one, on its way through the pipeline.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        start: Seconds from the start of the recording.
        is_whole: True if the chunk is the whole recording.
        busy_s: Seconds of work on the chunk so far.
        is_started: True if a worker has received the chunk.
        language: The language; None until it is known.
        fallback_reason: Reason why the chunk needs the full path; None if it does not.
        segments: Final segments, timed from the start of the recording. None until decoded.
        warnings: Warnings of the full path.
    """

    recording: Recording
    samples: NDArray[np.float32]
    start: float
    features: ChunkFeatures[Any]
    is_whole: bool
    busy_s: float
    is_started: bool = False
    language: Detected | None = None
    fallback_reason: str | None = None
    segments: tuple[Segment, ...] | None = None
    warnings: tuple[TranscriptWarning, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return self.features.duration

    @property
    def weight(self) -> int:
        """Weight in a block: chunks of long recordings are alike in length, and take more memory."""
        return 1 if self.is_whole else _LONG_RECORDING_WEIGHT

    @property
    def detects_language(self) -> bool:
        """True for the first chunk of a long recording, whose language is that of the recording."""
        return not self.is_whole and self is self.recording.chunks[0]


@attrs.define(kw_only=True, eq=False)
class Recording:
    """An item on its way through the pipeline.

    Attributes:
        index: Position of the item in the input, from 0.
        item: The item, and *audio* its audio source.
        chunks: The chunks read so far, in order.
        reader: The audio; None if it is not read ahead.
        skipped_warnings: Warnings about silence that was skipped.
        is_read: True if all chunks have been read.
        result: The result; None until it is complete.
    """

    index: int
    item: Any
    audio: Any = None
    chunks: list[Chunk] = attrs.field(factory=list)
    reader: AudioReader | None = None
    skipped_warnings: tuple[TranscriptWarning, ...] = ()
    is_read: bool = False
    result: BatchResult | None = None

    @property
    def language(self) -> Detected | None:
        """Language of the first chunk, which is the recording's; None until that chunk is decoded."""
        first = self.chunks[0] if self.chunks else None
        return None if first is None or first.segments is None else first.language

    @property
    def is_decoded(self) -> bool:
        """True if all of it has been read and decoded."""
        return self.is_read and all(chunk.segments is not None for chunk in self.chunks)

    def finish(self, value: BatchedRecording | Transcript | Exception) -> BatchResult:
        """Set and return the result. Drop the chunks: they refer to the recording, so their audio would outlive it."""
        self.result = BatchResult(index=self.index, item=self.item, value=value)
        self.chunks = []
        return self.result

    def join(self) -> BatchedRecording:
        """Join the decoded chunks."""
        assert self.reader is not None  # noqa: S101 - it was read
        language = self.language
        return BatchedRecording(
            reader=self.reader,
            segments=tuple(segment for chunk in self.chunks for segment in chunk.segments or ()),
            language=language.language if language else None,
            language_probability=language.probability if language else None,
            warnings=(*self.skipped_warnings, *(warning for chunk in self.chunks for warning in chunk.warnings)),
            busy_s=self.reader.decoding_time + sum(chunk.busy_s for chunk in self.chunks),
            decoding=DecodingPath(
                batched=True,
                chunks=len(self.chunks),
                fallback_reasons=tuple(chunk.fallback_reason for chunk in self.chunks if chunk.fallback_reason),
            ),
        )
