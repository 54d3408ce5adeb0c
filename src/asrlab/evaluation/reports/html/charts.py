"""Geometry of the charts: axes with round ticks, a scatter plot and histograms."""

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
        at: The position in the chart.
        label: The value.
    """

    at: float
    label: str


@attrs.frozen(kw_only=True)
class Axis:
    """An axis.

    Attributes:
        low: The value at *start*.
        high: The value at *end*.
        start: The position of the start in the chart.
        end: The position of the end in the chart.
        logarithmic: True if equal distances are equal ratios.
        values: The values of the ticks.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    values: tuple[float, ...] = ()

    def position(self, value: float) -> float:
        """Return the position of *value*, rounded to a tenth; a value outside of the axis is at its end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The ticks with their labels."""
        return tuple(Tick(at=self.position(value), label=f"{value:g}") for value in self.values)


def linear_axis(highest: float, *, start: float, end: float) -> Axis:
    """Return an axis from zero to a round value not below *highest*, with three to six ticks."""
    highest = highest if highest > 0 else 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    count = math.ceil(round(highest / step, 6))
    values = tuple(round(index * step, 10) for index in range(count + 1))
    return Axis(low=0.0, high=count * step, start=start, end=end, values=values)


def log_axis(low: float, high: float, *, start: float, end: float) -> Axis:
    """Return a logarithmic axis between two positive values, with ticks at 1, 2 and 5 times powers of ten."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # 10 ** -1 * 2 is not exactly 0.2, but a value parsed from text is.
    candidates = [float(f"{step:g}e{power}") for power in powers for step in _STEPS[:3]]
    values = tuple(value for value in candidates if low <= value <= high)
    return Axis(low=low, high=high, start=start, end=end, logarithmic=True, values=values)


WIDTH = 460
_LEFT, _RIGHT = 46, WIDTH - 14
_MIN_LOG_RATIO = 10.0
"""Ratio of the fastest to the slowest speed from which the axis is logarithmic, to keep slow systems apart."""
_ROW_HEIGHT = 58
_BAR_HEIGHT = 34


@attrs.frozen(kw_only=True)
class Point:
    """A system in the scatter plot.

    Attributes:
        index: The system's index.
        x: The position of its RTFx.
        y: The position of its WER.
        top: Upper end of the WER's interval; *y* without an interval.
        bottom: Lower end of the WER's interval.
        left: The slowest repeat; *x* without repeats.
        right: The fastest repeat.
        label_x: The position of its label.
    """

    index: int
    x: float
    y: float
    top: float
    bottom: float
    left: float
    right: float
    label_x: float


@attrs.frozen(kw_only=True)
class Scatter:
    """A scatter plot of WER against RTFx.

    Attributes:
        x: The axis of RTFx.
        y: The axis of WER, in percent.
        points: The systems that have both.
    """

    width: int = WIDTH
    height: int = 300
    x: Axis
    y: Axis
    points: tuple[Point, ...]


def scatter_plot(systems: Sequence[ScoredSystem]) -> Scatter | None:
    """Return the scatter plot of WER against RTFx; None if no system has both."""
    known = [
        (index, system, speed)
        for index, system in enumerate(systems)
        if (speed := system.model.rtfx) and system.words.reference_length
    ]
    if not known:
        return None
    x = _speed_axis([speed for _, system, _ in known for speed in system.model.rtfx_by_repeat])
    y = linear_axis(max(_highest_rate(system) for _, system, _ in known), start=250, end=16)
    return Scatter(x=x, y=y, points=tuple(_to_point(index, system, speed, x, y) for index, system, speed in known))


def _speed_axis(speeds: Sequence[float]) -> Axis:
    if max(speeds) < _MIN_LOG_RATIO * min(speeds):
        return linear_axis(max(speeds) * 1.05, start=_LEFT, end=_RIGHT)
    return log_axis(min(speeds) / 2, max(speeds) * 2, start=_LEFT, end=_RIGHT)


def _highest_rate(system: ScoredSystem) -> float:
    return 100 * max(system.words.rate or 0.0, system.interval.high if system.interval else 0.0)


def _to_point(index: int, system: ScoredSystem, speed: float, x: Axis, y: Axis) -> Point:
    rate, interval, repeats = system.words.rate or 0.0, system.interval, system.model.rtfx_by_repeat
    at = x.position(speed)
    return Point(
        index=index,
        x=at,
        y=y.position(100 * rate),
        top=y.position(100 * (interval.high if interval else rate)),
        bottom=y.position(100 * (interval.low if interval else rate)),
        left=x.position(min(repeats)),
        right=x.position(max(repeats)),
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
        index: The system's index.
        name: The system's name.
        base: The position of the bars' base.
        bars: The bars that are not empty.
        marks: The percentiles.
    """

    index: int
    name: str
    base: float
    bars: tuple[Bar, ...]
    marks: tuple[Tick, ...]


@attrs.frozen(kw_only=True)
class Histograms:
    """Histograms of several systems over one axis.

    Attributes:
        x: The axis of seconds.
        rows: The histogram of each system.
    """

    width: int = WIDTH
    height: int
    x: Axis
    rows: tuple[Histogram, ...]


def histograms(latency: LatencyHistograms) -> Histograms | None:
    """Return the chart of latencies; None if nothing was measured."""
    if not latency.edges:
        return None
    x = log_axis(latency.edges[0], latency.edges[-1], start=14, end=_RIGHT)
    rows = []
    for index, system in enumerate(latency.systems):
        base = float(_ROW_HEIGHT * (index + 1) - 2)
        percentiles = (("p50", system.summary.p50), ("p95", system.summary.p95))
        marks = tuple(Tick(at=x.position(value), label=label) for label, value in percentiles if value)
        bars = _to_bars(system.counts, latency.edges, x, base)
        rows.append(Histogram(index=index, name=system.name, base=base, bars=bars, marks=marks))
    return Histograms(height=_ROW_HEIGHT * len(rows) + 34, x=x, rows=tuple(rows))


def _to_bars(counts: Sequence[int], edges: Sequence[float], x: Axis, base: float) -> tuple[Bar, ...]:
    """Return the bars, of which the highest has the full height, since systems may have unequal numbers of repeats."""
    highest = max(counts, default=0)
    bars = []
    for index, count in enumerate(counts):
        if count:
            left, right = x.position(edges[index]), x.position(edges[index + 1])
            height = round(_BAR_HEIGHT * count / highest, 1)
            bars.append(Bar(x=left, y=base - height, width=round(right - left - 1, 1), height=height))
    return tuple(bars)
