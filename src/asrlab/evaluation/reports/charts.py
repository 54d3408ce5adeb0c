"""Geometry of the page's charts: axes with round ticks, a scatter plot and histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import attrs

from asrlab.evaluation.reports.scored_system import LatencyHistograms, ScoredSystem

WIDTH = 460
_LEFT, _RIGHT = 46, WIDTH - 14
_STEPS = (1.0, 2.0, 5.0, 10.0)
_MIN_LOG_RATIO = 10.0
"""Ratio of the fastest to the slowest speed from which the axis is logarithmic, to keep slow systems apart."""
_ROW_HEIGHT = 58
_BAR_HEIGHT = 34


class Tick(NamedTuple):
    """A mark on an axis: its position in the chart, and its label."""

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
        return tuple(Tick(self.position(value), f"{value:g}") for value in self.values)


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


def scatter_plot(systems: Sequence[ScoredSystem]) -> dict[str, Any] | None:
    """Return the axes and points of a chart of WER against RTFx; None if no system has both.

    A point has the positions of both figures, the interval of the WER, the slowest and fastest repeat, and its label.
    """
    known = [
        (index, system, speed)
        for index, system in enumerate(systems)
        if (speed := system.model.rtfx) and system.words.reference_length
    ]
    if not known:
        return None
    speeds = [speed for _, system, _ in known for speed in system.model.rtfx_by_repeat]
    if max(speeds) < _MIN_LOG_RATIO * min(speeds):
        x = linear_axis(max(speeds) * 1.05, start=_LEFT, end=_RIGHT)
    else:
        x = log_axis(min(speeds) / 2, max(speeds) * 2, start=_LEFT, end=_RIGHT)
    y = linear_axis(max(max(_percents(system)) for _, system, _ in known), start=250, end=16)
    points = []
    for index, system, speed in known:
        rate, low, high = map(y.position, _percents(system))
        at, repeats = x.position(speed), system.model.rtfx_by_repeat
        points.append(
            {
                "index": index,
                "x": at,
                "y": rate,
                "top": high,
                "bottom": low,
                "left": x.position(min(repeats)),
                "right": x.position(max(repeats)),
                "label_x": at - 11 if at > _RIGHT - 20 else at + 11,
            }
        )
    return {"width": WIDTH, "height": 300, "x": x, "y": y, "points": points}


def _percents(system: ScoredSystem) -> tuple[float, float, float]:
    """Return the WER and the ends of its interval, which are the WER itself without an interval."""
    rate, interval = 100 * (system.words.rate or 0.0), system.interval
    return (rate, 100 * interval.low, 100 * interval.high) if interval else (rate, rate, rate)


def histograms(latency: LatencyHistograms) -> dict[str, Any] | None:
    """Return the axis of the latencies and a row of bars for each system; None if nothing was measured.

    The highest bar of each row has the full height, since systems may have unequal numbers of repeats.
    """
    if not latency.edges:
        return None
    x = log_axis(latency.edges[0], latency.edges[-1], start=14, end=_RIGHT)
    edges = [x.position(edge) for edge in latency.edges]
    rows = []
    for index, system in enumerate(latency.systems):
        base = float(_ROW_HEIGHT * (index + 1) - 2)
        percentiles = (("p50", system.summary.p50), ("p95", system.summary.p95))
        marks = [Tick(x.position(value), label) for label, value in percentiles if value]
        bars = []
        for left, right, count in zip(edges, edges[1:], system.counts, strict=False):
            if count:
                height = round(_BAR_HEIGHT * count / max(system.counts), 1)
                bars.append({"x": left, "y": base - height, "width": round(right - left - 1, 1), "height": height})
        rows.append({"index": index, "name": system.name, "base": base, "bars": bars, "marks": marks})
    return {"width": WIDTH, "height": _ROW_HEIGHT * len(rows) + 34, "x": x, "rows": rows}
