"""Interface of decoders, and conversion of decoded samples to checked mono float32 at 16 kHz."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from asrlab._lazy import np
from asrlab.audio.types import MAX_HZ, MIN_HZ, SAMPLE_RATE
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrlab.audio.types import AudioTrack, AudioWarning

BLOCK_SAMPLES = 2**18
"""Samples, over all channels, that a decoder holds at once: 1 MiB of float32."""
SILENT_PEAK = 1e-4
"""Peak, -80 dBFS, below which a recording is digital silence or a dead input. 16-bit noise is about as loud."""
_MAX_PEAK = 16.0
"""24 dB over full scale. Float recordings go a little over 1; integer samples in a float array go far over 16."""
_MAX_CHANNELS = 256
"""Four times the channels of the largest microphone arrays on the market; a larger number means a damaged header."""
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


def check_format(source: str, *, sample_rate: int, channels: int = 1) -> None:
    """Check the format that *source* declares, before memory is allocated for it.

    A rate of 1 Hz would turn each sample into 16,000.
    """
    if not MIN_HZ <= sample_rate <= MAX_HZ:
        problem = f"declares a sample rate of {sample_rate} Hz, which is out of range ({MIN_HZ:,} to {MAX_HZ:,})"
    elif not 1 <= channels <= _MAX_CHANNELS:
        problem = f"declares {channels} channels, which is out of range (1 to {_MAX_CHANNELS})"
    else:
        return
    message = f"{source!r} {problem}: the header is damaged; copy the file again, or repair its header"
    raise AudioError(message, source=source, reason="out-of-range")


def undecodable_error(source: str, *, failure: str) -> AudioError:
    """Return the error for *source*, which a decoder opened but could not decode; *failure* is the decoder's reason."""
    message = f"cannot decode {source!r}: {failure}; copy it again, or convert it to WAV or FLAC"
    return AudioError(message, source=source, reason="undecodable")


class Decoder(ABC):
    """Decoder of an open source, which decodes once, from front to back.

    Attributes:
        name: ``soundfile``, ``pyav`` or ``array``.
        declared: Seconds that the source declares; None if it declares no length.
        available: Seconds that are known to be present before decoding; None if only decoding can tell.
        tolerance: Seconds by which *declared* may exceed the decoded length of a whole file.
        failure: Reason for which decoding ended too early, in words; empty if it did not.
        lost: Seconds of damaged packets so far.
        track: Audio track that is decoded, of a source that has several; None otherwise.
    """

    name: str
    declared: float | None = None
    available: float | None = None
    tolerance: float = 0.01
    failure: str = ""
    lost: float = 0.0
    track: AudioTrack | None = None

    @abstractmethod
    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        """Yield blocks of all channels from second *offset* on."""

    def warnings(self, *, start: float, end: float) -> Iterable[AudioWarning]:  # noqa: ARG002 - for decoders with times
        """Return the warnings about the seconds from *start* to *end*, which have been decoded."""
        return ()

    def close(self) -> None:  # noqa: B027 - an array has nothing to release
        """Release the resources of the decoder; the underlying stream stays open."""


def to_float32(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return *samples* as float32: integers scaled to [-1, 1) by their type, floats unchanged."""
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, which check_peak reports
            return samples.astype(np.float32, copy=False)
    scale = np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    floats = samples.astype(np.float32)
    if samples.dtype.kind == "u":
        floats -= 1 / scale
    floats *= scale
    return floats


def check_peak(block: AudioBlock, *, start: float, source: str) -> float:
    """Return the largest magnitude in *block*, which starts at second *start* of *source*, if all samples are valid."""
    peak = max(float(block.samples.max()), -float(block.samples.min()))
    if peak <= _MAX_PEAK:  # false for NaN, too
        return peak
    finite = np.isfinite(block.samples)
    index = int((np.abs(block.samples) > _MAX_PEAK if finite.all() else ~finite).argmax())
    problem = f"{source!r} has a sample of {block.samples[index]:g} at second {start + index / block.sample_rate:.3f}"
    if not finite.all():
        message = f"{problem}; check the program that wrote it, or replace the sample"
        raise AudioError(message, source=source, reason="not-finite")
    message = f"{problem}, but float samples lie in [-1, 1]; if they are 16-bit integers, divide them by 32768"
    raise AudioError(message, source=source, reason="out-of-range")


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
        if block.sample_rate != self._rate:
            return [*self._change_rate(block.sample_rate), *self.feed(block)]
        if self._stream is None:
            return [block.samples]
        return [self._stream.resample_chunk(np.ascontiguousarray(block.samples))]

    def finish(self) -> list[NDArray[np.float32]]:
        """Return the remaining output."""
        return self._change_rate(SAMPLE_RATE)

    def _change_rate(self, rate: int) -> list[NDArray[np.float32]]:
        import soxr  # type: ignore[import-untyped, unused-ignore]

        stream, self._stream, self._rate = self._stream, None, rate
        if rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        return [] if stream is None else [stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)]


class Mixer:
    """Mixer of blocks of any number of channels to mono blocks, from second *start* of the file on.

    A microphone whose wires are swapped records the opposite of its neighbour, and the mean of both is silence. Each
    second is checked by itself: where the mean has lost nearly all energy of the channels, the first channel that is
    about as loud as the loudest replaces it. ``cancelled_s`` counts these seconds.
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
        self._pending.append(samples)
        size = MIX_BLOCK_S * self._layout[1]
        missing = size - round(self._position * self._layout[1]) % size
        length = sum(map(len, self._pending))
        if length < missing:
            return
        joined = np.concatenate(self._pending)
        end = missing + (length - missing) // size * size
        self._pending = [joined[end:]]
        yield self._mix(joined[:missing])
        if end > missing:
            yield self._mix(joined[missing:end])

    def _flush(self) -> Iterator[AudioBlock]:
        if any(map(len, self._pending)):
            yield self._mix(np.concatenate(self._pending))
        self._pending = []

    def _mix(self, samples: NDArray[np.float32]) -> AudioBlock:
        """Mix *samples*: whole seconds, or a part of one second."""
        rate = self._layout[1]
        mono = sum(samples.T[1:], start=samples[:, 0]) / np.float32(samples.shape[1])
        for start in range(0, len(samples), MIX_BLOCK_S * rate):
            second = slice(start, start + MIX_BLOCK_S * rate)
            channel = _replacement_channel(samples[second], mono[second])
            if channel is not None:
                mono[second] = samples[second, channel]
                self.cancelled_s += len(mono[second]) / rate
        self._position += len(samples) / rate
        return AudioBlock(np.ascontiguousarray(mono), rate)


def _replacement_channel(samples: NDArray[np.float32], mono: NDArray[np.float32]) -> int | None:
    """Return the channel to use instead of *mono*, the mean of *samples*; None if the channels do not cancel.

    For samples that are not finite the mean stays, so that `check_peak` finds them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        energies = np.array([np.dot(channel, channel) for channel in np.ascontiguousarray(samples.T)])
        typical = float(energies.mean())
        independent = typical / samples.shape[1]
        if typical <= _INAUDIBLE * len(samples) or not float(np.dot(mono, mono)) < _CANCELLED * independent:
            return None
        return int((energies >= _AS_LOUD * energies.max()).argmax())
