"""The results of transcription: a transcript, and the outcome of one input among many."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.errors import DatasetError, OptionError
from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
from asrlab.transcript.formats import WRITERS, structure_json
from asrlab.transcript.records import TranscriptRecord


@attrs.frozen(kw_only=True)
class Transcript(TranscriptRecord):
    """The result of one transcription.

    Attributes:
        text: The whole text.
        language: BCP 47 tag of the speech, given or detected; None if the engine does not report one.
        language_probability: Probability of the detected language, in [0, 1]; None if the language was given or the
            engine does not report one.
        segments: Segments in order.
        duration: Seconds of decoded audio.
        device: The device that the model ran on.
        compute_type: Number format of the computation, such as ``int8`` or ``float32``.
        threads: CPU threads that one inference uses; None if the engine does not report them.
        timings: Seconds that each part took.
        model: The model and the weights that ran.
        packages: Distributions that took part, asrlab among them.
        options: The requested options.
        warnings: Facts that a reader of the text should know.
        patches: Status of each patch to another package.
        decoding: Path by which ``transcribe_many`` decoded the recording; None if the engine was not asked for batches.
        track: The transcribed audio track of a file with several; None otherwise.
    """

    def version_of(self, distribution: str) -> str | None:
        """Return the version of *distribution* that took part; None if it took no part."""
        return next((package.version for package in self.packages if package.name == distribution), None)

    def to(self, format: str, *, name: str = "audio", layout: SubtitleLayout | None = None) -> str:  # noqa: A002 - the field's word for it
        """Return this transcript as a document.

        Args:
            format: ``txt``; ``srt`` or ``vtt``; ``tsv`` (milliseconds); ``json`` (OpenAI's ``verbose_json`` with
                asrlab's own facts under ``asrlab``); ``ctm``, ``stm`` or ``trn`` (sclite's); ``textgrid`` (Praat's);
                ``jsonl`` (a line of the Open ASR Leaderboard's manifests).
            name: Name of the recording in the formats that have one: ``ctm``, ``stm``, ``trn`` and ``jsonl``.
            layout: Layout of subtitles; None uses the defaults of `SubtitleLayout`.

        Raises:
            OptionError: If the format is unknown, or cannot represent the times.
        """
        return self.render(format, DocumentMetadata(name=name, layout=layout or SubtitleLayout()))

    def render(self, format: str, metadata: DocumentMetadata) -> str:  # noqa: A002 - as above
        """Return this transcript as a document with all that *metadata* adds to it; see `to`."""
        if format not in WRITERS:
            raise OptionError(
                f"there is no transcript format {format!r}; choose one of {', '.join(WRITERS)}",
                option="format",
                supported=tuple(WRITERS),
            )
        return WRITERS[format](self, metadata)

    @classmethod
    def from_json(cls, document: str | bytes) -> Transcript:
        """Read a transcript that ``to("json")`` wrote; no field is lost.

        Raises:
            DatasetError: If the document is not JSON, or not a transcript of a version that this asrlab reads.
        """
        return structure_json(document, cls)


@attrs.frozen(kw_only=True)
class TranscribeResult:
    """The result of one item of ``transcribe_many``: a transcript or an error, never both.

    Attributes:
        index: Index of the item in the input, from 0.
        item: The item as it was given.
        transcript: The transcript; None if the item failed.
        error: The error; None if the item succeeded.
    """

    index: int
    item: Any
    transcript: Transcript | None = None
    error: Exception | None = None

    def __attrs_post_init__(self) -> None:
        if (self.transcript is None) == (self.error is None):
            raise TypeError("a TranscribeResult needs either a transcript or an error")

    def unwrap(self) -> Transcript:
        """Return the transcript, or raise the error."""
        if self.transcript is None:
            raise self.error or DatasetError("this TranscribeResult has neither a transcript nor an error")
        return self.transcript
