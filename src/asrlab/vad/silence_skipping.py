"""The parts of a recording that are not transcribed because nobody speaks there, and what is told of them."""

from __future__ import annotations

import attrs

from asrlab.transcript import TranscriptWarning
from asrlab.vad.buffer import Chunk

_MOST_NAMED = 5  # silent stretches that a warning lists


@attrs.define(kw_only=True)
class SkippedSilence:
    """What was left out of one recording.

    Attributes:
        vad_name: The detector that found no voice, in words.
        spans: As (start, end) in seconds; neighbours are one.
    """

    vad_name: str
    spans: list[tuple[float, float]] = attrs.field(factory=list)

    def add(self, piece: Chunk) -> None:
        """Leave *piece* out."""
        if self.spans and self.spans[-1][1] == piece.start:
            self.spans[-1] = (self.spans[-1][0], piece.end)
        else:
            self.spans.append((piece.start, piece.end))

    def warnings(self) -> list[TranscriptWarning]:
        """One warning for all of it; none if nothing was left out."""
        if not self.spans:
            return []
        named = [f"{start:.2f} to {end:.2f} s" for start, end in self.spans[:_MOST_NAMED]]
        more = len(self.spans) - len(named)
        where = ", ".join([*named, f"{more} more"] if more else named)
        seconds = sum(end - start for start, end in self.spans)
        message = f"{seconds:.2f} s were not transcribed ({where}): {self.vad_name} found no voice there"
        return [TranscriptWarning(code="no-voice", message=message)]
