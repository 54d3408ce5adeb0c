"""Chunks of a long recording, cut at silence while the recording streams, and the seconds of speech in a recording."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import attrs

from asrlab._lazy import np
from asrlab.audio import SAMPLE_RATE, AudioSource, open_audio
from asrlab.audio.samples import SILENT_PEAK
from asrlab.errors import AsrlabError, OptionError
from asrlab.vad.detector import FRAME_SAMPLES, VoiceActivityDetector, load_vad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_MIN_WINDOW_S = 0.256  # eight frames to choose from
_EDGE_S = 0.1  # a detector finds the beginning of speech late, and its end early
_QUIET = 0.35
"""Probability of speech below which a frame is quiet. Source: Silero's ``neg_threshold``, in utils_vad.py."""
_MIN_FRAMES = 3
"""96 ms: a shorter silence lies within a word, and a shorter sound is no word. Source: Silero cuts at 98 ms or more."""
_PAUSE_FRAMES = 25
"""0.8 s: a pause between sentences. A longer pause is no better for a cut."""
_PADDING_FRAMES = 16
"""0.5 s of silence that stay with the speech before and after a cut, if there is more."""
_SPEECH = 0.5
"""Probability that one of the frames of speech has at least. Source: Silero's ``threshold``, in utils_vad.py."""
_MEASURED_SAMPLES = 29 * 32 * FRAME_SAMPLES
"""29.7 s: whole groups of the frames that a detector scores at once, so that each block has its own probabilities."""
_GAP_FRAMES = 94
"""3 s: a silence of this length is separated from the speech around it."""


_log = logging.getLogger("asrlab.vad")


@attrs.frozen(kw_only=True, eq=False)
class Chunk:
    """Part of a recording that an engine transcribes at once.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        start: Start in seconds from the start of the audio.
        end: End in seconds, at which the next chunk starts.
        speech: Start of the first speech and end of the last in seconds, each 0.1 s wider than detected; None if
            there is no speech.
        is_whole: True if the chunk is the whole recording.
    """

    samples: NDArray[np.float32]
    start: float
    end: float
    speech: tuple[float, float] | None
    is_whole: bool = False

    @property
    def has_speech(self) -> bool:
        """True if the detector found speech in the chunk."""
        return self.speech is not None

    @property
    def should_transcribe(self) -> bool:
        """True if the chunk has speech, or is a whole recording that is not digital silence.

        Models make up text for silence, but a detector that errs must not swallow a whole recording.
        """
        return self.has_speech or (self.is_whole and bool(abs(self.samples).max() >= SILENT_PEAK))


