"""Compounds: words that one side writes apart and the other together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from asrlab.evaluation.metrics.alignment import align_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# An equal run this long is no coincidence: what stands before it has no counterpart behind it.
_ANCHOR = 8
# The search takes time and memory in proportion to one length times the other.
_LARGEST = 1_000_000

_Joins = dict[int, list[tuple[int, str]]]


def normalize_compounds(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[str, ...]:
    """The hypothesis with its compounds written as in the reference, so that they are no errors.

    Where adjacent words of one side, put together, are the word of the other side at that place, the reference's
    spelling is taken: "white paper" for "whitepaper" or the other way round. Of the ways to do so it is one with the
    fewest errors. The reference, and so the number of its words, stays what it is.

    Texts are searched in pieces, cut within runs of eight equal words; a piece of more than a thousand words on both
    sides is left as it is.
    """
    if not _joins(reference, of=set(hypothesis)) and not _joins(hypothesis, of=set(reference)):
        return tuple(hypothesis)
    cuts = [(0, 0), *_anchors(reference, hypothesis), (len(reference), len(hypothesis))]
    pieces = [(reference[a:c], hypothesis[b:d]) for (a, b), (c, d) in pairwise(cuts)]
    return tuple(word for said, written in pieces for word in _rewritten(said, written))


def _anchors(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where both texts may be cut: in the middle of each long equal run."""
    edits = align_words(reference, hypothesis)
    run = 0
    for place, at in enumerate(edits.counterparts):
        follows = run and at is not None and edits.counterparts[place - 1] == at - 1
        run = (run + 1 if follows else 1) if edits.right(place) else 0
        if run and run % _ANCHOR == 0 and at is not None:
            yield place - _ANCHOR // 2, at - _ANCHOR // 2


def _joins(words: Sequence[str], *, of: set[str]) -> _Joins:
    """Neighbours that together are one word *of* the other side, by the index after the last: how many, which word."""
    found: _Joins = {}
    longest = max(map(len, of), default=0)
    for start in range(len(words)):
        joined = words[start]
        for end in range(start + 2, len(words) + 1):
            joined += words[end - 1]
            if len(joined) > longest:
                break
            if joined in of:
                found.setdefault(end, []).append((end - start, joined))
    return found


def _rewritten(reference: Sequence[str], hypothesis: Sequence[str]) -> Sequence[str]:
    apart = _joins(hypothesis, of=set(reference))
    together = _joins(reference, of=set(hypothesis))
    if not (apart or together) or len(reference) * len(hypothesis) > _LARGEST:
        return hypothesis
    # costs[i][j]: the fewest errors between the first i words said and the first j written
    costs = [list(range(len(hypothesis) + 1))]
    ways: list[list[tuple[int, int]]] = [[(0, 1)] * (len(hypothesis) + 1)]
    for i, said in enumerate(reference, start=1):
        costs.append([i])
        ways.append([(1, 0)])
        for j, written in enumerate(hypothesis, start=1):
            steps = [
                (costs[i - 1][j - 1] + (said != written), (1, 1)),
                (costs[i - 1][j] + 1, (1, 0)),
                (costs[i][j - 1] + 1, (0, 1)),
                *((costs[i - 1][j - size], (1, size)) for size, word in apart.get(j, ()) if word == said),
                *((costs[i - size][j - 1], (size, 1)) for size, word in together.get(i, ()) if word == written),
            ]
            cost, way = min(steps, key=lambda step: step[0])
            costs[i].append(cost)
            ways[i].append(way)
    return _read_back(reference, hypothesis, ways)


def _read_back(
    reference: Sequence[str], hypothesis: Sequence[str], ways: Sequence[Sequence[tuple[int, int]]]
) -> list[str]:
    pieces: list[Sequence[str]] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        said, written = ways[i][j]
        compound = said > 1 or written > 1
        pieces.append(reference[i - said : i] if compound else hypothesis[j - written : j])
        i, j = i - said, j - written
    return [word for piece in reversed(pieces) for word in piece]
