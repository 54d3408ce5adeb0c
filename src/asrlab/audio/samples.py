"""Conversion of decoded samples to mono float32 at 16 kHz: scaling, channel mixing and resampling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from asrlab.audio.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SAMPLES = 2**18
"""Samples, over all channels, that a decoder holds at once: 1 MiB of float32."""
MIX_BLOCK_S = 1
"""Seconds of the file's clock that are mixed in one way. Whole seconds, so that a part is mixed as the whole is."""
_CANCELLED = 0.02
"""Energy of the mean, relative to that of independent channels of the same loudness, below which channels cancel.

Opposite channels whose levels are within 2 dB give less, even after a codec. One channel that speaks while the others
are silent gives 1; the same sound in all channels gives the number of channels.
"""
_INAUDIBLE = 1e-8  # energy a sample at -80 dBFS
_AS_LOUD = 0.5  # of the loudest channel's energy


class AudioBlock(NamedTuple):
    """Consecutive decoded samples.

    Attributes:
        samples: float32, n > 0: shape (n, channels) from a decoder, shape (n,) once the channels are mixed.
        sample_rate: Sample rate in Hz.
    """

    samples: NDArray[np.float32]
    sample_rate: int


def to_float32(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return *samples* as float32: integers scaled to [-1, 1) by their type, floats unchanged."""
    import numpy as np

    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, which check_peak reports
            return samples.astype(np.float32, copy=False)
    scale = np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    floats = samples.astype(np.float32)
    if samples.dtype.kind == "u":
        floats -= 1 / scale
    floats *= scale
    return floats


class Resampler:
    """Resampler of blocks of any rate to 16 kHz without seams; 16 kHz passes bit for bit.

    The rate may change between blocks, as in a radio recording of several programmes. Each run of blocks of one rate is
    resampled by itself.
    """

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._stream: Any = None

    def feed(self, block: AudioBlock) -> list[NDArray[np.float32]]:
        """Return the output that *block* completes: arrays of shape (n,), some possibly empty."""
        import numpy as np

        if block.sample_rate != self._rate:
            return [*self._change_rate(block.sample_rate), *self.feed(block)]
        if self._stream is None:
            return [block.samples]
        return [self._stream.resample_chunk(np.ascontiguousarray(block.samples))]

    def finish(self) -> list[NDArray[np.float32]]:
        """Return the remaining output."""
        return self._change_rate(SAMPLE_RATE)

    def _change_rate(self, rate: int) -> list[NDArray[np.float32]]:
        import numpy as np
        import soxr  # type: ignore[import-untyped, unused-ignore]

        stream, self._stream, self._rate = self._stream, None, rate
        if rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        return [] if stream is None else [stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)]


class Mixer:
    """Mixer of blocks of any number of channels to mono blocks.

    A microphone whose wires are swapped records the opposite of its neighbour, and the mean of both is silence. Each
    second is checked by itself: where the mean has lost nearly all energy of the channels, the first channel that is
    about as loud as the loudest replaces it.

    Args:
        start: Position of the first sample on the file's clock in seconds: a whole number of `MIX_BLOCK_S`.

    Attributes:
        cancelled_s: Seconds so far in which a single channel replaced the mean.
    """

    def __init__(self, *, start: float) -> None:
        self.cancelled_s = 0.0
        self._position = start  # of the first sample in _pending
        self._pending: list[NDArray[np.float32]] = []
        self._layout = (0, 0)  # channels and rate of _pending

    def mix(self, blocks: Iterable[AudioBlock]) -> Iterator[AudioBlock]:
        """Yield *blocks*, shape (n, channels), as blocks of shape (n,) with the same number of samples in all."""
        for block in blocks:
            layout = (block.samples.shape[1], block.sample_rate)
            if layout != self._layout:
                yield from self._flush()
                self._layout = layout
            if layout[0] == 1:
                self._position += len(block.samples) / block.sample_rate
                yield AudioBlock(block.samples[:, 0], block.sample_rate)
            else:
                yield from self._mix_whole_seconds(block.samples)
        yield from self._flush()

    def _mix_whole_seconds(self, samples: NDArray[np.float32]) -> Iterator[AudioBlock]:
        import numpy as np

        self._pending.append(samples)
        size = MIX_BLOCK_S * self._layout[1]
        missing = size - round(self._position * self._layout[1]) % size
        length = sum(map(len, self._pending))
        if length < missing:
            return
        joined = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        end = missing + (length - missing) // size * size
        self._pending = [joined[end:]]
        yield self._mix(joined[:missing])
        if end > missing:
            yield self._mix(joined[missing:end])

    def _flush(self) -> Iterator[AudioBlock]:
        import numpy as np

        if any(map(len, self._pending)):
            yield self._mix(np.concatenate(self._pending))
        self._pending = []

    def _mix(self, samples: NDArray[np.float32]) -> AudioBlock:
        """Mix *samples*: whole seconds, or a part of one second."""
        import numpy as np

        rate = self._layout[1]
        mono = _mean_of_channels(samples)
        for start in range(0, len(samples), MIX_BLOCK_S * rate):
            second = slice(start, start + MIX_BLOCK_S * rate)
            channel = _replacement_channel(samples[second], mono[second])
            if channel is not None:
                mono[second] = samples[second, channel]
                self.cancelled_s += len(mono[second]) / rate
        self._position += len(samples) / rate
        return AudioBlock(np.ascontiguousarray(mono), rate)


def _mean_of_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    channels = samples.shape[1]
    mono = samples[:, 0] + samples[:, 1]
    for channel in range(2, channels):
        mono += samples[:, channel]
    mono /= channels
    return mono


def _replacement_channel(samples: NDArray[np.float32], mono: NDArray[np.float32]) -> int | None:
    """Return the channel to use instead of *mono*, the mean of *samples*; None if the channels do not cancel.

    For samples that are not finite the mean stays, so that `check_peak` finds them.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        energies = np.array([np.dot(channel, channel) for channel in np.ascontiguousarray(samples.T)])
        typical = float(energies.mean())
        independent = typical / samples.shape[1]
        if typical <= _INAUDIBLE * len(samples) or not float(np.dot(mono, mono)) < _CANCELLED * independent:
            return None
        return int((energies >= _AS_LOUD * energies.max()).argmax())
