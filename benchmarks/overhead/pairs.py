"""Comparison of the times of two ways to do the same work."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median

import attrs

__all__ = ["Clip", "ClipWork", "Comparison", "Pair", "compare"]

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
    """Two consecutive runs of one clip in one round, one for each way."""

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
class ClipWork:
    """The functions that transcribe one clip in both ways."""

    clip: str
    raw: Work
    other: Work


@attrs.frozen(kw_only=True)
class Clip:
    """The figures of one clip: medians of its rounds.

    Attributes:
        id: Name of the clip.
        wall: Ratio of the wall times.
        cpu: Ratio of the CPU times.
        raw: Wall time of the raw way in seconds.
        extra_ms: Milliseconds by which the other way is slower.
        same_text: True if all runs have the same text.
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
        clips: Figures of each clip.
        rounds_wall: Median of the clips' ratios of wall times in each round; their range is the spread.
        rounds_cpu: Median of the clips' ratios of CPU times in each round.
    """

    clips: tuple[Clip, ...]
    rounds_wall: tuple[float, ...]
    rounds_cpu: tuple[float, ...]

    @property
    def wall(self) -> float:
        """Median of the clips' ratios of wall times."""
        return median(clip.wall for clip in self.clips)

    @property
    def cpu(self) -> float:
        """Median of the clips' ratios of CPU times."""
        return median(clip.cpu for clip in self.clips)

    @property
    def worst_wall(self) -> Clip:
        """The clip with the highest ratio of wall times."""
        return max(self.clips, key=lambda clip: clip.wall)

    @property
    def worst_cpu(self) -> Clip:
        """The clip with the highest ratio of CPU times."""
        return max(self.clips, key=lambda clip: clip.cpu)


def compare(work: Sequence[ClipWork], *, rounds: int) -> Comparison:
    """Run all work once each round, in alternating order, after a warm-up round."""
    for clip_work in work:
        clip_work.raw()
        clip_work.other()
    table = [[_measure_pair(clip_work, number=number) for clip_work in work] for number in range(rounds)]
    return Comparison(
        clips=tuple(_summarize(clip_work.clip, [row[index] for row in table]) for index, clip_work in enumerate(work)),
        rounds_wall=tuple(median(pair.wall_ratio for pair in row) for row in table),
        rounds_cpu=tuple(median(pair.cpu_ratio for pair in row) for row in table),
    )


def _measure_pair(work: ClipWork, *, number: int) -> Pair:
    if number % 2:
        other = _measure(work.other)
        return Pair(raw=_measure(work.raw), other=other)
    raw = _measure(work.raw)
    return Pair(raw=raw, other=_measure(work.other))


def _measure(work: Work) -> Sample:
    gc.collect()  # both ways start with the same heap; the collector stays enabled, as for users
    wall, cpu = time.perf_counter(), time.process_time()
    texts = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall=wall, cpu=cpu, text=" ".join(text.strip() for text in texts if text.strip()))


def _summarize(name: str, pairs: Sequence[Pair]) -> Clip:
    return Clip(
        id=name,
        wall=median(pair.wall_ratio for pair in pairs),
        cpu=median(pair.cpu_ratio for pair in pairs),
        raw=median(pair.raw.wall for pair in pairs),
        extra_ms=median(1000 * (pair.other.wall - pair.raw.wall) for pair in pairs),
        same_text=len({sample.text for pair in pairs for sample in (pair.raw, pair.other)}) == 1,
    )
