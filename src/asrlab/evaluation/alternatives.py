"""Alternatives in transcripts, in the notation of NIST's sclite: ``i { um / uh / @ } agree``."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

_PARTS = re.compile(r"\s+|[{}/]|[^\s{}/]+")
_NO_WORD = "@"
type _Arc = tuple[int, str]


@attrs.frozen(kw_only=True)
class Alternatives:
    """The readings of a text, as a graph whose arcs carry words.

    Attributes:
        incoming: For each node the arcs that end in it, as their start node and their words, which may be empty. Node 0
            has no arcs, and every arc leads to a node with a higher number.
    """

    incoming: tuple[tuple[_Arc, ...], ...] = attrs.field(repr=False)

    def readings(self, *, most: int) -> tuple[str, ...] | None:
        """Return all readings, in no particular order; None if there are more than *most*."""
        counts = [1]
        for arcs in self.incoming[1:]:
            counts.append(sum(counts[source] for source, _ in arcs))
            if counts[-1] > most:
                return None
        readings: list[str] = []
        pending: list[tuple[int, _Suffix]] = [(len(self.incoming) - 1, None)]
        while pending:
            node, suffix = pending.pop()
            if node == 0:
                words = []
                while suffix is not None:
                    first, suffix = suffix
                    words += [first] if first else []
                readings.append(" ".join(words))
            pending += [(source, (words, suffix)) for source, words in self.incoming[node]]
        return tuple(reversed(readings))


type _Suffix = tuple[str, _Suffix] | None


def parse_alternatives(text: str) -> Alternatives | None:
    """Return the readings of *text*; None if it has only one reading, the text itself.

    ``{`` opens alternatives where a word may begin, ``/`` separates and ``}`` closes them; they nest. ``@`` stands for
    no word, inside and outside of braces. Time and memory grow linearly with the length of the text, however deeply it
    nests.

    Raises:
        ValueError: If a brace is not closed; the message names the column.

    Source: NIST SCTK, ``doc/infmts.htm``; ``src/sclite/text.c``, ``find_next_TEXT_token`` and
        ``find_next_TEXT_alternation``, which ignores an alternative without any word.
    """
    if "{" not in text and _NO_WORD not in text:
        return None
    builder = _GraphBuilder()
    for part in _PARTS.finditer(text):
        builder.add(part[0], part.start())
    return builder.finish()


@attrs.define
class _OpenBrace:
    """Alternatives that are not closed yet."""

    start_node: int
    column: int
    was_empty: bool
    end_nodes: list[int] = attrs.field(factory=list)


@attrs.define
class _GraphBuilder:
    """A graph under construction; nodes are numbered in order of creation, so that arcs only lead upwards."""

    incoming: list[tuple[_Arc, ...]] = attrs.field(factory=lambda: [()])
    open_braces: list[_OpenBrace] = attrs.field(factory=list)
    node: int = 0
    words: list[str] = attrs.field(factory=list)
    word: list[str] = attrs.field(factory=list)
    is_empty: bool = True  # the alternative has neither a word nor ``@`` so far
    is_plain: bool = True  # the text has only one reading so far

    def add(self, part: str, column: int) -> None:
        """Add white space, a sign, or a run of other characters."""
        if part.isspace():
            self._end_word()
        elif part == "{" and (self.open_braces or not self.word):
            self._end_words()
            self.open_braces.append(_OpenBrace(start_node=self.node, column=column, was_empty=self.is_empty))
            self.is_empty, self.is_plain = True, False
        elif part == "/" and self.open_braces:
            self._end_alternative()
            self.node, self.is_empty = self.open_braces[-1].start_node, True
        elif part == "}" and self.open_braces:
            self._end_alternative()
            self._close_brace()
        else:
            self.word.append(part)

    def finish(self) -> Alternatives | None:
        """Return the graph; None if there is only one reading, the text itself."""
        self._end_words()
        if self.open_braces:
            column = self.open_braces[-1].column + 1
            raise ValueError(f"the brace in column {column} opens alternatives and is not closed; add a closing brace")
        return None if self.is_plain else Alternatives(incoming=tuple(self.incoming))

    def _end_word(self) -> None:
        if self.word == [_NO_WORD]:
            self.is_empty = self.is_plain = False
        elif self.word:
            self.words.append("".join(self.word))
            self.is_empty = False
        self.word = []

    def _end_words(self) -> None:
        self._end_word()
        if self.words:
            self._add_node((self.node, " ".join(self.words)))
            self.words = []

    def _end_alternative(self) -> None:
        self._end_words()
        if not self.is_empty:
            self.open_braces[-1].end_nodes.append(self.node)

    def _close_brace(self) -> None:
        brace = self.open_braces.pop()
        self.node = brace.start_node
        self.is_empty = brace.was_empty and not brace.end_nodes
        if brace.end_nodes:
            self._add_node(*((node, "") for node in brace.end_nodes))

    def _add_node(self, *arcs: _Arc) -> None:
        self.node = len(self.incoming)
        self.incoming.append(arcs)


# sclite's costs, which prefer a deletion and an insertion to two substitutions
_SUBSTITUTION = 4
_ADDED = 3
_MAX_CELLS = 5_000_000
_MAX_STEPS = 400_000_000
_MAX_READINGS = 256


@attrs.frozen(kw_only=True)
class _Node:
    """The best paths to a node by the number of words consumed: their costs, last arcs, and words before those arcs."""

    costs: NDArray[np.int64]
    arcs: NDArray[np.int32]
    origins: NDArray[np.int32]


def nearest_readings(
    reference: str | Alternatives, hypothesis: str | Alternatives, *, normalize: Callable[[str], str]
) -> tuple[str, str]:
    """Return the readings of both texts, not normalized, that differ least.

    A substitution costs 4, an insertion or deletion 3, as in sclite. The words of each arc are normalized separately,
    so that the choice does not depend on spelling.

    Args:
        reference: The reference, or its alternatives.
        hypothesis: The recognized text, or its alternatives.
        normalize: Rule that normalizes a text.

    Raises:
        ValueError: If there are too many words or readings to compare. The message has their number.

    Source: NIST SCTK, ``src/sclite/word.c``, ``wwd_WORD``.
    """
    if isinstance(hypothesis, str):
        if isinstance(reference, str):
            return reference, hypothesis
        return _nearest(reference, hypothesis, normalize)[1], hypothesis
    if isinstance(reference, str):
        return reference, _nearest(hypothesis, reference, normalize)[1]
    readings = hypothesis.readings(most=_MAX_READINGS)
    if readings is None:
        raise ValueError(f"the hypothesis has more than {_MAX_READINGS} readings")
    choices = [(*_nearest(reference, reading, normalize), reading) for reading in readings]
    return min(choices, key=lambda choice: choice[0])[1:]


def _nearest(readings: Alternatives, other: str, normalize: Callable[[str], str]) -> tuple[int, str]:
    """Return the lowest cost and its reading."""
    import numpy as np

    words = normalize(other).split()
    runs = {run: normalize(run).split() if run else [] for arcs in readings.incoming for _, run in arcs}
    length = sum(len(runs[run]) for arcs in readings.incoming for _, run in arcs)
    if len(readings.incoming) * (len(words) + 1) > _MAX_CELLS or length * len(words) > _MAX_STEPS:
        raise ValueError(f"it has {length} words in its alternatives and around them, against {len(words)}")
    indices: dict[str, list[int]] = defaultdict(list)
    for index, word in enumerate(words):
        indices[word].append(index)
    positions = {word: np.asarray(found) for word, found in indices.items()}
    start = np.arange(len(words) + 1)
    nodes = [_Node(costs=start * _ADDED, arcs=np.zeros(0, np.int32), origins=np.zeros(0, np.int32))]
    for arcs in readings.incoming[1:]:
        nodes.append(_best_paths([_follow(nodes[source].costs, runs[run], positions) for source, run in arcs]))
    return int(nodes[-1].costs[-1]), _trace_back(readings, nodes)


def _follow(
    costs: NDArray[np.int64], run: Sequence[str], positions: dict[str, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the costs after the words of *run*, and the number of words before the run on each best path."""
    import numpy as np

    columns = np.arange(len(costs))
    origins = columns.astype(np.int32)
    for word in run:
        replaced = costs[:-1] + _SUBSTITUTION
        if word in positions:
            replaced[positions[word]] = costs[:-1][positions[word]]
        after = costs + _ADDED
        is_replaced = replaced <= after[1:]
        before = origins.copy()
        before[1:] = np.where(is_replaced, origins[:-1], origins[1:])
        after[1:] = np.where(is_replaced, replaced, after[1:])
        # insertions: the best path to a column is the best one to an earlier column, and the words between
        bare = after - columns * _ADDED
        lowest = np.minimum.accumulate(bare)
        first = np.maximum.accumulate(np.where(np.r_[True, bare[1:] < lowest[:-1]], columns, 0))
        costs, origins = lowest + columns * _ADDED, before[first]
    return costs, origins


def _best_paths(paths: Sequence[tuple[NDArray[np.int64], NDArray[np.int32]]]) -> _Node:
    import numpy as np

    costs, origins = paths[0]
    arcs = np.zeros(len(costs), np.int32)
    for number, (other, before) in enumerate(paths[1:], start=1):
        is_lower = other < costs
        arcs = np.where(is_lower, np.int32(number), arcs)
        origins = np.where(is_lower, before, origins)
        costs = np.where(is_lower, other, costs)
    return _Node(costs=costs, arcs=arcs, origins=origins)


def _trace_back(readings: Alternatives, nodes: Sequence[_Node]) -> str:
    runs: list[str] = []
    node, column = len(nodes) - 1, len(nodes[0].costs) - 1
    while node:
        path = nodes[node]
        source, run = readings.incoming[node][path.arcs[column]]
        column, node = int(path.origins[column]), source
        runs.append(run)
    return " ".join(filter(None, reversed(runs)))
