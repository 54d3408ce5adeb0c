"""Samples of any type to float32 in [-1, 1], at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from asrlab.audio.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


BLOCK_S = 1
"""Seconds of the file's clock that are mixed in one way: whole ones, so that a part is mixed as the whole is."""
_CANCELLED = 0.02
"""The energy of the mean, over what independent channels of the same loudness give, below which channels cancel.

Opposite channels whose levels are within 2 dB give less, and so do codecs' remains of them. One channel that speaks
while the others are silent gives 1, the same sound in all channels gives their number.
"""
_INAUDIBLE = 1e-8  # energy a sample at -80 dBFS
_AS_LOUD = 0.5  # of the loudest channel's energy


class Mixer:
    """Chunks of any number of channels to mono chunks.

    A microphone whose wires are swapped records the opposite of its neighbour, and the mean of both is silence. Each
    second is looked at by itself: where the mean has lost nearly all the energy of the channels, the first channel that
    is about as loud as the loudest takes its place.

    Args:
        start: Seconds of the file's clock at which the first sample lies: a whole number of `BLOCK_S`.

    Attributes:
        cancelled_s: Seconds in which a single channel took the place of the mean, so far.
    """

    def __init__(self, *, start: float) -> None:
        self.cancelled_s = 0.0
        self._position = start  # of the first sample in _pending
        self._pending: list[NDArray[np.float32]] = []
        self._layout = (0, 0)  # channels and rate of _pending

    def mono(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield *chunks*, shape (n, channels), as chunks of shape (n,); what comes in is what comes out."""
        for chunk in chunks:
            layout = (chunk.samples.shape[1], chunk.sample_rate)
            if layout != self._layout:
                yield from self._rest()
                self._layout = layout
            if layout[0] == 1:
                self._position += len(chunk.samples) / chunk.sample_rate
                yield Chunk(chunk.samples[:, 0], chunk.sample_rate)
            else:
                yield from self._whole_blocks(chunk.samples)
        yield from self._rest()

    def _whole_blocks(self, samples: NDArray[np.float32]) -> Iterator[Chunk]:
        import numpy as np

        self._pending.append(samples)
        size = BLOCK_S * self._layout[1]
        missing = size - round(self._position * self._layout[1]) % size
        length = sum(map(len, self._pending))
        if length < missing:
            return
        joined = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        end = missing + (length - missing) // size * size
        self._pending = [joined[end:]]
        yield self._mixed(joined[:missing])
        if end > missing:
            yield self._mixed(joined[missing:end])

    def _rest(self) -> Iterator[Chunk]:
        import numpy as np

        if any(map(len, self._pending)):
            yield self._mixed(np.concatenate(self._pending))
        self._pending = []

    def _mixed(self, samples: NDArray[np.float32]) -> Chunk:
        """Mix whole blocks, or one that is not whole."""
        import numpy as np

        rate = self._layout[1]
        mono = mean_of_channels(samples)
        for start in range(0, len(samples), BLOCK_S * rate):
            block = slice(start, start + BLOCK_S * rate)
            channel = _instead_of_mean(samples[block], mono[block])
            if channel is not None:
                mono[block] = samples[block, channel]
                self.cancelled_s += len(mono[block]) / rate
        self._position += len(samples) / rate
        return Chunk(np.ascontiguousarray(mono), rate)


def _instead_of_mean(samples: NDArray[np.float32], mono: NDArray[np.float32]) -> int | None:
    """Return the channel to take instead of *mono*, the mean of *samples*; None if the mean is as it should be.

    Samples that are not finite leave the mean, so that they are found.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        energies = np.array([np.dot(channel, channel) for channel in np.ascontiguousarray(samples.T)])
        typical = float(energies.mean())
        independent = typical / samples.shape[1]
        if typical <= _INAUDIBLE * len(samples) or not float(np.dot(mono, mono)) < _CANCELLED * independent:
            return None
        return int((energies >= _AS_LOUD * energies.max()).argmax())
