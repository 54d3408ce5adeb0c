"""Timed passes of a model over benchmark clips."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import numpy as np

from asrlab.audio import Audio, load_audio
from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.datasets.smoke import smoke
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath

_CLIP_PARTS: tuple[tuple[tuple[int, ...], float | None], ...] = (
    ((1,), None),
    ((0,), None),
    ((4,), 2.0),
    ((2,), None),
    ((0, 2, 3), None),
    ((4,), None),
    ((1, 3), None),
    ((3,), None),
)
"""For each benchmark clip, the embedded clips to join, and the second to cut at: 2 to 19 seconds, 55 in all."""

N_CLIPS = len(_CLIP_PARTS)
"""Number of benchmark clips of different lengths. A multiple of it has every length equally often."""


def benchmark_clips(count: int) -> list[Audio]:
    """Return *count* clips of mixed lengths, which repeat after `N_CLIPS` and share their samples."""
    speech = [load_audio(utterance.audio) for utterance in smoke()]
    clips = [_join([speech[index] for index in indices], end_s) for indices, end_s in _CLIP_PARTS]
    return [clips[index % N_CLIPS] for index in range(count)]


def total_duration(clips: Sequence[Audio]) -> float:
    """Return the seconds of audio in *clips*."""
    return sum(len(clip.samples) / clip.sample_rate for clip in clips)


def _join(parts: Sequence[Audio], end_s: float | None) -> Audio:
    rate = parts[0].sample_rate
    samples = np.concatenate([part.samples for part in parts])
    return Audio(samples=samples[: None if end_s is None else round(end_s * rate)], sample_rate=rate)


@attrs.frozen(kw_only=True)
class TrialResult:
    """Result of a timed pass.

    Attributes:
        seconds: Seconds that the pass took; None if it is not valid.
        error: Reason why the pass is not valid; None if it is.
        cause: The exception behind *error*, if there was one.
    """

    seconds: float | None = None
    error: str | None = None
    cause: Exception | None = None


class TrialRunner:
    """Runner of timed passes of one transcriber within a time budget.

    Args:
        transcriber: The model.
        seconds: The time budget, which starts now.
        clock: Returns the seconds of a monotonic clock.
    """

    def __init__(
        self, transcriber: Transcriber, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transcriber, self._clock = transcriber, clock
        self._options = TranscribeOptions(language=_benchmark_language(transcriber))
        self._start = clock()
        self._seconds = seconds
        self._prepared: tuple[int | None, int | None] | None = None

    @property
    def used_seconds(self) -> float:
        """Seconds of the budget that are used up."""
        return self._clock() - self._start

    def has_time(self, seconds: float) -> bool:
        """Return whether so many seconds of the budget remain."""
        return self.used_seconds + seconds <= self._seconds

    def run(self, batching: Batching, clips: Sequence[Audio]) -> TrialResult:
        """Time one pass over *clips*; exclude what an engine does only once for other workers."""
        try:
            self._prepare(batching)
            start = self._clock()
            paths = self._transcribe(batching, clips)
            seconds = self._clock() - start
        except TimeoutError:
            return TrialResult(error="the time was used up")
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the candidate cannot be used
            return TrialResult(error=f"{type(error).__name__}: {error}".strip(": "), cause=error)
        fallbacks = Counter(str(path) for path in paths if path and (path.fallback_reasons or not path.batched))
        if fallbacks.total() > len(clips) / 2:
            [(path, _)] = fallbacks.most_common(1)
            return TrialResult(error=f"{fallbacks.total()} of {len(clips)} clips were not decoded in batches: {path}")
        return TrialResult(seconds=seconds)

    def _prepare(self, batching: Batching) -> None:
        """Load the workers."""
        workers = (batching.workers, batching.threads)
        if workers != self._prepared:
            self._prepared = None
            self._transcribe(batching, benchmark_clips(2))
            self._prepared = workers

    def _transcribe(self, batching: Batching, clips: Sequence[Audio]) -> list[DecodingPath | None]:
        paths = []
        results = self._transcriber.transcribe_many(clips, options=self._options, batching=batching, in_order=False)
        for result in results:
            paths.append(result.unwrap().decoding)
            if len(paths) < len(clips) and not self.has_time(0):
                raise TimeoutError
        return paths


def _benchmark_language(transcriber: Transcriber) -> str | None:
    """Return English, so that no clip's language is uncertain; None for a model that does not know English."""
    known = transcriber.info.capabilities.languages
    return "en" if known is None or "en" in known else None
