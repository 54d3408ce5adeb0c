"""The audio reader: any source as blocks of mono float32 at 16 kHz, every sample checked on the way."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from asrlab.audio.checks import (
    SILENT_PEAK,
    checked_peak,
    empty_error,
    opposite_phase_finding,
    truncated_error,
    undecodable_error,
)
from asrlab.audio.integrity import joined_findings
from asrlab.audio.opening import OpenedSource, open_source
from asrlab.audio.samples import BLOCK_S, Chunk, Mixer, Resampler
from asrlab.audio.types import SAMPLE_RATE, Audio, AudioSource, AudioTrack, AudioWarning
from asrlab.errors import AudioError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_log = logging.getLogger("asrlab.audio")

_PART_TOLERANCE = 0.25  # seconds by which a manifest's part may overshoot the end of its file
_MOST_RESERVED = 3600 * SAMPLE_RATE  # a header can declare anything; beyond an hour the array grows as samples come
_GROWTH = 1.25


def open_audio(
    source: AudioSource, *, sample_rate: int | None = None, allow_truncated: bool = False, track: int | None = None
) -> AudioReader:
    """Open *source* for reading in blocks; decoding starts with the first block.

    Args:
        source: A path, a file's bytes, a binary file object (read from its current position on, never closed), a numpy
            array, an `Audio` or an `AudioFile`. Files are known by their content, never by their name.
        sample_rate: Hz; needed for a numpy array and refused for anything else.
        allow_truncated: Take what is there of audio that is shorter than its header declares, with a warning.
        track: Number of the audio track, from 1, unless an `AudioFile` names one itself; None takes the one that the
            file marks as its default, or else the first, with a warning where there are several.

    Raises:
        AudioError: The source is missing, unreadable, empty, undecodable, or visibly truncated, or has no such track.
        OptionError: *sample_rate* is missing, superfluous, or not a rate; *track* is not a whole number from 1 up.
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
    """Return the whole of *source* in memory as mono float32 at 16 kHz, with its warnings: 230 MB an hour.

    Takes and raises what `open_audio` and `AudioReader.read` do.
    """
    with open_audio(source, sample_rate=sample_rate, allow_truncated=allow_truncated, track=track) as reader:
        samples = reader.read()
        return Audio(samples=samples, sample_rate=SAMPLE_RATE, warnings=reader.warnings, track=reader.track)


def load_samples(source: AudioSource, *, sample_rate: int | None = None) -> NDArray[np.float32]:
    """Return the samples of `load_audio` alone; what samples cannot carry, its warnings, is logged."""
    audio = load_audio(source, sample_rate=sample_rate)
    log_warnings(audio)
    return audio.samples


def log_warnings(audio: Audio) -> None:
    """Log the warnings of *audio*, for callers whose results cannot carry them."""
    for warning in audio.warnings:
        _log.warning("%s", warning)


