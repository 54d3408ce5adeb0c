"""Axes: from a figure to its place in a picture, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from asrlab.evaluation.reports.scored_system import ScoredSystem
from asrlab.evaluation.reports.speed import LatencyHistograms

_STEPS = (1.0, 2.0, 5.0, 10.0)


@attrs.frozen(kw_only=True)
class Tick:
    """A mark on an axis.

    Attributes:
        at: Its place in the picture.
        label: The figure.
    """

    at: float
    label: str


@attrs.frozen(kw_only=True)
class Axis:
    """An axis from one figure to another.

    Attributes:
        low: The figure at *start*.
        high: The figure at *end*.
        start: In the picture.
        end: In the picture.
        logarithmic: Whether equal distances are equal ratios.
        values: Where the ticks are.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    values: tuple[float, ...] = ()

    def place(self, value: float) -> float:
        """Where *value* is, to a tenth; one outside of the axis is at its end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The ticks with their labels."""
        return tuple(Tick(at=self.place(value), label=f"{value:g}") for value in self.values)


def linear_axis(highest: float, *, start: float, end: float) -> Axis:
    """An axis from zero to a round figure not below *highest*, with three to six ticks."""
    highest = highest if highest > 0 else 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    count = math.ceil(round(highest / step, 6))
    values = tuple(round(place * step, 10) for place in range(count + 1))
    return Axis(low=0.0, high=count * step, start=start, end=end, values=values)


def log_axis(low: float, high: float, *, start: float, end: float) -> Axis:
    """An axis from *low* to *high*, both above zero, with ticks at 1, 2 and 5 times powers of ten."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # 10 ** -1 * 2 is not quite 0.2: what is read back from text is
    every = [float(f"{step:g}e{power}") for power in powers for step in _STEPS[:3]]
    values = tuple(value for value in every if low <= value <= high)
    return Axis(low=low, high=high, start=start, end=end, logarithmic=True, values=values)


WIDTH = 460
_LEFT, _RIGHT = 46, WIDTH - 14
_LOG_FROM = 10.0
"""Times that one speed is another, from which on an axis from zero would press the slower ones together."""
_ROW = 58


@attrs.frozen(kw_only=True)
class Point:
    """A system in the picture of WER against RTFx.

    Attributes:
        place: Which system, from 0.
        x: By its RTFx.
        y: By its WER.
        top: Upper end of the WER's interval; *y* without one.
        bottom: Lower end.
        left: The slowest repeat; *x* without any.
        right: The fastest.
        label_x: Where its letter stands.
    """

    place: int
    x: float
    y: float
    top: float
    bottom: float
    left: float
    right: float
    label_x: float


@attrs.frozen(kw_only=True)
class Scatter:
    """WER against RTFx.

    Attributes:
        x: The axis of speed.
        y: The axis of errors, in percent.
        points: Those systems that have both figures.
    """

    width: int = WIDTH
    height: int = 300
    x: Axis
    y: Axis
    points: tuple[Point, ...]


def scatter_plot(systems: Sequence[ScoredSystem]) -> Scatter | None:
    """The picture; None where no system has both figures."""
    known = [
        (place, system, speed)
        for place, system in enumerate(systems)
        if (speed := system.model.rtfx) and system.words.reference_length
    ]
    if not known:
        return None
    speeds = [each for _, system, _ in known for each in system.model.rtfx_of_repeats]
    x, y = _speed_axis(speeds), linear_axis(max(map(_highest, (system for _, system, _ in known))), start=250, end=16)
    return Scatter(x=x, y=y, points=tuple(_point(place, system, speed, x, y) for place, system, speed in known))


def _speed_axis(speeds: Sequence[float]) -> Axis:
    if max(speeds) < _LOG_FROM * min(speeds):
        return linear_axis(max(speeds) * 1.05, start=_LEFT, end=_RIGHT)
    return log_axis(min(speeds) / 2, max(speeds) * 2, start=_LEFT, end=_RIGHT)


def _highest(system: ScoredSystem) -> float:
    return 100 * max(system.words.rate or 0.0, system.interval.high if system.interval else 0.0)


def _point(place: int, system: ScoredSystem, speed: float, x: Axis, y: Axis) -> Point:
    rate, interval, repeats = system.words.rate or 0.0, system.interval, system.model.rtfx_of_repeats
    at = x.place(speed)
    return Point(
        place=place,
        x=at,
        y=y.place(100 * rate),
        top=y.place(100 * (interval.high if interval else rate)),
        bottom=y.place(100 * (interval.low if interval else rate)),
        left=x.place(min(repeats)),
        right=x.place(max(repeats)),
        label_x=at - 11 if at > _RIGHT - 20 else at + 11,
    )


@attrs.frozen(kw_only=True)
class Bar:
    """One bin of a histogram."""

    x: float
    y: float
    width: float
    height: float


@attrs.frozen(kw_only=True)
class Histogram:
    """The histogram of one system.

    Attributes:
        place: Which system, from 0.
        name: Its name.
        base: Where its bars stand.
        bars: Those that are not empty.
        marks: Its percentiles.
    """

    place: int
    name: str
    base: float
    bars: tuple[Bar, ...]
    marks: tuple[Tick, ...]


@attrs.frozen(kw_only=True)
class Histograms:
    """Histograms over one axis, one below the other.

    Attributes:
        x: The axis of seconds.
        rows: One a system.
    """

    width: int = WIDTH
    height: int
    x: Axis
    rows: tuple[Histogram, ...]


def histograms(view: LatencyHistograms) -> Histograms | None:
    """The picture of latencies; None where nothing was measured."""
    if not view.edges:
        return None
    x = log_axis(view.edges[0], view.edges[-1], start=14, end=_RIGHT)
    rows = []
    for place, system in enumerate(view.systems):
        base = float(_ROW * (place + 1) - 2)
        named = (("p50", system.summary.p50), ("p95", system.summary.p95))
        marks = tuple(Tick(at=x.place(value), label=label) for label, value in named if value)
        bars = _bars(system.counts, view.edges, x, base)
        rows.append(Histogram(place=place, name=system.name, base=base, bars=bars, marks=marks))
    return Histograms(height=_ROW * len(rows) + 34, x=x, rows=tuple(rows))


def _bars(counts: Sequence[int], edges: Sequence[float], x: Axis, base: float) -> tuple[Bar, ...]:
    """Each system's highest bin has the full height: systems may have been measured unequally often."""
    most = max(counts, default=0)
    found = []
    for place, count in enumerate(counts):
        if count:
            left, right, height = x.place(edges[place]), x.place(edges[place + 1]), round(34 * count / most, 1)
            found.append(Bar(x=left, y=base - height, width=round(right - left - 1, 1), height=height))
    return tuple(found)
