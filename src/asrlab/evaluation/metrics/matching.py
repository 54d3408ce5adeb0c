"""Matching of several systems' results on the same utterances."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import attrs

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics.alignment import align_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asrlab.evaluation.metrics.alignment import Alignment
    from asrlab.evaluation.metrics.normalizers import Normalizer
    from asrlab.evaluation.metrics.wer import TextPair


@attrs.frozen(kw_only=True)
class AlignedUtterance:
    """One utterance, aligned for each system.

    Attributes:
        id: Id of the utterance.
        reference: Normalized words of the reference, at least one.
        alignments: Each system's alignment by the system's name, in the order given.
    """

    id: str
    reference: tuple[str, ...]
    alignments: dict[str, Alignment]


class HasId(Protocol):
    """A record with an utterance's id."""

    @property
    def id(self) -> str:
        """The utterance's id."""


def match_ids[Item: HasId](systems: Mapping[str, Iterable[Item]]) -> dict[str, tuple[Item, ...]]:
    """Return the items of each system in the order of the first system.

    Raises:
        DatasetError: If a system lacks an utterance of another, or repeats one. The message names the first.
        OptionError: If there are fewer than two systems.
    """
    if len(systems) < 2:
        raise OptionError(f"nothing to compare: {len(systems)} system given; give at least two", option="systems")
    indexed = {name: _by_id(name, items) for name, items in systems.items()}
    for first, second in pairwise(indexed):
        _check_ids(first, indexed[first], second, indexed[second])
    order = next(iter(indexed.values()))
    return {name: tuple(items[key] for key in order) for name, items in indexed.items()}


def match_utterances(systems: Mapping[str, Iterable[TextPair]]) -> dict[str, tuple[TextPair, ...]]:
    """Return the pairs of each system in the order of the first system, with equal ids and references.

    Raises:
        DatasetError: If two systems differ in an utterance or its reference, or a system repeats an utterance. The
            message names the first difference.
        OptionError: If there are fewer than two systems.
    """
    matched = match_ids(systems)
    for first, second in pairwise(matched):
        for one, other in zip(matched[first], matched[second], strict=True):
            if one.source != other.source or (one.source is None and one.reference != other.reference):
                raise DatasetError(
                    f"not the same references: utterance {one.id!r} is {one.reference[:60]!r} in {first!r} and"
                    f" {other.reference[:60]!r} in {second!r}; compare runs over the same data set"
                )
    return matched


def align_systems(systems: Mapping[str, Iterable[TextPair]], *, normalizer: Normalizer) -> Iterator[AlignedUtterance]:
    """Yield each utterance that has a reference with every system's alignment to the reference.

    An utterance is skipped if the data set allows several readings and the systems are nearest to different ones, since
    then no reference is common to all systems.

    Raises:
        DatasetError: If the systems have different utterances.
        OptionError: If there are fewer than two systems.
    """
    matched = match_utterances(systems)
    for pairs in zip(*matched.values(), strict=True):
        reference = tuple(normalizer(pairs[0].reference).split())
        if reference and all(pair.reference == pairs[0].reference for pair in pairs):
            alignments = {
                name: align_words(reference, normalizer(pair.hypothesis).split())
                for name, pair in zip(matched, pairs, strict=True)
            }
            yield AlignedUtterance(id=pairs[0].id, reference=reference, alignments=alignments)


def _by_id[Item: HasId](system: str, items: Iterable[Item]) -> dict[str, Item]:
    indexed: dict[str, Item] = {}
    for item in items:
        if item.id in indexed:
            raise DatasetError(f"{system!r} has utterance {item.id!r} twice; give each of its utterances once")
        indexed[item.id] = item
    return indexed


def _check_ids(first: str, one: Mapping[str, object], second: str, other: Mapping[str, object]) -> None:
    for has, ids, lacks, others in ((first, one, second, other), (second, other, first, one)):
        missing = next((key for key in ids if key not in others), None)
        if missing is not None:
            raise DatasetError(
                f"not the same utterances: {missing!r} is in {has!r} ({len(ids)} utterances) and not in {lacks!r}"
                f" ({len(others)}); compare runs over the same data set"
            )
