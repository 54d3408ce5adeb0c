"""What a transcription gives back: text, segments, words, and the facts of how it was made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio.types import AudioTrack
from asrlab.device import Device
from asrlab.errors import DatasetError, OptionError
from asrlab.options import TranscribeOptions

if TYPE_CHECKING:
    from asrlab.transcript.document import DocumentMetadata, SubtitleLayout


# Written without spaces between words.
# Source: openai-whisper, tokenizer.py, `split_to_word_tokens`.
_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}


@attrs.frozen(kw_only=True)
class Word:
    """One word with its place in the audio.

    Attributes:
        text: The word with the punctuation that belongs to it, without surrounding spaces.
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio; never before *start*.
        probability: The engine's own, in [0, 1]; None if it gives none.
    """

    text: str
    start: float
    end: float
    probability: float | None = None


@attrs.frozen(kw_only=True)
class Segment:
    """A stretch of speech the engine emitted as one unit.

    Attributes:
        text: As the engine wrote it, without surrounding spaces.
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio; never before *start*.
        words: Word timings in order; None if not asked for or not offered. An empty tuple means the engine heard no
            words.
        tokens: The model's token ids, time stamps included; None if the engine has none.
        temperature: Sampling temperature of the decoding that was kept.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        compression_ratio: Length of the text over its gzip-compressed length, a measure of repetition.
        no_speech_prob: The model's probability that there is no speech, in [0, 1].
        seek: Where the window that gave the segment began, in frames of 10 ms.
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

    def within(self, duration: float) -> Segment:
        """This segment with its times inside a recording of *duration* seconds.

        Whisper pads to 30 s and may put an end into the padding.
        """
        words = None if self.words is None else tuple(_clip(word, duration) for word in self.words)
        return attrs.evolve(_clip(self, duration), words=words)

    def moved(self, seconds: float) -> Segment:
        """This segment so much later."""
        words = None if self.words is None else tuple(_later(word, seconds) for word in self.words)
        return attrs.evolve(_later(self, seconds), words=words)


def _clip[Timed: (Word, Segment)](timed: Timed, duration: float) -> Timed:
    start = min(max(timed.start, 0.0), duration)
    end = min(max(timed.end, start), duration)
    return timed if (start, end) == (timed.start, timed.end) else attrs.evolve(timed, start=start, end=end)


def _later[Timed: (Word, Segment)](timed: Timed, seconds: float) -> Timed:
    return attrs.evolve(timed, start=timed.start + seconds, end=timed.end + seconds)


@attrs.frozen(kw_only=True)
class Timings:
    """Where the seconds of one transcription went, by a monotonic clock.

    Attributes:
        audio: Opening, decoding, resampling and checking the audio.
        inference: Everything else between the call and its result: features, model, text.
        total: Both together. The time a caller spends between the segments of a stream is in none of them; loading the
            model is not either (``transcriber.load_time``).
    """

    audio: float
    inference: float
    total: float


@attrs.frozen(kw_only=True)
class ModelInfo:
    """Which weights ran.

    Attributes:
        name: As ``engine/model``.
        engine: The engine's name.
        weights_sha256: Of the file with the parameters; None for an engine without weights.
        weights_source: Where they came from, in words; None likewise.
        weights_pinned: Whether the catalogue names this checksum; False means that it was only recorded.
        weights_random: Whether they are random numbers for tests, so that the text means nothing.
    """

    name: str
    engine: str
    weights_sha256: str | None = None
    weights_source: str | None = None
    weights_pinned: bool = False
    weights_random: bool = False


@attrs.frozen(kw_only=True)
class PackageVersion:
    """An installed distribution that took part.

    Attributes:
        name: The distribution's name.
        version: Its version.
    """

    name: str
    version: str


@attrs.frozen(kw_only=True)
class PatchStatus:
    """What became of a patch in this process.

    Attributes:
        name: The patch's name.
        distribution: The package it changes.
        status: ``applied``; ``untested-version`` if it was applied, and took effect, to a version of the package that
            it was not tested with; ``not-needed`` on this device or machine; ``retired`` where upstream has mended what
            it mends; ``failed`` if it is needed and could not be applied; ``skipped`` if it was not asked for, or its
            package is not installed.
        reason: Why it has this status.
        link: The upstream issue or pull request.
    """

    name: str
    distribution: str
    status: str
    reason: str = ""
    link: str = ""

    @property
    def in_force(self) -> bool:
        """Whether the package is changed by it."""
        return self.status in ("applied", "untested-version")


