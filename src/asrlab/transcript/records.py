"""The records of a transcription: segments, words, and the facts of how they were produced."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from asrlab.audio.types import AudioTrack
from asrlab.device import Device
from asrlab.languages import UNSPACED_LANGUAGES
from asrlab.options import TranscribeOptions

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen(kw_only=True)
class Word:
    """A word with its times in the audio.

    Attributes:
        text: The word with its punctuation, stripped of surrounding spaces.
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio; never before *start*.
        probability: The engine's probability, in [0, 1]; None if the engine has none.
    """

    text: str
    start: float
    end: float
    probability: float | None = None


@attrs.frozen(kw_only=True)
class Segment:
    """A stretch of recognized speech with its times.

    Attributes:
        text: The recognized text, stripped of surrounding spaces.
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio; never before *start*.
        words: Word timings in order. None if word timings were not requested or the engine has none; an empty tuple if
            the engine recognized no words.
        tokens: The model's token ids, timestamp tokens included; None if the engine has none.
        temperature: Sampling temperature of the accepted decoding.
        avg_logprob: Mean natural logarithm of the token probabilities.
        compression_ratio: Length of the text over its gzip-compressed length, a measure of repetition.
        no_speech_prob: The model's probability that there is no speech, in [0, 1].
        seek: Start of the decoded window, in frames of 10 ms.
    """

    text: str
    start: float
    end: float
    words: tuple[Word, ...] | None = None
    tokens: tuple[int, ...] | None = None
    temperature: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None
    seek: int | None = None

    def clamped(self, duration: float) -> Segment:
        """Return this segment with its times inside a recording of *duration* seconds.

        Whisper pads audio to 30 s and may put an end into the padding.
        """
        return self._moved(low=0.0, high=duration)

    def shifted(self, seconds: float) -> Segment:
        """Return this segment with *seconds* added to its times."""
        return self._moved(seconds)

    def _moved(self, seconds: float = 0.0, *, low: float = -math.inf, high: float = math.inf) -> Segment:
        def move[Timed: (Word, Segment)](timed: Timed) -> Timed:
            start = min(max(timed.start + seconds, low), high)
            return attrs.evolve(timed, start=start, end=min(max(timed.end + seconds, start), high))

        return attrs.evolve(move(self), words=None if self.words is None else tuple(map(move, self.words)))


def join_texts(texts: Iterable[str], language: str | None) -> str:
    """Join *texts*, with spaces between them if *language* is written with spaces."""
    separator = "" if language and language.split("-")[0].lower() in UNSPACED_LANGUAGES else " "
    return separator.join(text for text in texts if text)


@attrs.frozen(kw_only=True)
class Timings:
    """Seconds that the parts of one transcription took, by a monotonic clock.

    Loading the model is not included (``transcriber.load_time``).

    Attributes:
        audio: Opening, decoding, resampling and checking the audio.
        inference: All other time between the call and its result: features, model, text.
        total: The sum of both. Excludes the time that a caller spends between the segments of a stream.
    """

    audio: float
    inference: float
    total: float


@attrs.frozen(kw_only=True)
class ModelInfo:
    """The model and the weights that ran.

    Attributes:
        name: Model name as ``engine/model``.
        engine: Name of the engine.
        weights_sha256: SHA-256 of the file with the parameters; None for an engine without weights.
        weights_source: Description of where the weights came from; None for an engine without weights.
        weights_pinned: True if the catalogue lists this checksum; False if it was only recorded.
        weights_random: True if the weights are random numbers for tests, so that the text means nothing.
    """

    name: str
    engine: str
    weights_sha256: str | None = None
    weights_source: str | None = None
    weights_pinned: bool = False
    weights_random: bool = False


@attrs.frozen(kw_only=True)
class PackageVersion:
    """An installed distribution that took part in a transcription.

    Attributes:
        name: Name of the distribution.
        version: Installed version.
    """

    name: str
    version: str


@attrs.frozen(kw_only=True)
class PatchStatus:
    """The status of a patch in this process.

    Attributes:
        name: Name of the patch.
        distribution: The package that the patch changes.
        status: ``applied``; ``untested-version`` if the patch was applied and took effect, in a version of the package
            that the patch was not tested with; ``not-needed`` on this device or machine; ``retired`` if upstream has
            fixed the fault; ``failed`` if the patch is needed and could not be applied; ``skipped`` if the patch was
            not requested, or its package is not installed.
        reason: Reason for the status.
        link: Address of the upstream issue or pull request.
    """

    name: str
    distribution: str
    status: str
    reason: str = ""
    link: str = ""

    @property
    def is_active(self) -> bool:
        """True if the patch changes the package now."""
        return self.status in ("applied", "untested-version")


@attrs.frozen(kw_only=True)
class TranscriptWarning:
    """A fact that a reader of the text should know.

    Attributes:
        code: Stable identifier, such as ``truncated`` or ``silent``.
        message: The warning for people.
    """

    code: str
    message: str


@attrs.frozen(kw_only=True)
class DecodingPath:
    """Description of how ``transcribe_many`` decoded a recording; ``str`` returns a phrase for people.

    Attributes:
        batched: True if the recording was decoded in batches; False if it was decoded as ``transcribe`` does.
        chunks: Number of chunks that the recording was split into.
        fallback_reasons: Reason of each chunk that was decoded again without batches: a failed quality check, or the
            error of its batch.
    """

    batched: bool
    chunks: int = 1
    fallback_reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return, for example, ``batched, 5 chunks, then full: low probability (2)``."""
        if not self.batched:
            return "full"
        phrase = "batched" if self.chunks == 1 else f"batched, {self.chunks} chunks"
        if not self.fallback_reasons:
            return phrase
        counts = Counter(self.fallback_reasons).items()
        reasons = (reason if self.chunks == 1 else f"{reason} ({count})" for reason, count in counts)
        return f"{phrase}, then full: {', '.join(reasons)}"

    @classmethod
    def from_phrase(cls, phrase: str) -> DecodingPath:
        """Read the phrase that asrlab recorded before it recorded the fields."""
        head, _, reasons = phrase.partition(", then full: ")
        chunks = re.search(r"\d+", head)
        counted = [re.fullmatch(r"(.*?)(?: \((\d+)\))?", reason) for reason in filter(None, reasons.split(", "))]
        return cls(
            batched=head.startswith("batched"),
            chunks=int(chunks[0]) if chunks else 1,
            fallback_reasons=tuple(found[1] for found in counted if found for _ in range(int(found[2] or 1))),
        )


@attrs.frozen(kw_only=True)
class TranscriptRecord:
    """The fields of a transcript; `asrlab.Transcript` documents them."""

    text: str
    language: str | None
    language_probability: float | None = None
    segments: tuple[Segment, ...] = ()
    duration: float
    device: Device
    compute_type: str
    threads: int | None = None
    timings: Timings
    model: ModelInfo
    packages: tuple[PackageVersion, ...] = ()
    options: TranscribeOptions = attrs.field(factory=TranscribeOptions)
    warnings: tuple[TranscriptWarning, ...] = ()
    patches: tuple[PatchStatus, ...] = ()
    decoding: DecodingPath | None = None
    track: AudioTrack | None = None

    @property
    def words(self) -> tuple[Word, ...] | None:
        """The words of all segments; None if words were not timed."""
        if any(segment.words is None for segment in self.segments):
            return None
        if not self.segments and not self.options.word_timestamps:
            return None
        return tuple(word for segment in self.segments for word in segment.words or ())
