"""Samples of any type to float32 in [-1, 1], at 16 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from asrlab.audio.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CHUNK_SAMPLES", "Chunk", "Resampler", "as_float", "mean_of_channels"]

CHUNK_SAMPLES = 2**18
"""How many samples, over all channels, a decoder holds at once: 1 MiB of float32."""


class Chunk(NamedTuple):
    """A stretch of decoded audio.

    Attributes:
        samples: float32, n > 0: shape (n, channels) from a decoder, shape (n,) once the channels are mixed.
        sample_rate: Hz.
    """

    samples: NDArray[np.float32]
    sample_rate: int


def as_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """*samples* as float32: integers scaled to [-1, 1) by their type, floats as they are."""
    import numpy as np

    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which the checks refuse by its place
            return samples.astype(np.float32, copy=False)
    scale = np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    floats = samples.astype(np.float32)
    if samples.dtype.kind == "u":
        floats -= 1 / scale
    floats *= scale
    return floats


def mean_of_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the channels of *samples*, shape (n, 2 or more)."""
    channels = samples.shape[1]
    mono = samples[:, 0] + samples[:, 1]
    for channel in range(2, channels):
        mono += samples[:, channel]
    mono /= channels
    return mono


class Resampler:
    """Chunks of any rate to 16 kHz without seams; 16 kHz passes bit for bit.

    A rate may change between chunks, as in a radio recording of several programmes: each run of one rate is resampled
    by itself.
    """

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._stream: Any = None

    def feed(self, chunk: Chunk) -> list[NDArray[np.float32]]:
        """What *chunk* adds to the output: arrays of shape (n,), some possibly empty."""
        import numpy as np

        if chunk.sample_rate != self._rate:
            return [*self._switch(chunk.sample_rate), *self.feed(chunk)]
        if self._stream is None:
            return [chunk.samples]
        return [self._stream.resample_chunk(np.ascontiguousarray(chunk.samples))]

    def finish(self) -> list[NDArray[np.float32]]:
        """What the resampler still held."""
        return self._switch(SAMPLE_RATE)

    def _switch(self, rate: int) -> list[NDArray[np.float32]]:
        import numpy as np
        import soxr  # type: ignore[import-untyped, unused-ignore]

        stream, self._stream, self._rate = self._stream, None, rate
        if rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        return [] if stream is None else [stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)]