@attrs.frozen(kw_only=True)
class TranscriptWarning:
    """Something a reader of the text should know.

    Attributes:
        code: A stable word, such as ``truncated`` or ``silent``.
        message: The same for people.
    """

    code: str
    message: str


@attrs.frozen(kw_only=True)
class Transcript:
    """The result of one transcription.

    Attributes:
        text: The whole text.
        language: BCP 47 tag of the speech: the one given, or the one detected; None if the engine does not tell.
        language_probability: In [0, 1]; None if the language was given or the engine does not tell.
        segments: In order.
        duration: Seconds of audio decoded.
        device: Where the model ran.
        compute_type: Number format of the computation, such as ``int8`` or ``float32``.
        threads: CPU threads that one inference uses; None if the engine does not tell.
        timings: Where the time went.
        model: Which weights ran.
        packages: The distributions that took part, asrlab among them.
        options: What was asked for.
        warnings: What a reader should know.
        patches: What was changed in other packages for this, and what was not and why.
        path: How ``transcribe_many`` came by it: ``batched`` if it was decoded together with others; ``full`` if it
            went the way of ``transcribe``; ``batched, then full: REASON`` if what the batch gave was in doubt. None
            where there was no choice.
        track: The audio track that was transcribed, of a file that has several; None otherwise.
    """

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
    path: str | None = None
    track: AudioTrack | None = None

    @property
    def words(self) -> tuple[Word, ...] | None:
        """The words of all segments; None if words were not timed."""
        if any(segment.words is None for segment in self.segments):
            return None
        if not self.segments and not self.options.word_timestamps:
            return None
        return tuple(word for segment in self.segments for word in segment.words or ())

    def version_of(self, distribution: str) -> str | None:
        """The version of *distribution* that took part; None if it did not."""
        return next((package.version for package in self.packages if package.name == distribution), None)

    def to(self, format: str, *, name: str = "audio", layout: SubtitleLayout | None = None) -> str:  # noqa: A002 - the field's word for it
        """This transcript as a document.

        Args:
            format: ``txt``; ``srt`` or ``vtt``; ``tsv`` (milliseconds); ``json`` (OpenAI's ``verbose_json`` with
                asrlab's own facts under ``asrlab``); ``ctm``, ``stm`` or ``trn`` (sclite's); ``textgrid`` (Praat's);
                ``jsonl`` (a line of the Open ASR Leaderboard's).
            name: What the recording is called, where the format wants a name: ``ctm``, ``stm``, ``trn`` and ``jsonl``.
            layout: Of subtitles; None takes the defaults of `SubtitleLayout`.

        Raises:
            OptionError: The format is unknown, or cannot hold the times.
        """
        from asrlab.transcript.document import DocumentMetadata, SubtitleLayout

        return self.written(format, DocumentMetadata(name=name, layout=layout or SubtitleLayout()))

    def written(self, format: str, labels: DocumentMetadata) -> str:  # noqa: A002 - as above
        """As `to`, with all that may stand beside the transcript."""
        from asrlab.transcript import formats

        if format not in formats.WRITERS:
            raise OptionError(
                f"there is no transcript format {format!r}; choose one of {', '.join(formats.WRITERS)}",
                option="format",
                supported=tuple(formats.WRITERS),
            )
        return formats.WRITERS[format](self, labels)

    @classmethod
    def from_json(cls, document: str | bytes) -> Transcript:
        """Read back what ``to("json")`` wrote, with nothing lost.

        Raises:
            DatasetError: It is not JSON, or not a transcript of a version this asrlab reads.
        """
        from asrlab.transcript import formats

        return formats.read_json(document)


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one item: a transcript or an error, never both.

    Attributes:
        index: The item's place in the input, from 0.
        item: The item as it was given.
        transcript: The result; None if it failed.
        error: Why it failed; None if it did not.
    """

    index: int
    item: Any
    transcript: Transcript | None = None
    error: Exception | None = None

    def __attrs_post_init__(self) -> None:
        if (self.transcript is None) == (self.error is None):
            raise TypeError("an outcome holds a transcript or an error, and not both")

    def unwrap(self) -> Transcript:
        """The transcript, or the error raised."""
        if self.transcript is None:
            raise self.error or DatasetError("an outcome without a result")
        return self.transcript


def join_texts(texts: Iterable[str], language: str | None) -> str:
    """The texts as one, with spaces between them where *language* writes spaces."""
    separator = "" if language and language.split("-")[0].lower() in _UNSPACED else " "
    return separator.join(text for text in texts if text)
