"""The search for the fastest settings: candidates, timed passes, and a hill climb in one dimension after the other."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from asrlab.audio import Audio, load_audio
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError
from asrlab.evaluation.datasets.load import smoke
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath
from asrlab.tuning.calibration import Trial

type TuningProgress = Callable[[str, Batching, float], object]
"""Called before each pass with the dimension, the candidate, and the seconds used up."""

DIMENSIONS = ("workers", "batch size", "encoder", "window")  # in the order they are searched
BATCH_SIZES = (4, 8, 16, 32)
ACCELERATOR_WORKERS = (1, 2, 4)
FULL_WINDOW_PADDING_S = 30.0  # gives Whisper its full window
MIN_GAIN = 1.03  # minimum ratio of a candidate's speed to the incumbent's to adopt the candidate
PRUNE_RATIO = 1.15  # of a candidate's time to the incumbent's in the first round, from which there is no second round
MIN_PASS_S = 0.5  # a shorter pass measures the start and end of batches
PASSES = 4
SWEEPS = 2
# The embedded clips to join for each benchmark clip: 2 to 19 seconds, 55 in all.
_CLIP_PARTS = ((1,), (0,), (4,), (2,), (0, 2, 3), (4,), (1, 3), (3,))
_CUT_CLIP, _CUT_S = 2, 2.0  # this benchmark clip ends after so many seconds
N_CLIPS = len(_CLIP_PARTS)  # a multiple has every length equally often

_logger = logging.getLogger("asrlab.tuning")


@attrs.frozen(kw_only=True)
class SearchSpace:
    """The settings to choose from; the engine does not use those that are None in *default*.

    The workers share the cores; on an accelerator they do not compute on them.
    """

    default: Batching
    cores: int
    is_cpu: bool

    def candidates(self, dimension: str, current: Batching) -> list[Batching]:
        """Return *current* with each value of *dimension*, itself among them, in ascending order."""
        default, changes = self.default, list[dict[str, Any]]()
        if dimension == "workers" and default.workers is not None:
            changes = self._worker_counts()
        elif dimension == "batch size" and default.batch_size is not None:
            changes = [{"batch_size": size} for size in BATCH_SIZES]
        elif dimension == "encoder" and default.batch_encoder is not None:
            changes = [{"batch_encoder": is_batched} for is_batched in (False, True)]
        elif dimension == "window" and default.padding_s is not None and default.padding_s < FULL_WINDOW_PADDING_S:
            # a window shorter than the engine's is faster but loses words, which no time shows
            changes = [{"padding_s": padding_s} for padding_s in (default.padding_s, FULL_WINDOW_PADDING_S)]
        candidates = {current, *(attrs.evolve(current, **change) for change in changes)}
        return sorted(candidates, key=lambda batching: [value or 0 for value in attrs.astuple(batching)])

    def _worker_counts(self) -> list[dict[str, Any]]:
        """Return counts of workers: on the CPU with threads that fill the cores, on an accelerator a few."""
        if not self.is_cpu:
            return [{"workers": workers} for workers in ACCELERATOR_WORKERS]
        counts = {2**power for power in range(self.cores.bit_length())} | {self.cores}
        has_threads = self.default.threads is not None
        return [{"workers": workers, "threads": self.cores // workers if has_threads else None} for workers in counts]


def benchmark_clips(count: int) -> list[Audio]:
    """Return *count* clips of mixed lengths, which repeat after `N_CLIPS` and share their samples."""
    speech = [load_audio(utterance.audio) for utterance in smoke()]
    rate = speech[0].sample_rate
    joined = [np.concatenate([speech[index].samples for index in indices]) for indices in _CLIP_PARTS]
    joined[_CUT_CLIP] = joined[_CUT_CLIP][: round(_CUT_S * rate)]
    clips = [Audio(samples=samples, sample_rate=rate) for samples in joined]
    return [clips[index % N_CLIPS] for index in range(count)]


def total_duration(clips: Sequence[Audio]) -> float:
    """Return the seconds of audio in *clips*."""
    return sum(len(clip.samples) / clip.sample_rate for clip in clips)


@attrs.frozen(kw_only=True)
class TrialResult:
    """Seconds of a timed pass, or the reason why the pass is not valid and the exception behind it, if any."""

    seconds: float | None = None
    error: str | None = None
    cause: Exception | None = None


class TrialRunner:
    """Runner of timed passes of one transcriber within a budget of *seconds*, which starts now."""

    def __init__(
        self, transcriber: Transcriber, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transcriber, self._clock = transcriber, clock
        # English, so that no clip's language is uncertain, unless the model does not know English
        languages = transcriber.info.capabilities.languages
        self._options = TranscribeOptions(language="en" if languages is None or "en" in languages else None)
        self._start = clock()
        self._seconds = seconds
        self._loaded_workers: tuple[int | None, int | None] | None = None

    @property
    def used_seconds(self) -> float:
        """Seconds of the budget that are used up."""
        return self._clock() - self._start

    def has_time(self, seconds: float) -> bool:
        """Return whether so many seconds of the budget remain."""
        return self.used_seconds + seconds <= self._seconds

    def run(self, batching: Batching, clips: Sequence[Audio]) -> TrialResult:
        """Time one pass over *clips*; exclude what an engine does only once for other workers."""
        workers = (batching.workers, batching.threads)
        try:
            if workers != self._loaded_workers:
                self._loaded_workers = None
                self._transcribe(batching, benchmark_clips(2))
                self._loaded_workers = workers
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

    def _transcribe(self, batching: Batching, clips: Sequence[Audio]) -> list[DecodingPath | None]:
        paths = []
        results = self._transcriber.transcribe_many(clips, options=self._options, batching=batching, in_order=False)
        for result in results:
            paths.append(result.unwrap().decoding)
            if len(paths) < len(clips) and not self.has_time(0):
                raise TimeoutError
        return paths


class Search:
    """A search for the fastest settings within a time budget.

    The incumbent and a neighbour are timed on the same clips in the order A B B A, so that a machine that becomes
    slower or faster favours neither, and the best round of each counts. In each dimension the search climbs while
    candidates are faster, upward first. The best value in one dimension may depend on another, so there is a second
    sweep if the first changed anything. Nothing is random: the same times give the same settings.

    Attributes:
        incumbent: The fastest settings so far.
        trials: All trials, in order.
        complete: True if all candidates were tried.
    """

    def __init__(
        self, transcriber: Transcriber, space: SearchSpace, runner: TrialRunner, progress: TuningProgress | None = None
    ) -> None:
        self.incumbent = space.default
        self.trials: list[Trial] = []
        self.complete = True
        self._transcriber, self._space, self._runner = transcriber, space, runner
        self._progress = progress or (lambda _dimension, _batching, _used: None)
        self._compared: set[frozenset[Batching]] = set()
        self._rtfx = 0.0

    def run(self) -> None:
        """Search until all candidates are tried or time is used up; refuse an engine that fails with its defaults."""
        # the defaults first, so that a trial that would take too long is not started
        clips = benchmark_clips(N_CLIPS)
        result = self._run_pass("defaults", self.incumbent, clips)
        if result.cause is not None:
            raise AsrlabError(
                f"{self._transcriber.info.model.name} cannot be tuned because it fails with its default settings: "
                f"{result.error}"
            ) from result.cause
        self.trials.append(_to_trial("defaults", self.incumbent, clips, [result]))
        self._rtfx = self.trials[0].rtfx or 0.0
        for _ in range(SWEEPS):
            before = self.incumbent
            for dimension in DIMENSIONS:
                self._hill_climb(dimension)
            if self.incumbent == before:
                break

    def _hill_climb(self, dimension: str) -> None:
        before = self.incumbent
        candidates = self._space.candidates(dimension, before)
        index = candidates.index(before)
        for direction in (candidates[index + 1 :], candidates[:index][::-1]):
            for candidate in direction:
                if not self._try(dimension, candidate):
                    break
            if self.incumbent != before:
                return

    def _try(self, dimension: str, candidate: Batching) -> bool:
        """Time *candidate* against the incumbent; adopt it and return True if it is faster."""
        incumbent, effective = self.incumbent, self._transcriber.batching(candidate)
        if effective is None or effective == incumbent or frozenset((incumbent, effective)) in self._compared:
            return False
        self._compared.add(frozenset((incumbent, effective)))
        clips = self._clips(incumbent, effective)
        if not self._rtfx or not self._runner.has_time(PASSES * total_duration(clips) / self._rtfx):
            self.complete = False
            untimed = TrialResult(error="there was no time left for it")
            self.trials.append(_to_trial(dimension, effective, clips, [untimed]))
            return False
        old, new = self._compare(dimension, (incumbent, effective), clips)
        self.trials += [old, new]
        if old.best_seconds and new.best_seconds and new.best_seconds * MIN_GAIN < old.best_seconds:
            self.incumbent, self._rtfx = effective, new.rtfx or self._rtfx
            return True
        return False

    def _clips(self, *candidates: Batching) -> list[Audio]:
        """Return clips for a full batch of every worker of either candidate, and for a pass of the minimum time.

        Every length is there equally often, so that measurements on fewer or more clips can be compared.
        """
        n_parallel = max((batching.workers or 1) * (batching.batch_size or 1) for batching in candidates)
        count = math.ceil(n_parallel / N_CLIPS) * N_CLIPS
        repetitions = math.ceil(MIN_PASS_S * self._rtfx / total_duration(benchmark_clips(count)))
        return benchmark_clips(count * max(1, repetitions))

    def _compare(self, dimension: str, pair: tuple[Batching, Batching], clips: Sequence[Audio]) -> tuple[Trial, Trial]:
        passes: dict[Batching, list[TrialResult]] = {batching: [] for batching in pair}
        for order in (pair, pair[::-1]):
            for batching in order:
                passes[batching].append(self._run_pass(dimension, batching, clips))
                if passes[batching][-1].error is not None:
                    break
            old, new = (passes[batching] for batching in pair)
            if not new or new[-1].seconds is None or old[-1].seconds is None:
                break
            # on an accelerator new settings may be slow once, while kernels are chosen for them
            if self._space.is_cpu and new[-1].seconds > PRUNE_RATIO * old[-1].seconds:
                break
        return _to_trial(dimension, pair[0], clips, old), _to_trial(dimension, pair[1], clips, new)

    def _run_pass(self, dimension: str, batching: Batching, clips: Sequence[Audio]) -> TrialResult:
        self._progress(dimension, batching, self._runner.used_seconds)
        result = self._runner.run(batching, clips)
        if result.error is not None:
            _logger.info("%s: the pass with %s is not valid: %s", dimension, batching, result.error)
            self.complete = self.complete and result.cause is not None
        return result


def _to_trial(dimension: str, batching: Batching, clips: Sequence[Audio], results: Sequence[TrialResult]) -> Trial:
    return Trial(
        step=dimension,
        batching=batching,
        audio_seconds=total_duration(clips),
        seconds=tuple(result.seconds for result in results if result.seconds is not None),
        error=next((result.error for result in results if result.error is not None), None),
    )
