"""Comparison of the times of two ways to do the same work."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median

import attrs

__all__ = ["Clip", "Comparison", "Contest", "Pair", "compare"]

Work = Callable[[], Sequence[str]]


@attrs.frozen(kw_only=True)
class Sample:
    """One timed run.

    Attributes:
        wall: Wall-clock seconds.
        cpu: Seconds of CPU, over all threads of this process.
        text: The resulting text.
    """

    wall: float
    cpu: float
    text: str


@attrs.frozen(kw_only=True)
class Pair:
    """The two ways on one clip in one round, run one right after the other."""

    raw: Sample
    other: Sample

    @property
    def wall_ratio(self) -> float:
        """Ratio of the wall-clock times."""
        return self.other.wall / self.raw.wall

    @property
    def cpu_ratio(self) -> float:
        """Ratio of the CPU times."""
        return self.other.cpu / self.raw.cpu


@attrs.frozen(kw_only=True)
class Contest:
    """One clip to be transcribed in both ways."""

    clip: str
    raw: Work
    other: Work


@attrs.frozen(kw_only=True)
class Clip:
    """One clip's figures: medians over its rounds.

    Attributes:
        id: Which clip.
        wall: Ratio of the times by the clock.
        cpu: Ratio of the CPU times.
        raw: Seconds by the clock that the raw way took.
        extra_ms: Milliseconds that the other way took longer.
        same_text: Whether all runs gave one text.
    """

    id: str
    wall: float
    cpu: float
    raw: float
    extra_ms: float
    same_text: bool


@attrs.frozen(kw_only=True)
class Comparison:
    """All clips in all rounds.

    Attributes:
        clips: Each clip's figures.
        rounds_wall: Each round's median, over the clips, of the ratio by the clock: their range is the spread.
        rounds_cpu: The same of the CPU times.
    """

    clips: tuple[Clip, ...]
    rounds_wall: tuple[float, ...]
    rounds_cpu: tuple[float, ...]

    @property
    def wall(self) -> float:
        """The median clip's ratio by the clock."""
        return median(clip.wall for clip in self.clips)

    @property
    def cpu(self) -> float:
        """The median clip's ratio of the CPU times."""
        return median(clip.cpu for clip in self.clips)

    @property
    def worst_wall(self) -> Clip:
        """The clip with the highest ratio by the clock."""
        return max(self.clips, key=lambda clip: clip.wall)

    @property
    def worst_cpu(self) -> Clip:
        """The clip with the highest ratio of the CPU times."""
        return max(self.clips, key=lambda clip: clip.cpu)


def compare(contests: Sequence[Contest], *, rounds: int) -> Comparison:
    """Run every contest once a round, the two ways taking turns at going first, after one round that is not counted."""
    for contest in contests:
        contest.raw()
        contest.other()
    table = [[_pair(contest, turn=turn) for contest in contests] for turn in range(rounds)]
    return Comparison(
        clips=tuple(_clip(contest.clip, [row[at] for row in table]) for at, contest in enumerate(contests)),
        rounds_wall=tuple(median(pair.wall_ratio for pair in row) for row in table),
        rounds_cpu=tuple(median(pair.cpu_ratio for pair in row) for row in table),
    )


def _pair(contest: Contest, *, turn: int) -> Pair:
    if turn % 2:
        other = _timed(contest.other)
        return Pair(raw=_timed(contest.raw), other=other)
    raw = _timed(contest.raw)
    return Pair(raw=raw, other=_timed(contest.other))


def _timed(work: Work) -> Sample:
    gc.collect()  # both ways start from the same heap; the collector stays on, as it is for users
    wall, cpu = time.perf_counter(), time.process_time()
    texts = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall=wall, cpu=cpu, text=" ".join(text.strip() for text in texts if text.strip()))


def _clip(name: str, pairs: Sequence[Pair]) -> Clip:
    return Clip(
        id=name,
        wall=median(pair.wall_ratio for pair in pairs),
        cpu=median(pair.cpu_ratio for pair in pairs),
        raw=median(pair.raw.wall for pair in pairs),
        extra_ms=median(1000 * (pair.other.wall - pair.raw.wall) for pair in pairs),
        same_text=len({sample.text for pair in pairs for sample in (pair.raw, pair.other)}) == 1,
    )
