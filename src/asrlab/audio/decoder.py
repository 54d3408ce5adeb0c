"""What a decoder is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from asrlab.audio.samples import CHUNK_SAMPLES, Chunk, as_float
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrlab.audio.samples import Chunk
    from asrlab.audio.types import Audio, AudioTrack, AudioWarning


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


_MOST_CHANNELS = 32
_INTEGERS = ("int8", "uint8", "int16", "int32")


def open_array(audio: Audio, *, source: str) -> ArrayDecoder:
    """A decoder for *audio*, which messages call *source*.

    Raises:
        AudioError: The samples are not an array of shape (n,) or (n, channels), or not of a type with a known scale.
    """
    import numpy as np

    if not isinstance(audio.samples, np.ndarray):
        kind = type(audio.samples).__name__
        message = f"{source!r} is a {kind}, not a numpy array; convert it first"
        raise AudioError(message, source=source, reason="bad-shape")
    _check_type(audio.samples, source=source)
    return ArrayDecoder(_check_shape(audio.samples, source=source), audio)


def _check_type(samples: NDArray[Any], *, source: str) -> None:
    if samples.dtype.kind == "f" or samples.dtype.name in _INTEGERS:
        return
    raise AudioError(
        f"{source!r} has samples of type {samples.dtype}, whose scale is not known; give floats in [-1, 1], or "
        f"{', '.join(_INTEGERS[:-1])} or {_INTEGERS[-1]}",
        source=source,
        reason="bad-shape",
    )


def _check_shape(samples: NDArray[Any], *, source: str) -> NDArray[Any]:
    """*samples* with shape (n, channels).

    More columns than rows, or more than 32, are never channels: 10 ms at 8 kHz has 80 rows.
    """
    advice = "give shape (n,) or (n, channels)"
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim == 2:
        rows, columns = samples.shape
        if not rows or 1 <= columns <= min(rows, _MOST_CHANNELS):
            return samples.reshape(rows, columns or 1)
        if columns > rows and rows <= _MOST_CHANNELS:
            advice = "it looks like (channels, n): transpose it with samples.T"
    raise AudioError(
        f"{source!r} has shape {samples.shape}, not one sample a row; {advice}", source=source, reason="bad-shape"
    )


class ArrayDecoder:
    """A `Decoder` over an array of shape (n, channels)."""

    name = "array"
    tolerance = 0.0
    failure = ""
    lost = 0.0

    def __init__(self, samples: NDArray[Any], audio: Audio) -> None:
        self._samples = samples
        self._sample_rate = audio.sample_rate
        self._warnings = audio.warnings
        self.track = audio.track
        self.declared: float | None = audio.duration
        self.available: float | None = self.declared

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Yield chunks of all channels from second *offset* on."""
        step = CHUNK_SAMPLES // self._samples.shape[1]
        for start in range(round(offset * self._sample_rate), len(self._samples), step):
            yield Chunk(as_float(self._samples[start : start + step]), self._sample_rate)

    def findings(self, *, start: float, end: float) -> tuple[AudioWarning, ...]:  # noqa: ARG002 - of any decoder
        """Return what was found when the samples were loaded."""
        return self._warnings

    def close(self) -> None:
        """Nothing to let go of: the array is the caller's."""
