"""Which of several allowed readings of a reference a hypothesis is nearest to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from asrlab.evaluation.alternatives import Alternatives


# sclite's weights, which prefer a deletion and an insertion to two substitutions
_SUBSTITUTION = 4
_ADDED = 3
_MAX_CELLS = 5_000_000
_MAX_STEPS = 400_000_000
_MAX_READINGS = 256


@attrs.frozen(kw_only=True)
class _Node:
    """The best ways to a node, by the number of words written so far: cost, last arc, and words before that arc."""

    costs: NDArray[np.int64]
    arcs: NDArray[np.int32]
    origins: NDArray[np.int32]


def nearest_readings(
    reference: str | Alternatives, hypothesis: str | Alternatives, *, normalize: Callable[[str], str]
) -> tuple[str, str]:
    """Return the readings of both texts, not normalized, that differ least.

    A substitution costs 4, and a word too many or too few 3, as in sclite. Every stretch of words is normalized by
    itself, so that the choice does not depend on spelling.

    Args:
        reference: What was said.
        hypothesis: What was written.
        normalize: Brings a text into one spelling.

    Raises:
        ValueError: There are too many words or readings to compare. It says how many.

    Source: NIST SCTK, ``src/sclite/word.c``, ``wwd_WORD``.
    """
    if isinstance(hypothesis, str):
        if isinstance(reference, str):
            return reference, hypothesis
        return _nearest(reference, hypothesis, normalize)[1], hypothesis
    if isinstance(reference, str):
        return reference, _nearest(hypothesis, reference, normalize)[1]
    written = hypothesis.readings(most=_MAX_READINGS)
    if written is None:
        raise ValueError(f"the hypothesis has more than {_MAX_READINGS} readings")
    choices = [(*_nearest(reference, reading, normalize), reading) for reading in written]
    _, said, reading = min(choices, key=lambda choice: choice[0])
    return said, reading


def _nearest(readings: Alternatives, other: str, normalize: Callable[[str], str]) -> tuple[int, str]:
    """Return the lowest cost, and the reading that has it."""
    import numpy as np

    words = normalize(other).split()
    runs = {run: normalize(run).split() if run else [] for arcs in readings.incoming for _, run in arcs}
    length = sum(len(runs[run]) for arcs in readings.incoming for _, run in arcs)
    if len(readings.incoming) * (len(words) + 1) > _MAX_CELLS or length * len(words) > _MAX_STEPS:
        raise ValueError(f"it has {length} words in its alternatives and around them, against {len(words)}")
    places = _places(words)
    start = np.arange(len(words) + 1)
    nodes = [_Node(costs=start * _ADDED, arcs=np.zeros(0, np.int32), origins=np.zeros(0, np.int32))]
    for arcs in readings.incoming[1:]:
        nodes.append(_joined([_along(nodes[source].costs, runs[run], places) for source, run in arcs]))
    return int(nodes[-1].costs[-1]), _read_back(readings, nodes)


def _places(words: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Where each word stands."""
    import numpy as np

    found: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        found.setdefault(word, []).append(place)
    return {word: np.asarray(at) for word, at in found.items()}


def _along(
    costs: NDArray[np.int64], run: Sequence[str], places: dict[str, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The costs after the words of *run*, and how many words were written before it on each best way."""
    import numpy as np

    columns = np.arange(len(costs))
    origins = columns.astype(np.int32)
    for word in run:
        replaced = costs[:-1] + _SUBSTITUTION
        if word in places:
            replaced[places[word]] = costs[:-1][places[word]]
        after = costs + _ADDED
        is_replaced = replaced <= after[1:]
        before = origins.copy()
        before[1:] = np.where(is_replaced, origins[:-1], origins[1:])
        after[1:] = np.where(is_replaced, replaced, after[1:])
        # words too many: the best way to a column is the best of an earlier one, and so many words more
        bare = after - columns * _ADDED
        lowest = np.minimum.accumulate(bare)
        first = np.maximum.accumulate(np.where(np.r_[True, bare[1:] < lowest[:-1]], columns, 0))
        costs, origins = lowest + columns * _ADDED, before[first]
    return costs, origins


def _joined(ways: Sequence[tuple[NDArray[np.int64], NDArray[np.int32]]]) -> _Node:
    import numpy as np

    costs, origins = ways[0]
    arcs = np.zeros(len(costs), np.int32)
    for number, (other, before) in enumerate(ways[1:], start=1):
        is_lower = other < costs
        arcs = np.where(is_lower, np.int32(number), arcs)
        origins = np.where(is_lower, before, origins)
        costs = np.where(is_lower, other, costs)
    return _Node(costs=costs, arcs=arcs, origins=origins)


def _read_back(readings: Alternatives, nodes: Sequence[_Node]) -> str:
    found: list[str] = []
    node, column = len(nodes) - 1, len(nodes[0].costs) - 1
    while node:
        way = nodes[node]
        source, run = readings.incoming[node][way.arcs[column]]
        column, node = int(way.origins[column]), source
        found.append(run)
    return " ".join(filter(None, reversed(found)))
