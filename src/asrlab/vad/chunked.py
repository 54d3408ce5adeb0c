"""A long recording transcribed piece by piece, and what a reader of the text should know about it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import SAMPLE_RATE
from asrlab.errors import AudioError
from asrlab.transcript import Segment, TranscriptWarning
from asrlab.vad.buffer import Chunk
from asrlab.vad.chunking import Chunker
from asrlab.vad.repetition import find_repetition
from asrlab.vad.silence_skipping import SkippedSilence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray


_LONGEST_PHRASE = 60

_log = logging.getLogger("asrlab.vad")


@attrs.frozen(kw_only=True)
class ChunkResult:
    """What an engine heard in a piece.

    Attributes:
        text: As the engine wrote it.
        tokens: The model's token ids; None if the engine has none.
        ended: Whether the model came to an end by itself; False if it was stopped at its limit.
        segments: The text in segments that the engine timed, in seconds from the start of the piece; None if it times
            nothing.
    """

    text: str
    tokens: tuple[int, ...] | None = None
    ended: bool = True
    segments: tuple[Segment, ...] | None = None


type Recognize = Callable[[NDArray[np.float32]], ChunkResult]
"""Transcribes the samples of one piece: float32, shape (n,), at 16 kHz."""


def transcribe_chunks(
    blocks: Iterable[NDArray[np.float32]],
    *,
    recognize: Recognize,
    chunker: Chunker,
    warnings: list[TranscriptWarning],
    source: str = "<audio>",
) -> Iterator[Segment]:
    """Cut a recording into pieces, transcribe them in order, and give the segments of each that has text.

    They are those that the engine timed, or else one, which lasts from the first voice in its piece to the last; where
    none was found, as long as the piece.

    - A piece without voice is not transcribed: models make text up for silence. Audio that is a single piece is, unless
      it is digital silence: a detector that errs must not swallow a whole recording. Both give a ``no-voice`` warning.
    - A piece whose text did not end is transcribed once more, as two halves, each its own segment: a ``halved``
      warning. A half that does not end either keeps what text there is: then both warnings are ``output-truncated``.
    - A text that runs in a loop is kept, with a ``repetition`` warning.

    Args:
        blocks: float32, shape (n,), at 16 kHz, of any lengths, such as `AudioReader.blocks` gives.
        recognize: Transcribes one piece; what it raises ends the transcription.
        chunker: How to cut.
        warnings: Grows while the segments are consumed.
        source: How messages call the audio.

    Raises:
        AudioError: The whole recording is shorter than the engine takes (``too-short``).
    """
    reading = _Reading(recognize=recognize, chunker=chunker, warnings=warnings, source=source)
    for piece in chunker.split(blocks):
        reading.check_length(piece)
        for part, heard in reading.texts_of(piece):
            if heard.text.strip():
                yield from reading.segments(part, heard)
    reading.tell_skipped()


@attrs.define(kw_only=True)
class _Reading:
    """One recording on its way."""

    recognize: Recognize
    chunker: Chunker
    warnings: list[TranscriptWarning]
    source: str
    skipped: SkippedSilence = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.skipped = SkippedSilence(vad_name=self._finder)

    def check_length(self, piece: Chunk) -> None:
        minimum = self.chunker.min_audio_s
        if piece.is_whole and len(piece.samples) < minimum * SAMPLE_RATE:
            raise AudioError(
                f"{self.source!r} lasts {piece.end:.3f} s, but this model takes {minimum:g} s at least; "
                "give it a longer recording",
                source=self.source,
                reason="too-short",
            )

    def texts_of(self, piece: Chunk) -> Iterator[tuple[Chunk, ChunkResult]]:
        """The texts of *piece*, of its halves, or none."""
        if not piece.should_transcribe:
            self._skip(piece)
            return
        heard = self._heard(piece)
        if heard.ended:
            yield piece, heard
        elif (split_in_half := self.chunker.split_in_half(piece)) is None:
            said = f"the text of {_times(piece)} did not end, and it is too short to cut: {_KEPT}"
            self._warn("output-truncated", said)
            yield piece, heard
        else:
            yield from self._again(piece, split_in_half)

    def segments(self, piece: Chunk, heard: ChunkResult) -> tuple[Segment, ...]:
        """The segments of *piece*, with a warning if its text is a loop or comes out of nowhere."""
        text = heard.text.strip()
        if not piece.has_speech:
            self._warn("no-voice", f"{self._finder} found no voice in {_times(piece)}; the text may be made up")
        if loop := find_repetition(text):
            phrase = loop.phrase if len(loop.phrase) <= _LONGEST_PHRASE else f"{loop.phrase[:_LONGEST_PHRASE]}..."
            said = f'the text of {_times(piece)} repeats "{phrase}" {loop.count} times in a row'
            self._warn("repetition", f"{said}; listen to it, the model may have run in a loop")
        if heard.segments is not None:
            length = piece.end - piece.start  # an end may lie in what the model pads the piece with
            return tuple(segment.clamped(length).shifted(piece.start) for segment in heard.segments)
        start, end = piece.speech or (piece.start, piece.end)
        return (Segment(text=text, start=start, end=end, tokens=heard.tokens),)

    def tell_skipped(self) -> None:
        """Warn of what was not transcribed, in one warning for all of it."""
        self.warnings.extend(self.skipped.warnings())

    @property
    def _finder(self) -> str:
        return str(self.chunker.vad.info)

    def _again(self, piece: Chunk, split_in_half: tuple[Chunk, Chunk]) -> Iterator[tuple[Chunk, ChunkResult]]:
        wanted = [half for half in split_in_half if half.has_speech] or list(split_in_half)
        heard = [self._heard(half) for half in wanted]
        said = f"the text of {_times(piece)} did not end; transcribed anew cut at {split_in_half[0].end:.2f} s,"
        if all(text.ended for text in heard):
            self._warn("halved", f"{said} and ended")
        else:
            self._warn("output-truncated", f"{said} but did not end everywhere")
        for half in split_in_half:
            if half not in wanted:
                self._skip(half)
        for half, text in zip(wanted, heard, strict=True):
            if not text.ended:
                self._warn(
                    "output-truncated", f"the text of {_times(half)}, half of a piece, did not end either: {_KEPT}"
                )
            yield half, text

    def _heard(self, piece: Chunk) -> ChunkResult:
        try:
            return self.recognize(piece.samples)
        except Exception as error:
            error.add_note(f"in {_times(piece)} of {self.source!r}")
            raise

    def _skip(self, piece: Chunk) -> None:
        _log.debug("%s of %r has no voice and is not transcribed", _times(piece), self.source)
        self.skipped.add(piece)

    def _warn(self, code: str, message: str) -> None:
        self.warnings.append(TranscriptWarning(code=code, message=message))


_KEPT = "what there is was kept, and words are missing"


def _times(piece: Chunk) -> str:
    return f"{piece.start:.2f} to {piece.end:.2f} s"
