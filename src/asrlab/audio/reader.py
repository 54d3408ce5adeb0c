"""Reader of any audio source as blocks of mono float32 at 16 kHz, which checks every sample."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from asrlab._lazy import np
from asrlab.audio.decoder import OpenedSource, empty_error, only_audio_errors, open_source
from asrlab.audio.integrity import second_recording_warning
from asrlab.audio.samples import (
    MIX_BLOCK_S,
    SILENT_PEAK,
    AudioBlock,
    Mixer,
    Resampler,
    check_format,
    check_peak,
    undecodable_error,
)
from asrlab.audio.types import SAMPLE_RATE, Audio, AudioSource, AudioTrack, AudioWarning
from asrlab.errors import AudioError, OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger("asrlab.audio")

_PART_TOLERANCE_S = 0.25  # by which a part in a manifest may exceed the end of its file
_MAX_RESERVED = 3600 * SAMPLE_RATE  # a header can declare any length; beyond an hour the array grows with the samples
_GROWTH = 1.25


def open_audio(
    source: AudioSource, *, sample_rate: int | None = None, allow_truncated: bool = False, track: int | None = None
) -> AudioReader:
    """Open *source* for reading in blocks; decoding starts with the first block.

    Args:
        source: A path, a file's bytes, a binary file object (read from its current position on, never closed), a numpy
            array, an `Audio` or an `AudioFile`. Files are recognized by their content, never by their name.
        sample_rate: Sample rate in Hz; required for a numpy array and refused for other sources.
        allow_truncated: Accept audio that is shorter than its header declares, with a warning.
        track: Number of the audio track, from 1, unless an `AudioFile` states one itself; None chooses the track that
            the file marks as its default, or else the first, with a warning if there are several.

    Raises:
        AudioError: If the source is missing, unreadable, empty, undecodable, visibly truncated, or has no such track.
        OptionError: If *sample_rate* is missing, superfluous, or not a rate, or *track* is not a whole number of at
            least 1.
    """
    started = time.perf_counter()
    opened = open_source(source, sample_rate=sample_rate, track=track)
    try:
        return AudioReader(opened, allow_truncated=allow_truncated, started=started)
    except BaseException:
        opened.close()
        raise


def load_audio(
    source: AudioSource, *, sample_rate: int | None = None, allow_truncated: bool = False, track: int | None = None
) -> Audio:
    """Load the whole of *source* as mono float32 at 16 kHz, with its warnings: 230 MB an hour.

    The arguments and errors are those of `open_audio` and `AudioReader.read`.
    """
    with open_audio(source, sample_rate=sample_rate, allow_truncated=allow_truncated, track=track) as reader:
        samples = reader.read()
        return Audio(samples=samples, sample_rate=SAMPLE_RATE, warnings=reader.warnings, track=reader.track)


def load_samples(source: AudioSource, *, sample_rate: int | None = None) -> NDArray[np.float32]:
    """Load only the samples of `load_audio`, and log the warnings."""
    audio = load_audio(source, sample_rate=sample_rate)
    log_warnings(audio)
    return audio.samples


def log_warnings(audio: Audio) -> None:
    """Log the warnings of *audio*, for callers whose results cannot carry them."""
    for warning in audio.warnings:
        _log.warning("%s", warning)


class AudioReader:
    """Open source that is read once, from front to back. Use it as a context manager.

    Attributes:
        name: Name of the source in messages: its path, or ``<bytes>``, ``<array>``, ``<Audio>``, ``<file object>``.
        decoder: ``soundfile``, ``pyav`` or ``array``.
        track: Audio track that is read, of a file that has several; None otherwise.
        decoding_time: Seconds spent so far opening, decoding, resampling and checking, without the time between blocks.
    """

    def __init__(self, opened: OpenedSource, *, allow_truncated: bool, started: float) -> None:
        self.name = opened.label
        self.decoder = opened.decoder.name
        self.track: AudioTrack | None = opened.decoder.track
        self._source = opened
        self._allow_truncated = allow_truncated
        self._warnings: list[AudioWarning] = []
        self._samples = 0
        self._peak = 0.0
        self._started = self._closed = False
        available = opened.decoder.available
        if available is not None and available > opened.offset and not allow_truncated:
            self._check_length(min(available - opened.offset, opened.duration or math.inf))
        self.decoding_time = time.perf_counter() - started

    @property
    def declared_duration(self) -> float | None:
        """Expected seconds: of the part asked for, or as the header declares; None if no length is declared."""
        declared, duration = self._source.decoder.declared, self._source.duration
        remaining = None if declared is None else max(0.0, declared - self._source.offset)
        return min((seconds for seconds in (remaining, duration) if seconds is not None), default=None)

    @property
    def duration(self) -> float:
        """Seconds decoded so far."""
        return self._samples / SAMPLE_RATE

    @property
    def warnings(self) -> tuple[AudioWarning, ...]:
        """Warnings about the audio, such as ``truncated`` or ``gap``; complete once the audio has been read."""
        return tuple(self._warnings)

    def blocks(self, block_s: float = 30.0) -> Iterator[NDArray[np.float32]]:
        """Return the audio in blocks of *block_s* seconds; the last block is shorter.

        Yields:
            samples: float32, shape (n,), n > 0, at 16 kHz, in [-1, 1] except for slight overs.

        Raises:
            OptionError: If *block_s* is not positive.
            AudioError: If a sample is not finite (``not-finite``) or exceeds 16 (``out-of-range``), there are no
                samples (``empty``), fewer than declared (``truncated``, after the last whole block), they cannot be
                decoded (``undecodable``), or the audio has been read already (``unreadable``).
        """
        if not (math.isfinite(block_s) and round(block_s * SAMPLE_RATE) > 0):
            raise OptionError(f"block_s must be a positive number of seconds, not {block_s!r}", option="block_s")
        return _in_blocks(self._decode(), round(block_s * SAMPLE_RATE))

    def read(self) -> NDArray[np.float32]:
        """Return the whole audio as one array: float32, shape (n,), at 16 kHz. The errors are those of `blocks`."""
        arrays = self._decode()
        expected = self.declared_duration or 0.0
        buffer = np.empty(min(round(expected * SAMPLE_RATE) + SAMPLE_RATE, _MAX_RESERVED), dtype=np.float32)
        size = 0
        for samples in arrays:
            end = size + len(samples)
            if end > len(buffer):
                buffer.resize(max(end, int(len(buffer) * _GROWTH)), refcheck=False)
            buffer[size:end] = samples
            size = end
        buffer.resize(size, refcheck=False)
        return buffer

    def close(self) -> None:
        """Close the source; a file object that the caller opened stays open."""
        self._closed = True
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AudioReader of {self.name!r} with {self.decoder}, {self.duration:.2f} s decoded>"

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        if self._started or self._closed:
            state = "has been read" if self._started else "was closed"
            raise AudioError(f"{self.name!r} {state} already; open it again", source=self.name, reason="unreadable")
        self._started = True
        return self._timed(self._resampled())

    def _timed(self, arrays: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        try:
            while True:
                if self._closed:
                    message = f"{self.name!r} was closed while it was read; keep it open until the end"
                    raise AudioError(message, source=self.name, reason="unreadable")
                start = time.perf_counter()
                samples = next(arrays, None)
                self.decoding_time += time.perf_counter() - start
                if samples is None:
                    return
                self._samples += len(samples)
                yield samples
        finally:
            self.close()

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        resampler = Resampler()
        # Parts begin with a whole second, so that each second is mixed as in the whole recording.
        start = self._source.offset // MIX_BLOCK_S * MIX_BLOCK_S
        mixer = Mixer(start=start)
        seconds = 0.0
        for block in self._trim(mixer.mix(self._blocks(start)), start):
            start_s = self._source.offset + seconds
            self._peak = max(self._peak, check_peak(block, start=start_s, source=self.name))
            seconds += len(block.samples) / block.sample_rate
            yield from resampler.feed(block)
        self._check_end(seconds, cancelled_s=mixer.cancelled_s)
        yield from resampler.finish()

    def _blocks(self, offset: float) -> Iterator[AudioBlock]:
        """Yield the decoder's blocks of all channels from second *offset* on, in which the sample rate may change."""
        with only_audio_errors(self.name):
            for block in self._source.decoder.blocks(offset=offset):
                check_format(self.name, sample_rate=block.sample_rate, channels=block.samples.shape[1])
                yield block

    def _trim(self, blocks: Iterator[AudioBlock], start: float) -> Iterator[AudioBlock]:
        """Yield the part of *blocks*, which start at second *start*, that the caller asked for."""
        offset, remaining = self._source.offset, self._source.duration
        skip: int | None = None
        for block in blocks:
            rate = block.sample_rate
            skip = round(offset * rate) - round(start * rate) if skip is None else skip
            samples, skip = block.samples[skip:], max(0, skip - len(block.samples))
            wanted = len(samples) if remaining is None else round(remaining * rate)
            if min(wanted, len(samples)) > 0:
                yield AudioBlock(samples[:wanted], rate)
            if remaining is not None:
                remaining -= len(samples) / rate
                if wanted <= len(samples):
                    return

    def _check_end(self, seconds: float, *, cancelled_s: float) -> None:
        """Raise an error for audio that is too short, and collect the warnings.

        The decoded *seconds* include silence in place of damaged packets; in *cancelled_s* the channels cancelled.
        """
        stream, decoder, offset = self._source.stream, self._source.decoder, self._source.offset
        if stream is not None:
            stream.raise_error()
        if not seconds:
            if decoder.failure:
                raise undecodable_error(self.name, failure=decoder.failure)
            raise empty_error(self.name, size=None if stream is None else stream.size, offset=offset)
        try:
            self._check_length(seconds - decoder.lost)
        except AudioError as error:
            if not self._allow_truncated:
                raise
            self._warn("truncated", error.message.partition("; ")[0])
        else:
            if decoder.failure or decoder.lost:
                damage = decoder.failure or f"{decoder.lost:.2f} s cannot be decoded"
                self._warn("damaged", f"{self.name!r} is damaged: {damage}")
        self._warnings += decoder.warnings(start=offset, end=offset + seconds)
        if stream is not None and self._source.duration is None and (warning := second_recording_warning(stream)):
            self._warnings.append(warning)
        if cancelled_s:
            lasting = f"in {min(cancelled_s, seconds):.2f} of {seconds:.2f} s: a single channel is used there"
            message = f"the channels of {self.name!r} cancel each other out (opposite phase) {lasting}"
            self._warn("opposite-phase", message)
        if self._peak < SILENT_PEAK:
            self._warn("silent", f"{self.name!r} is silent: no sample of its {seconds:.2f} s exceeds -80 dBFS")

    def _check_length(self, seconds: float) -> None:
        """Raise an error if *seconds* are fewer than the caller asked for, or else than the header declares.

        A source without a declared length need only be decoded to its end.
        """
        decoder, expected, tolerance = self._source.decoder, self._source.duration, _PART_TOLERANCE_S
        is_part = expected is not None
        if expected is None and decoder.declared is not None:
            expected, tolerance = decoder.declared - self._source.offset, decoder.tolerance
        if not decoder.failure if expected is None else seconds >= expected - tolerance:
            return
        if expected is None:
            problem = f"{self.name!r} is cut off or damaged: {seconds:.2f} s could be decoded"
        elif is_part:
            problem = f"a part of {expected:.2f} s of {self.name!r} was asked for, but it has only {seconds:.2f} s"
        else:
            problem = f"{self.name!r} is truncated: it declares {expected:.2f} s, but {seconds:.2f} s could be decoded"
        reason = f" ({decoder.failure})" if decoder.failure else ""
        advice = "copy it again, or use the decoded part with allow_truncated=True (--allow-truncated)"
        message = f"{problem}{reason}; {advice}"
        raise AudioError(message, source=self.name, reason="truncated", declared=expected, decoded=seconds)

    def _warn(self, code: str, message: str) -> None:
        self._warnings.append(AudioWarning(code=code, message=message))


def _in_blocks(arrays: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """Yield *arrays*, cut and joined to *size* samples each; the last block is shorter."""
    pending: list[NDArray[np.float32]] = []
    missing = size
    for samples in arrays:
        remaining = samples
        while len(remaining) >= missing:
            yield np.concatenate([*pending, remaining[:missing]])
            pending, remaining, missing = [], remaining[missing:], size
        pending.append(remaining)
        missing -= len(remaining)
    if missing < size:
        yield np.concatenate(pending)