@attrs.frozen(kw_only=True)
class Chunker:
    """Splitter of audio at silence, for an engine that transcribes only a limited length at once.

    Audio that is no longer than *max_chunk_s* is one chunk, unchanged. Longer audio is cut

    - around a silence of 3 s or more, so that half a second of silence stays with the speech on either side and the
      rest is a chunk without speech, which an engine can skip,
    - else at the best silence in the second half of the longest chunk,
    - else, in speech without a pause, where speech is the least likely.

    The cuts depend on the samples and the detector alone, not on the blocks.

    Attributes:
        vad: Voice activity detector.
        max_chunk_s: Maximum chunk duration in seconds.
        min_chunk_s: Minimum chunk duration in seconds, except for a whole recording; at most a quarter of
            *max_chunk_s*.
        min_audio_s: Minimum seconds that the engine accepts, at most *min_chunk_s*; `transcribe_chunks` refuses a
            shorter recording.

    Raises:
        OptionError: If the durations contradict each other.
    """

    vad: VoiceActivityDetector
    max_chunk_s: float = 30.0
    min_chunk_s: float = 1.0
    min_audio_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.max_chunk_s) and 0 < self.min_chunk_s <= self.max_chunk_s / 4):
            problem = f"audio cannot be cut into chunks of {self.min_chunk_s:g} to {self.max_chunk_s:g} s"
            cure = "min_chunk_s must be more than 0 and at most a quarter of max_chunk_s"
            raise OptionError(f"{problem}; {cure}", option="min_chunk_s")
        if self.max_chunk_s < _MIN_WINDOW_S:
            message = f"max_chunk_s must be {_MIN_WINDOW_S} s or more, not {self.max_chunk_s:g}"
            raise OptionError(message, option="max_chunk_s")
        if self.min_audio_s > self.min_chunk_s:
            problem = f"min_audio_s {self.min_audio_s:g} is more than min_chunk_s {self.min_chunk_s:g}"
            raise OptionError(f"{problem}; raise min_chunk_s", option="min_audio_s")

    def split(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Chunk]:
        """Yield the chunks of a recording, each as soon as its end is known; together they are all of its samples.

        At most *max_chunk_s*, *min_chunk_s*, a second and one of *blocks*, which have any length, are in memory.
        """
        buffer = _AudioBuffer(self.vad)
        step = self._max_samples  # so that a recording given as one block is not copied whole
        for samples in (block[start : start + step] for block in blocks for start in range(0, len(block), step)):
            buffer.feed(samples)
            while len(buffer.probabilities) >= self._lookahead:
                yield buffer.take(self._choose_cut(buffer, self._max_frames))
        buffer.feed(None)
        while (cut := self._final_cut(buffer)) is not None:
            yield buffer.take(cut)
        if buffer.samples:
            yield buffer.take()

    def split_in_half(self, chunk: Chunk) -> tuple[Chunk, Chunk] | None:
        """Cut *chunk* at the quietest moment of its middle half; None if the chunk is too short for two chunks."""
        frames = len(chunk.samples) // FRAME_SAMPLES
        if frames < 2 * self._min_frames:
            return None
        buffer = _AudioBuffer(self.vad, start=round(chunk.start * SAMPLE_RATE))
        buffer.feed(chunk.samples)
        buffer.feed(None)
        earliest, probabilities = max(frames // 4, self._min_frames), buffer.rescored(frames + 1)
        cut = _cut_at_quietest(probabilities, earliest=earliest, latest=frames - earliest, ideal=frames // 2)
        return buffer.take(cut), buffer.take()

    @property
    def _max_samples(self) -> int:
        return math.floor(self.max_chunk_s * SAMPLE_RATE)

    @property
    def _max_frames(self) -> int:
        return self._max_samples // FRAME_SAMPLES

    @property
    def _min_frames(self) -> int:
        return math.ceil(self.min_chunk_s * SAMPLE_RATE / FRAME_SAMPLES)

    @property
    def _lookahead(self) -> int:
        """Number of frames that decide on a cut; with fewer, the chunk after the cut might be too short."""
        return self._max_frames + self._min_frames

    def _final_cut(self, buffer: _AudioBuffer) -> int | None:
        """Return the frame before which to cut the end of a recording; None if the buffer is the last chunk."""
        latest = min(self._max_frames, buffer.samples // FRAME_SAMPLES - self._min_frames)
        if buffer.samples > self._max_samples:
            return self._choose_cut(buffer, latest)
        if not buffer.start:
            return None
        return _cut_at_gap(buffer.rescored(self._max_frames + 1), earliest=self._min_frames, latest=latest)

    def _choose_cut(self, buffer: _AudioBuffer, latest: int) -> int:
        probabilities = buffer.rescored(self._lookahead)
        gap = _cut_at_gap(probabilities, earliest=self._min_frames, latest=latest)
        return gap or _cut_at_quietest(probabilities, earliest=self._max_frames // 2, latest=latest, ideal=latest)


class _AudioBuffer:
    """Samples that are not cut yet, and the probabilities of their frames, which arrive later."""

    def __init__(self, vad: VoiceActivityDetector, *, start: int = 0) -> None:
        self._vad = vad
        self._stream = vad.start()
        self._arrays: list[NDArray[np.float32]] = []
        self.samples = 0  # their number
        self.start = start  # index in the recording; cuts lie between frames, so frames begin there
        self.probabilities = np.empty(0, np.float32)

    def feed(self, samples: NDArray[np.float32] | None) -> None:
        """Add *samples*; None ends the recording, so that the remaining samples are scored."""
        if samples is not None:
            self._arrays.append(samples)
            self.samples += len(samples)
        probabilities = self._stream.finish() if samples is None else self._stream.feed(samples)
        self.probabilities = np.concatenate([self.probabilities, probabilities])

    def rescored(self, frames: int) -> NDArray[np.float32]:
        """Return the probabilities of the first *frames*; the detector scores them again if none of them is speech."""
        probabilities = self.probabilities[:frames]
        if _is_speech(probabilities).any():
            return probabilities
        again = self._vad.rescore(self._concatenated()[: frames * FRAME_SAMPLES])
        return probabilities if again is None else again

    def take(self, frames: int | None = None) -> Chunk:
        """Remove and return the first *frames* as a chunk; None takes all samples."""
        samples = self.samples if frames is None else frames * FRAME_SAMPLES
        frames = len(self.probabilities) if frames is None else frames
        joined = self._concatenated()
        start, end = self.start / SAMPLE_RATE, (self.start + samples) / SAMPLE_RATE
        spoken = _is_speech(self.rescored(frames)).nonzero()[0]
        speech = None
        if len(spoken):
            first, last = (start + int(frame) * FRAME_SAMPLES / SAMPLE_RATE for frame in (spoken[0], spoken[-1] + 1))
            speech = (max(start, first - _EDGE_S), min(end, last + _EDGE_S))
        is_whole = self.start == 0 and samples == self.samples
        chunk = Chunk(samples=joined[:samples].copy(), start=start, end=end, speech=speech, is_whole=is_whole)
        self._arrays, self.probabilities = [joined[samples:]], self.probabilities[frames:]
        self.samples -= samples
        self.start += samples
        return chunk

    def _concatenated(self) -> NDArray[np.float32]:
        self._arrays = [np.concatenate(self._arrays)]
        return self._arrays[0]


def _cut_at_gap(probabilities: NDArray[np.float32], *, earliest: int, latest: int) -> int | None:
    """Return the frame, from *earliest* to *latest*, before which to cut off a long silence.

    The cut lies after a silence at the start, else before the silence. The result is None if there is no silence of
    3 s, or only silence. *probabilities* are those of the audio since the last cut, including the lookahead.
    """
    for begin, end in _runs(~_is_speech(probabilities)):
        if end - begin < _GAP_FRAMES or (begin, end) == (0, len(probabilities)):
            continue
        cut = min(end - _PADDING_FRAMES, latest) if begin == 0 else begin + _PADDING_FRAMES
        if earliest <= cut <= latest:
            return cut
    return None


def _cut_at_quietest(probabilities: NDArray[np.float32], *, earliest: int, latest: int, ideal: int) -> int:
    """Return the best frame before which to cut, from *earliest* to *latest*.

    The cut lies in the silence that is longest and surest, in its middle or 0.5 s after its beginning. Without a
    silence of 96 ms, the two frames around the cut are those least likely to be speech. Of equals, the one nearest to
    *ideal* is returned.
    """
    runs = [run for run in _runs(probabilities[earliest:latest] < _QUIET) if run[1] - run[0] >= _MIN_FRAMES]
    if not runs:
        around = probabilities[earliest - 1 : latest] + probabilities[earliest : latest + 1]
        cuts = [earliest + int(index) for index in (around == around.min()).nonzero()[0]]
    else:
        silences = [(earliest + begin, earliest + end) for begin, end in runs]
        # the certainty of each silence times its length, up to that of a pause
        scores = [
            float((_QUIET - probabilities[begin:end]).mean()) * min(end - begin, _PAUSE_FRAMES)
            for begin, end in silences
        ]
        best = [silence for silence, score in zip(silences, scores, strict=True) if score == max(scores)]
        cuts = [min((begin + end) // 2, begin + _PADDING_FRAMES) for begin, end in best]
    return min(cuts, key=lambda cut: (abs(cut - ideal), cut))


def _is_speech(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the mask of the frames that are speech, without clicks."""
    mask = probabilities >= _QUIET
    for begin, end in _runs(mask):
        if end - begin < _MIN_FRAMES:
            mask[begin:end] = False
    return mask


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of *mask* that are true, as (first, after the last)."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def speech_seconds(
    audio: AudioSource, *, vad: VoiceActivityDetector | None = None, track: int | None = None
) -> float | None:
    """Return the seconds of speech that a voice activity model finds in *audio*.

    Without a model, loudness alone cannot tell speech from noise: the result is 0 for digital silence and None for any
    other audio. Half a minute of audio is in memory at a time, and 125 bytes a second.

    Args:
        audio: The audio; truncated audio is read to its end.
        vad: Voice activity detector; None loads one. Pass one for many utterances, because loading takes time.
        track: Number of the audio track, as in ``TranscribeOptions``.

    Returns:
        The seconds; None if the audio cannot be read, or no model is installed.
    """
    try:
        vad = vad or load_vad()
        with open_audio(audio, allow_truncated=True, track=track) as reader:
            seconds = _measure(np.concatenate(list(_score(reader.blocks(_MEASURED_SAMPLES / SAMPLE_RATE), vad))))
            if any(warning.code == "silent" for warning in reader.warnings):
                return 0.0
            return None if vad.info.sha256 is None else min(reader.duration, seconds)
    except AsrlabError as error:
        _log.debug("cannot measure speech: %s", error)
    except Exception as error:  # noqa: BLE001 - an optional measurement must never cost the transcript
        _log.warning("cannot measure speech: %s: %s", type(error).__name__, error)
    return None


def _score(blocks: Iterator[NDArray[np.float32]], vad: VoiceActivityDetector) -> Iterator[NDArray[np.float32]]:
    """Yield the probabilities of each block; the detector scores a block without speech again by itself."""
    stream = vad.start()
    for samples in blocks:
        probabilities = stream.feed(samples)
        if len(samples) < _MEASURED_SAMPLES:
            probabilities = np.concatenate([probabilities, stream.finish()])
        again = None if _measure(probabilities) else vad.rescore(samples)
        yield probabilities if again is None else again


def _measure(probabilities: NDArray[np.float32]) -> float:
    """Return the seconds of speech in frames of *probabilities*."""
    runs = [probabilities[begin:end] for begin, end in _runs(probabilities >= _QUIET)]
    frames = sum(len(run) for run in runs if len(run) >= _MIN_FRAMES and run.max() >= _SPEECH)
    return frames * FRAME_SAMPLES / SAMPLE_RATE
