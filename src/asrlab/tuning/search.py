"""The search: one thing after the other, the present choice against its neighbour, in turns."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from asrlab.audio import Audio
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError
from asrlab.options import Batching
from asrlab.tuning.benchmark_clips import CYCLE, clips, duration
from asrlab.tuning.calibration import Trial
from asrlab.tuning.search_space import DIMENSIONS, SearchSpace
from asrlab.tuning.trial_runner import TimeBudget, TrialResult

type TuningProgress = Callable[[str, Batching, float], object]
"""Told before each pass: the step, what is tried, and the seconds used up."""

LEAST_GAIN = 1.03
"""How many times faster than the present choice another must be to take its place."""
HOPELESS = 1.15
"""How many times slower it is after the first round where a second is not worth its time."""
LEAST_PASS = 0.5
"""Seconds; a shorter pass measures how a batch begins and ends."""
PASSES = 4
SWEEPS = 2
_NO_TIME = "no time was left for it"

log = logging.getLogger("asrlab.tuning")


class Search:
    """Finds the fastest batching, as far as the time goes.

    The present choice and its neighbour on a ladder are timed on the same clips as A B B A, so that a machine that
    becomes slower or faster favours neither, and the best of each counts. A ladder is climbed as long as that pays,
    upward first. Since one thing may change what is best of another, there is a second sweep where the first has
    changed anything. Nothing is random: the same times lead to the same choice.

    Args:
        transcriber: One that batches.
        room: What there is to choose from.
        stopwatch: Its time begins to run with it.
        progress: Told before each pass.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        room: SearchSpace,
        stopwatch: TimeBudget,
        *,
        progress: TuningProgress | None = None,
    ) -> None:
        self.chosen = room.default
        self.trials: list[Trial] = []
        self.complete = True
        self._transcriber, self._room, self._stopwatch = transcriber, room, stopwatch
        self._progress = progress or (lambda _step, _batching, _used: None)
        self._compared: set[frozenset[Batching]] = set()
        self._pace = 0.0

    def run(self) -> None:
        """Search until all was tried, or the time is used up.

        Raises:
            AsrlabError: The engine fails with its own defaults.
        """
        self._time_defaults()
        for _ in range(SWEEPS):
            before = self.chosen
            for step, ladder in DIMENSIONS:
                self._climb(step, ladder(self._room, self.chosen))
            if self.chosen == before:
                break

    def _time_defaults(self) -> None:
        """How fast it is at all, so that what would take too long is not begun."""
        speech = clips(CYCLE)
        done = self._pass("defaults", self.chosen, speech)
        if done.cause is not None:
            raise AsrlabError(
                f"{self._transcriber.info.model.name} cannot be calibrated, since it fails as it is: {done.error}"
            ) from done.cause
        self.trials.append(_trial("defaults", self.chosen, speech, [done]))
        self._pace = self.trials[0].pace or 0.0

    def _climb(self, step: str, ladder: Sequence[Batching]) -> None:
        place = ladder.index(self.chosen)
        for rungs in (ladder[place + 1 :], ladder[:place][::-1]):
            before = self.chosen
            for rung in rungs:
                if not self._better(step, rung):
                    break
            if self.chosen != before:
                return

    def _better(self, step: str, rung: Batching) -> bool:
        """Whether *rung*, as the engine takes it, is faster than the present choice; then it is the choice."""
        present, candidate = self.chosen, self._transcriber.batching(rung)
        if candidate is None or candidate == present or frozenset((present, candidate)) in self._compared:
            return False
        self._compared.add(frozenset((present, candidate)))
        speech = self._speech(present, candidate)
        if not self._pace or not self._stopwatch.has(PASSES * duration(speech) / self._pace):
            self.complete = False
            self.trials.append(Trial(step=step, batching=candidate, audio_seconds=duration(speech), error=_NO_TIME))
            return False
        old, new = self._compare(step, (present, candidate), speech)
        self.trials += [old, new]
        if old.best and new.best and new.best * LEAST_GAIN < old.best:
            self.chosen, self._pace = candidate, new.pace or self._pace
            return True
        return False

    def _speech(self, *choices: Batching) -> list[Audio]:
        """Enough clips for a full batch of every worker, whichever is the choice, and for a pass that is not too short.

        All lengths are equally many, so that what is measured on fewer or more clips can be set side by side.
        """
        most = max((choice.workers or 1) * (choice.batch_size or 1) for choice in choices)
        cycles = math.ceil(most / CYCLE)
        least = math.ceil(LEAST_PASS * self._pace / duration(clips(cycles * CYCLE)))
        return clips(cycles * CYCLE * max(1, least))

    def _compare(self, step: str, pair: tuple[Batching, Batching], speech: Sequence[Audio]) -> tuple[Trial, Trial]:
        passes: dict[Batching, list[TrialResult]] = {each: [] for each in pair}
        for order in (pair, pair[::-1]):
            for batching in order:
                passes[batching].append(self._pass(step, batching, speech))
                if passes[batching][-1].error is not None:
                    break
            if self._is_decided(*(passes[each] for each in pair)):
                break
        old, new = (_trial(step, each, speech, passes[each]) for each in pair)
        return old, new

    def _is_decided(self, old: Sequence[TrialResult], new: Sequence[TrialResult]) -> bool:
        """Whether one of them failed, or the new one is hopeless.

        On an accelerator what is new may be slow but once, while its kernels are chosen.
        """
        if not new or new[-1].seconds is None or old[-1].seconds is None:
            return True
        return self._room.cpu and new[-1].seconds > HOPELESS * old[-1].seconds

    def _pass(self, step: str, batching: Batching, speech: Sequence[Audio]) -> TrialResult:
        self._progress(step, batching, self._stopwatch.used)
        done = self._stopwatch.time(batching, speech)
        if done.error is not None:
            log.info("%s: %s does not count: %s", step, batching, done.error)
            self.complete = self.complete and done.cause is not None
        return done


def _trial(step: str, batching: Batching, speech: Sequence[Audio], passes: Sequence[TrialResult]) -> Trial:
    return Trial(
        step=step,
        batching=batching,
        audio_seconds=duration(speech),
        seconds=tuple(done.seconds for done in passes if done.seconds is not None),
        error=next((done.error for done in passes if done.error is not None), None),
    )