class AudioReader:
    """An open source, read once, from front to back. Use it as a context manager.

    Attributes:
        name: How messages call the source: its path, or ``<bytes>``, ``<array>``, ``<Audio>``, ``<file object>``.
        decoder: ``soundfile``, ``pyav`` or ``array``.
        track: The audio track that is read of a file that has several; None otherwise.
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
        self._begun = self._closed = False
        self._check_ahead()
        self._decoding_time = time.perf_counter() - started

    @property
    def declared_duration(self) -> float | None:
        """Seconds that should come, of the part asked for, or what the header declares; None if it does not."""
        declared, duration, offset = self._source.decoder.declared, self._source.duration, self._source.offset
        if declared is None:
            return duration
        rest = max(0.0, declared - offset)
        return rest if duration is None else min(rest, duration)

    @property
    def duration(self) -> float:
        """Seconds decoded so far."""
        return self._samples / SAMPLE_RATE

    @property
    def decoding_time(self) -> float:
        """Seconds spent so far opening, decoding, resampling and checking, without the time between blocks."""
        return self._decoding_time

    @property
    def warnings(self) -> tuple[AudioWarning, ...]:
        """What the reader found, such as ``truncated`` or ``gap``; complete once the audio has been read."""
        return tuple(self._warnings)

    def blocks(self, block_s: float = 30.0) -> Iterator[NDArray[np.float32]]:
        """The audio in blocks of *block_s* seconds, the last one shorter.

        Yields:
            samples: float32, shape (n,), n > 0, at 16 kHz, in [-1, 1] but for slight overs.

        Raises:
            OptionError: *block_s* is not positive.
            AudioError: A sample is not finite (``not-finite``) or exceeds 16 (``out-of-range``), there are no samples
                (``empty``), fewer than declared (``truncated``, after the last whole block), they cannot be decoded
                (``undecodable``), or the audio has been read already (``unreadable``).
        """
        if not (math.isfinite(block_s) and round(block_s * SAMPLE_RATE) > 0):
            raise OptionError(f"block_s must be a positive number of seconds, not {block_s!r}", option="block_s")
        return _in_blocks(self._decoded(), round(block_s * SAMPLE_RATE))

    def read(self) -> NDArray[np.float32]:
        """The whole as one array: float32, shape (n,), at 16 kHz; raises what `blocks` does."""
        import numpy as np

        decoded = self._decoded()
        expected = self.declared_duration or 0.0
        buffer = np.empty(min(round(expected * SAMPLE_RATE) + SAMPLE_RATE, _MOST_RESERVED), dtype=np.float32)
        filled = 0
        for samples in decoded:
            end = filled + len(samples)
            if end > len(buffer):
                buffer.resize(max(end, int(len(buffer) * _GROWTH)), refcheck=False)
            buffer[filled:end] = samples
            filled = end
        buffer.resize(filled, refcheck=False)
        return buffer

    def close(self) -> None:
        """Let go of the source; a file object that the caller opened stays open."""
        self._closed = True
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AudioReader of {self.name!r} with {self.decoder}, {self.duration:.2f} s decoded>"

    def _decoded(self) -> Iterator[NDArray[np.float32]]:
        if self._begun or self._closed:
            state = "has been read" if self._begun else "was closed"
            raise AudioError(f"{self.name!r} {state} already; open it again", source=self.name, reason="unreadable")
        self._begun = True
        return self._timed(self._resampled())

    def _timed(self, arrays: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        try:
            while (samples := self._next(arrays)) is not None:
                self._samples += len(samples)
                yield samples
        finally:
            self.close()

    def _next(self, arrays: Iterator[NDArray[np.float32]]) -> NDArray[np.float32] | None:
        if self._closed:
            raise AudioError(f"{self.name!r} was closed while it was read", source=self.name, reason="unreadable")
        start = time.perf_counter()
        try:
            return next(arrays, None)
        finally:
            self._decoding_time += time.perf_counter() - start

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        resampler = Resampler()
        # Parts begin with a whole second, so that each second is mixed as it is in the whole.
        begin = self._source.offset // BLOCK_S * BLOCK_S
        mixer = Mixer(start=begin)
        seconds = 0.0
        for chunk in self._wanted(mixer.mono(self._source.chunks(offset=begin)), begin):
            peak = checked_peak(chunk, at=self._source.offset + seconds, source=self.name)
            self._peak = max(self._peak, peak)
            seconds += len(chunk.samples) / chunk.sample_rate
            yield from resampler.feed(chunk)
        self._check_end(seconds, cancelled_s=mixer.cancelled_s)
        yield from resampler.finish()

    def _wanted(self, chunks: Iterator[Chunk], begin: float) -> Iterator[Chunk]:
        """Yield the part of *chunks*, which start at second *begin*, that was asked for."""
        offset, left = self._source.offset, self._source.duration
        early: int | None = None
        for chunk in chunks:
            rate = chunk.sample_rate
            early = round(offset * rate) - round(begin * rate) if early is None else early
            samples, early = chunk.samples[early:], max(0, early - len(chunk.samples))
            wanted = len(samples) if left is None else round(left * rate)
            if min(wanted, len(samples)) > 0:
                yield Chunk(samples[:wanted], rate)
            if left is not None:
                left -= len(samples) / rate
                if wanted <= len(samples):
                    return

    def _check_ahead(self) -> None:
        """Refuse what is seen to be truncated before any of it is transcribed."""
        available = self._source.decoder.available
        if available is None or self._allow_truncated:
            return
        there = available - self._source.offset
        if there > 0 and self._is_short(min(there, self._source.duration or there)):
            raise self._truncated(min(there, self._source.duration or there))

    def _check_end(self, seconds: float, *, cancelled_s: float) -> None:
        """Refuse what is too short, and collect the warnings.

        Args:
            seconds: The length of what came, silence in place of damaged packets included.
            cancelled_s: Seconds in which the channels cancelled each other out.
        """
        stream, decoder, offset = self._source.stream, self._source.decoder, self._source.offset
        if stream is not None:
            stream.raise_error()
        if not seconds and decoder.failure:
            raise undecodable_error(self.name, failure=decoder.failure)
        if not seconds:
            raise empty_error(self.name, size=None if stream is None else stream.size, offset=offset)
        if self._is_short(seconds - decoder.lost):
            error = self._truncated(seconds - decoder.lost)
            if not self._allow_truncated:
                raise error
            self._warn("truncated", error.message.partition("; ")[0])
        elif decoder.failure or decoder.lost:
            what = decoder.failure or f"{decoder.lost:.2f} s cannot be decoded"
            self._warn("damaged", f"{self.name!r} is damaged: {what}")
        self._warnings += decoder.findings(start=offset, end=offset + seconds)
        if stream is not None and self._source.duration is None:
            self._warnings += joined_findings(stream)
        if cancelled_s:
            self._warnings.append(opposite_phase_finding(self.name, cancelled_s=cancelled_s, duration=seconds))
        if self._peak < SILENT_PEAK:
            self._warn("silent", f"{self.name!r} is silent: no sample of its {seconds:.2f} s exceeds -80 dBFS")

    def _is_short(self, seconds: float) -> bool:
        """Whether *seconds* are too few; a source that does not say how long it is must just be decoded to its end."""
        decoder, promised = self._source.decoder, self._promised()
        if promised is None:
            return bool(decoder.failure)
        tolerance = decoder.tolerance if self._source.duration is None else _PART_TOLERANCE
        return seconds < promised - tolerance

    def _promised(self) -> float | None:
        """Seconds that were asked for, or else that the header declares; None if it does not."""
        if self._source.duration is not None:
            return self._source.duration
        declared = self._source.decoder.declared
        return None if declared is None else declared - self._source.offset

    def _truncated(self, seconds: float) -> AudioError:
        return truncated_error(
            self.name,
            declared=self._promised(),
            decoded=seconds,
            failure=self._source.decoder.failure,
            part=self._source.duration is not None,
        )

    def _warn(self, code: str, message: str) -> None:
        self._warnings.append(AudioWarning(code=code, message=message))


def _in_blocks(arrays: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """*arrays* cut and joined to *size* samples each; the rest comes last."""
    import numpy as np

    held: list[NDArray[np.float32]] = []
    missing = size
    for samples in arrays:
        rest = samples
        while len(rest) >= missing:
            yield np.concatenate([*held, rest[:missing]])
            held, rest, missing = [], rest[missing:], size
        held.append(rest)
        missing -= len(rest)
    if missing < size:
        yield np.concatenate(held)
