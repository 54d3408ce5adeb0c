"""Axes: from a figure to its place in a picture, with round ticks."""

from __future__ import annotations

import math

import attrs

__all__ = ["Axis", "Tick", "linear_axis", "log_axis"]

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
