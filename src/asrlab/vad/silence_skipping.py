"""The parts of a recording that are not transcribed because nobody speaks there, and what is told of them."""

from __future__ import annotations

import attrs

from asrlab.audio.checks import SILENT_PEAK
from asrlab.transcript import TranscriptWarning
from asrlab.vad.buffer import Piece

_MOST_NAMED = 5  # silent stretches that a warning lists


def is_wanted(piece: Piece) -> bool:
    """Whether *piece* is to be transcribed: it has voice, or is a whole recording that is not digital silence.

    Models make text up for silence; but a detector that errs must not swallow a whole recording.
    """
    return piece.voiced or (piece.whole and bool(abs(piece.samples).max() >= SILENT_PEAK))


@attrs.define(kw_only=True)
class SkippedSilence:
    """What was left out of one recording.

    Attributes:
        finder: The detector that found no voice, in words.
        stretches: As (start, end) in seconds; neighbours are one.
    """

    finder: str
    stretches: list[tuple[float, float]] = attrs.field(factory=list)

    def add(self, piece: Piece) -> None:
        """Leave *piece* out."""
        if self.stretches and self.stretches[-1][1] == piece.start:
            self.stretches[-1] = (self.stretches[-1][0], piece.end)
        else:
            self.stretches.append((piece.start, piece.end))

    def warnings(self) -> list[TranscriptWarning]:
        """One warning for all of it; none if nothing was left out."""
        if not self.stretches:
            return []
        named = [f"{start:.2f} to {end:.2f} s" for start, end in self.stretches[:_MOST_NAMED]]
        more = len(self.stretches) - len(named)
        where = ", ".join([*named, f"{more} more"] if more else named)
        seconds = sum(end - start for start, end in self.stretches)
        message = f"{seconds:.2f} s were not transcribed ({where}): {self.finder} found no voice there"
        return [TranscriptWarning(code="no-voice", message=message)]
