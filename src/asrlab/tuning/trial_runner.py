"""One timed pass of a model over clips."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import attrs

from asrlab.audio import Audio
from asrlab.engine.transcriber import Transcriber
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath
from asrlab.tuning.benchmark_clips import clips


@attrs.frozen(kw_only=True)
class TrialResult:
    """How a pass went.

    Attributes:
        seconds: What it took; None if it does not count.
        error: Why it does not count; None if it does.
        cause: The exception behind *error*, if there was one.
    """

    seconds: float | None = None
    error: str | None = None
    cause: Exception | None = None


class TimeBudget:
    """Times passes of one transcriber, until the time is used up.

    Args:
        transcriber: What is timed.
        seconds: How long in all, from now.
        clock: What gives seconds.
    """

    def __init__(
        self, transcriber: Transcriber, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transcriber, self._clock = transcriber, clock
        self._options = TranscribeOptions(language=_language(transcriber))
        self._start = clock()
        self._seconds = seconds
        self._ready: tuple[int | None, int | None] | None = None

    @property
    def used(self) -> float:
        """Seconds used up."""
        return self._clock() - self._start

    def has(self, seconds: float) -> bool:
        """Whether so many are left."""
        return self.used + seconds <= self._seconds

    def time(self, batching: Batching, speech: Sequence[Audio]) -> TrialResult:
        """One pass over *speech*; what an engine does but once for other workers is left out of it."""
        try:
            self._prepare(batching)
            start = self._clock()
            paths = self._paths(batching, speech)
            taken = self._clock() - start
        except TimeoutError:
            return TrialResult(error="the time was used up")
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, it cannot be used like this
            return TrialResult(error=f"{type(error).__name__}: {error}".strip(": "), cause=error)
        fallbacks = Counter(str(path) for path in paths if path and (path.fallback_reasons or not path.batched))
        if fallbacks.total() > len(speech) / 2:
            [(reason, _)] = fallbacks.most_common(1)
            return TrialResult(
                error=f"{fallbacks.total()} of {len(speech)} clips were not decoded in batches: {reason}"
            )
        return TrialResult(seconds=taken)

    def _prepare(self, batching: Batching) -> None:
        """Have the workers loaded."""
        wanted = (batching.workers, batching.threads)
        if wanted != self._ready:
            self._ready = None
            list(self._paths(batching, clips(2)))
            self._ready = wanted

    def _paths(self, batching: Batching, speech: Sequence[Audio]) -> list[DecodingPath | None]:
        paths = []
        for outcome in self._transcriber.transcribe_many(
            speech, options=self._options, batching=batching, in_order=False
        ):
            paths.append(outcome.unwrap().decoding)
            if len(paths) < len(speech) and not self.has(0):
                raise TimeoutError
        return paths


def _language(transcriber: Transcriber) -> str | None:
    """English, so that a clip's first seconds are in no doubt; None for a model that does not know it."""
    known = transcriber.info.capabilities.languages
    return "en" if known is None or "en" in known else None
