"""Results of upstream and of the drop-in replacement, flattened to fields and compared."""

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
    """The same work by upstream and by the drop-in replacement.

    Attributes:
        name: Name of the example.
        upstream: Runs the work with the package itself.
        shim: Runs the work with the drop-in replacement.
        slow: True if the example may be skipped, because others show nearly the same.
        tolerances: Maximum difference of fields that differ by design.
    """

    name: str
    upstream: Callable[[], Any]
    shim: Callable[[], Any]
    slow: bool = False
    tolerances: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Field:
    """One field of both results.

    Attributes:
        example: Name of the example.
        name: Path of the field, such as ``segments[].text``.
        upstream: Values of upstream as text, in order.
        shim: Values of the drop-in replacement as text, in order.
        most: Maximum difference between numbers; 0 if the values are equal, infinite if other values differ.
        tolerance: Maximum difference of values that count as close.
    """

    example: str
    name: str
    upstream: tuple[str, ...]
    shim: tuple[str, ...]
    most: float
    tolerance: float = ROUNDING

    @property
    def equal(self) -> bool:
        """True if all values are identical."""
        return self.most == 0

    @property
    def close(self) -> bool:
        """True if numbers differ at most by rounding or by design, and all other values are identical."""
        return self.most <= self.tolerance

    @property
    def row(self) -> tuple[str, ...]:
        """Return the row of the table: the first values, and their number."""
        equality = "yes" if self.equal else "no" if math.isinf(self.most) else f"to {self.most:.1g}"
        return (
            f"{self.example}: {self.name}",
            _shorten(self.upstream),
            _shorten(self.shim),
            str(len(self.upstream)),
            equality,
        )


def compare(example: Example) -> list[Field]:
    """Run the work with both packages, and compare each field."""
    ours, theirs = _flatten(example.shim()), _flatten(example.upstream())
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


def _flatten(value: Any) -> dict[str, list[Any]]:
    fields: dict[str, list[Any]] = {}
    for name, leaf in _leaves(value, ""):
        fields.setdefault(name, []).append(leaf)
    return fields


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _leaves(item, f"{name}[]")
    else:
        yield name or "result", value


def _difference(theirs: list[Any], ours: list[Any]) -> float:
    if len(theirs) != len(ours):
        return math.inf
    pairs = zip(theirs, ours, strict=True)
    return max((float(_value_difference(first, second)) for first, second in pairs), default=0.0)


def _value_difference(first: Any, second: Any) -> float:
    if hasattr(first, "shape") and getattr(first, "ndim", 0):
        array, other = np.asarray(first), np.asarray(second)
        return float(np.abs(array - other).max(initial=0.0)) if array.shape == other.shape else math.inf
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second))
    # equal infinities first, because their difference is not a number
    if first == second or (numbers and math.isnan(first) and math.isnan(second)):
        return 0.0
    return abs(first - second) if numbers else math.inf


def _text(value: Any) -> str:
    if hasattr(value, "shape") and getattr(value, "ndim", 0):
        return f"{type(value).__name__} {tuple(value.shape)}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _shorten(values: tuple[str, ...], width: int = 30) -> str:
    text = " ".join((values or ("",))[0].split())
    return text if len(text) <= width else text[: width - 3] + "..."
