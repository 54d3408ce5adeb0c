"""What a decoder is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asrlab.audio.samples import Chunk
    from asrlab.audio.types import AudioTrack, AudioWarning

__all__ = ["Decoder"]


class Decoder(Protocol):
    """An open source, decoded once, from front to back.

    Attributes:
        name: ``soundfile``, ``pyav`` or ``array``.
        declared: Seconds that the source says it holds; None if it does not say.
        available: Seconds that are known to be there before decoding; None if only decoding can tell.
        tolerance: Seconds by which *declared* may exceed what comes out of a whole file.
        failure: Why decoding ended before the end, in words; empty if it did not.
        lost: Seconds of damaged packets so far.
        track: The audio track that is decoded, of a source that has several; None otherwise.
    """

    name: str
    declared: float | None
    available: float | None
    tolerance: float
    failure: str
    lost: float
    track: AudioTrack | None

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Yield chunks of all channels from second *offset* on."""

    def findings(self, *, start: float, end: float) -> Iterable[AudioWarning]:
        """Return what a user should know of the seconds from *start* to *end*, once they have been decoded."""

    def close(self) -> None:
        """Let go of what the decoder holds; the stream beneath stays open."""
