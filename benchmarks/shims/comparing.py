"""What upstream and the look-alike gave, flattened to fields and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

__all__ = ["Example", "Field", "compare"]

ROUNDING = 1e-5


@attrs.frozen(kw_only=True)
class Example:
    """The same work, done both ways.

    Attributes:
        name: What it is.
        upstream: Does it with the package itself.
        shim: Does it with the look-alike.
        slow: Whether it may be left out, since it shows little that others do not.
        tolerances: How far apart numbers of a field may be that differ on purpose.
    """

    name: str
    upstream: Callable[[], Any]
    shim: Callable[[], Any]
    slow: bool = False
    tolerances: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Field:
    """One field of what both gave.

    Attributes:
        example: Where.
        name: Such as ``segments[].text``.
        upstream: Its values, as text, in order.
        shim: Likewise.
        most: The largest difference between numbers; 0 where there is none, infinite where it is no number's.
        tolerance: What passes for the same.
    """

    example: str
    name: str
    upstream: tuple[str, ...]
    shim: tuple[str, ...]
    most: float
    tolerance: float = ROUNDING

    @property
    def equal(self) -> bool:
        """Whether all values are the same, to the last bit."""
        return self.most == 0

    @property
    def close(self) -> bool:
        """Whether numbers are the same but for their rounding, or what differs on purpose, and all else is equal."""
        return self.most <= self.tolerance

    @property
    def row(self) -> tuple[str, ...]:
        """For the table: the first values, and how many there are."""
        told = "yes" if self.equal else "no" if math.isinf(self.most) else f"to {self.most:.1g}"
        return (f"{self.example}: {self.name}", _shown(self.upstream), _shown(self.shim), str(len(self.upstream)), told)


def compare(example: Example) -> list[Field]:
    """Do the work both ways, and compare each field."""
    ours, theirs = _gathered(example.shim()), _gathered(example.upstream())
    return [
        Field(
            example=example.name,
            name=name,
            upstream=tuple(map(_text, theirs.get(name, ()))),
            shim=tuple(map(_text, ours.get(name, ()))),
            most=_difference(theirs.get(name, []), ours.get(name, [])),
            tolerance=example.tolerances.get(name, ROUNDING),
        )
        for name in dict.fromkeys([*theirs, *ours])
    ]


def _gathered(value: Any) -> dict[str, list[Any]]:
    fields: dict[str, list[Any]] = {}
    for name, each in _leaves(value, ""):
        fields.setdefault(name, []).append(each)
    return fields


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        for each in value:
            yield from _leaves(each, f"{name}[]")
    else:
        yield name or "result", value


def _difference(theirs: list[Any], ours: list[Any]) -> float:
    if len(theirs) != len(ours):
        return math.inf
    return max((float(_apart(one, other)) for one, other in zip(theirs, ours, strict=True)), default=0.0)


def _apart(one: Any, other: Any) -> float:
    if hasattr(one, "shape") and getattr(one, "ndim", 0):
        first, second = np.asarray(one), np.asarray(other)
        return float(np.abs(first - second).max(initial=0.0)) if first.shape == second.shape else math.inf
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))
    if one == other or (numbers and math.isnan(one) and math.isnan(other)):  # infinity less itself is no number
        return 0.0
    return abs(one - other) if numbers else math.inf


def _text(value: Any) -> str:
    if hasattr(value, "shape") and getattr(value, "ndim", 0):
        return f"{type(value).__name__} {tuple(value.shape)}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _shown(values: tuple[str, ...], width: int = 30) -> str:
    text = " ".join((values or ("",))[0].split())
    return text if len(text) <= width else text[: width - 3] + "..."
