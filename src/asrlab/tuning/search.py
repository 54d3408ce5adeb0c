"""The search: a hill climb in one dimension after the other."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from asrlab.audio import Audio
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError
from asrlab.options import Batching
from asrlab.tuning.calibration import Trial
from asrlab.tuning.search_space import DIMENSIONS, SearchSpace
from asrlab.tuning.trial_runner import N_CLIPS, TrialResult, TrialRunner, benchmark_clips, total_duration

type TuningProgress = Callable[[str, Batching, float], object]
"""Called before each pass with the dimension, the candidate, and the seconds used up."""

MIN_GAIN = 1.03
"""Minimum ratio of a candidate's speed to the incumbent's to adopt the candidate."""
PRUNE_RATIO = 1.15
"""Ratio of a candidate's time to the incumbent's in its first round from which it gets no second round."""
MIN_PASS_S = 0.5
"""Minimum seconds of a pass. A shorter one measures the start and end of batches."""
PASSES = 4
SWEEPS = 2

_logger = logging.getLogger("asrlab.tuning")


class Search:
    """A search for the fastest settings within a time budget.

    The incumbent and a neighbour are timed on the same clips in the order A B B A, so that a machine that becomes
    slower or faster favours neither, and the best round of each counts. In each dimension the search climbs while
    candidates are faster, upward first. The best value in one dimension may depend on another, so there is a second
    sweep if the first changed anything. Nothing is random: the same times give the same settings.

    Args:
        transcriber: The model, whose engine supports batches.
        space: The settings to choose from.
        runner: Times the candidates.
        progress: Called before each pass.

    Attributes:
        incumbent: The fastest settings so far.
        trials: All trials, in order.
        complete: True if all candidates were tried.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        space: SearchSpace,
        runner: TrialRunner,
        *,
        progress: TuningProgress | None = None,
    ) -> None:
        self.incumbent = space.default
        self.trials: list[Trial] = []
        self.complete = True
        self._transcriber, self._space, self._runner = transcriber, space, runner
        self._progress = progress or (lambda _dimension, _batching, _used: None)
        self._compared: set[frozenset[Batching]] = set()
        self._rtfx = 0.0

    def run(self) -> None:
        """Search until all candidates are tried or the time is used up.

        Raises:
            AsrlabError: If the engine fails with its default settings.
        """
        self._time_defaults()
        for _ in range(SWEEPS):
            before = self.incumbent
            for dimension in DIMENSIONS:
                self._hill_climb(dimension)
            if self.incumbent == before:
                break

    def _time_defaults(self) -> None:
        """Measure the defaults, so that a trial that would take too long is not started."""
        clips = benchmark_clips(N_CLIPS)
        result = self._run_pass("defaults", self.incumbent, clips)
        if result.cause is not None:
            raise AsrlabError(
                f"{self._transcriber.info.model.name} cannot be tuned because it fails with its default settings: "
                f"{result.error}"
            ) from result.cause
        self.trials.append(_to_trial("defaults", self.incumbent, clips, [result]))
        self._rtfx = self.trials[0].rtfx or 0.0

    def _hill_climb(self, dimension: str) -> None:
        candidates = self._space.candidates(dimension, self.incumbent)
        index = candidates.index(self.incumbent)
        for direction in (candidates[index + 1 :], candidates[:index][::-1]):
            before = self.incumbent
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
        audio_s = total_duration(clips)
        if not self._rtfx or not self._runner.has_time(PASSES * audio_s / self._rtfx):
            self.complete = False
            self.trials.append(
                Trial(step=dimension, batching=effective, audio_seconds=audio_s, error="there was no time left for it")
            )
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
            if self._is_decided(*(passes[batching] for batching in pair)):
                break
        old, new = (_to_trial(dimension, batching, clips, passes[batching]) for batching in pair)
        return old, new

    def _is_decided(self, old: Sequence[TrialResult], new: Sequence[TrialResult]) -> bool:
        """Return whether either failed, or the new one is too slow.

        On an accelerator new settings may be slow once, while kernels are chosen for them.
        """
        if not new or new[-1].seconds is None or old[-1].seconds is None:
            return True
        return self._space.is_cpu and new[-1].seconds > PRUNE_RATIO * old[-1].seconds

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
