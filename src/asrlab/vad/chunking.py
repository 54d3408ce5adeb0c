"""Long audio in pieces that are cut at silence, while it streams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from asrlab.audio import SAMPLE_RATE
from asrlab.errors import OptionError
from asrlab.vad.buffer import AudioBuffer, Chunk
from asrlab.vad.detector import FRAME_SAMPLES, VoiceActivityDetector
from asrlab.vad.silences import cut_at_gap, cut_at_quietest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

_SHORTEST_WINDOW_S = 0.256  # eight frames: room to choose from


@attrs.frozen(kw_only=True)
class Chunker:
    """Cuts audio at silence, for an engine that takes only so much at once.

    Audio that is no longer than *max_chunk_s* is one piece, untouched. Longer audio is cut

    - around a silence of 3 s or more, so that half a second of it stays with the speech on either side and the rest is
      a piece without voice, which an engine can skip,
    - else at the best silence in the second half of what fits into a piece,
    - else, where someone speaks without a pause, where speech is the least likely.

    The cuts depend on the samples and the detector alone, not on the blocks.

    Attributes:
        vad: Tells voice from silence.
        max_chunk_s: Seconds that a piece lasts at most.
        min_chunk_s: Seconds that a piece lasts at least, unless it is all of the audio; at most a quarter of
            *max_chunk_s*.
        min_audio_s: Seconds that the engine takes at least, at most *min_chunk_s*; `transcribe_chunks` refuses a recording
            that is shorter.

    Raises:
        OptionError: The lengths do not fit.
    """

    vad: VoiceActivityDetector
    max_chunk_s: float = 30.0
    min_chunk_s: float = 1.0
    min_audio_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.max_chunk_s) and 0 < self.min_chunk_s <= self.max_chunk_s / 4):
            message = (
                f"a piece of at least {self.min_chunk_s:g} s and at most {self.max_chunk_s:g} s cannot be cut; "
                "shortest_s must be more than 0 and at most a quarter of longest_s"
            )
            raise OptionError(message, option="shortest_s")
        if self.max_chunk_s < _SHORTEST_WINDOW_S:
            message = f"longest_s must be {_SHORTEST_WINDOW_S} s or more, not {self.max_chunk_s:g}"
            raise OptionError(message, option="longest_s")
        if self.min_audio_s > self.min_chunk_s:
            message = f"minimum_s {self.min_audio_s:g} is more than shortest_s {self.min_chunk_s:g}; raise shortest_s"
            raise OptionError(message, option="minimum_s")

    def split(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Chunk]:
        """The pieces of a recording, each as soon as its end is decided; together they are all of its samples.

        Holds *max_chunk_s*, *min_chunk_s*, a second and a block at most.

        Args:
            blocks: float32, shape (n,), at 16 kHz, of any lengths.
        """
        held = AudioBuffer(self.vad)
        for samples in _small(blocks, self._longest):
            held.feed(samples)
            while len(held.probabilities) >= self._ahead:
                yield held.take(self._place(held, self._window))
        held.finish()
        while (place := self._last_place(held)) is not None:
            yield held.take(place)
        if held.samples:
            yield held.rest()

    def split_in_half(self, piece: Chunk) -> tuple[Chunk, Chunk] | None:
        """Cut *piece* at the most silent place in its middle half; None if it is too short to be two pieces."""
        frames, least = len(piece.samples) // FRAME_SAMPLES, self._shortest
        if frames < 2 * least:
            return None
        held = AudioBuffer(self.vad, start=round(piece.start * SAMPLE_RATE))
        held.feed(piece.samples)
        held.finish()
        earliest = max(frames // 4, least)
        return held.take(
            cut_at_quietest(held.seen(frames + 1), earliest=earliest, latest=frames - earliest, ideal=frames // 2)
        ), held.rest()

    @property
    def _longest(self) -> int:
        """In samples."""
        return math.floor(self.max_chunk_s * SAMPLE_RATE)

    @property
    def _window(self) -> int:
        """The frames of the longest piece."""
        return self._longest // FRAME_SAMPLES

    @property
    def _shortest(self) -> int:
        """The frames of the shortest piece."""
        return math.ceil(self.min_chunk_s * SAMPLE_RATE / FRAME_SAMPLES)

    @property
    def _ahead(self) -> int:
        """The frames that decide where a piece ends: with fewer, too short a rest might be left behind it."""
        return self._window + self._shortest

    def _last_place(self, held: AudioBuffer) -> int | None:
        """Where to cut what is held, once it is known that nothing comes behind it; None if it is the last piece."""
        latest = min(self._window, held.samples // FRAME_SAMPLES - self._shortest)
        if held.samples > self._longest:
            return self._place(held, latest)
        return cut_at_gap(held.seen(self._window + 1), earliest=self._shortest, latest=latest) if held.start else None

    def _place(self, held: AudioBuffer, latest: int) -> int:
        seen = held.seen(self._ahead)
        gap = cut_at_gap(seen, earliest=self._shortest, latest=latest)
        return gap or cut_at_quietest(seen, earliest=self._window // 2, latest=latest, ideal=latest)


def _small(blocks: Iterable[NDArray[np.float32]], longest: int) -> Iterator[NDArray[np.float32]]:
    """*blocks* in parts of *longest* samples at most, so that a recording given as one block is not copied whole."""
    for block in blocks:
        for start in range(0, len(block), longest):
            yield block[start : start + longest]
