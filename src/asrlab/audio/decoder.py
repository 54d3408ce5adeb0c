"""What a decoder is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asrlab.audio.samples import Chunk

__all__ = ["Decoder"]


class Decoder(Protocol):
    """An open source, decoded once, from front to back.

    Attributes:
        name: ``soundfile``, ``pyav`` or ``array``.
        declared: Seconds that the source says it holds; None if it does not say.
        available: Seconds that are known to be there before decoding; None if only decoding can tell.
        tolerance: Seconds by which *declared* may exceed what comes out of a whole file.
        failure: Why decoding ended before the end, in words; empty if it did not.
        lost: Seconds of damaged packets that were left out so far.
    """

    name: str
    declared: float | None
    available: float | None
    tolerance: float
    failure: str
    lost: float

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Mono chunks from second *offset* on."""

    def close(self) -> None:
        """Let go of what the decoder holds; the stream beneath stays open."""
