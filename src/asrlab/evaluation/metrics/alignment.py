"""Alignments of references and hypotheses, for one system or for several on the same utterances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Literal, Protocol, cast

import attrs

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics.normalizers import Normalizer
from asrlab.evaluation.metrics.wer import ErrorCounts, TextPair

AlignmentKind = Literal["equal", "substitute", "delete", "insert"]


@attrs.frozen(kw_only=True)
class AlignedWord:
    """A word of the reference beside the aligned word of the hypothesis.

    Attributes:
        kind: ``equal``, ``substitute``, ``delete`` (only in the reference) or ``insert`` (only in the hypothesis).
        reference: Normalized word of the reference; None for ``insert``.
        hypothesis: Normalized word of the hypothesis; None for ``delete``.
    """

    kind: AlignmentKind
    reference: str | None
    hypothesis: str | None


def align(reference: str, hypothesis: str, *, normalizer: Normalizer) -> tuple[AlignedWord, ...]:
    """Align the words of two texts as `asrlab.evaluation.metrics.score` does to count errors.

    If several alignments have the fewest errors, jiwer's choice is returned.

    Args:
        reference: The reference; may be empty.
        hypothesis: The recognized text.
        normalizer: Rule that normalizes both texts. The returned words are normalized.
    """
    import jiwer

    output = jiwer.process_words(normalizer(reference), normalizer(hypothesis))
    [chunks], [expected], [recognized] = output.alignments, output.references, output.hypotheses
    return tuple(
        AlignedWord(kind=cast(AlignmentKind, chunk.type), reference=reference_word, hypothesis=hypothesis_word)
        for chunk in chunks
        for reference_word, hypothesis_word in zip_longest(
            expected[chunk.ref_start_idx : chunk.ref_end_idx], recognized[chunk.hyp_start_idx : chunk.hyp_end_idx]
        )
    )


@attrs.frozen(kw_only=True)
class Alignment:
    """An alignment of words with the fewest errors, as indices."""

    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    hypothesis_index: tuple[int | None, ...]  # of each word of the reference; None if the word was deleted

    def recognized(self, index: int) -> str | None:
        """Return the hypothesis word aligned with reference word *index*; None if it was deleted."""
        at = self.hypothesis_index[index]
        return None if at is None else self.hypothesis[at]

    def is_correct(self, index: int) -> bool:
        """Return True if reference word *index* was recognized."""
        return self.recognized(index) == self.reference[index]

    def inserted(self) -> dict[int, tuple[str, ...]]:
        """Return the inserted words by the index of the reference word that follows; at the end, by its length."""
        insertions: dict[int, tuple[str, ...]] = {}
        reference_index = {at: index for index, at in enumerate(self.hypothesis_index) if at is not None}
        following = len(self.reference)
        for at in reversed(range(len(self.hypothesis))):
            if at in reference_index:
                following = reference_index[at]
            else:
                insertions[following] = (self.hypothesis[at], *insertions.get(following, ()))
        return insertions

    def counts(self) -> ErrorCounts:
        """Count the errors as `asrlab.evaluation.metrics.score` does."""
        hits = sum(self.is_correct(index) for index in range(len(self.reference)))
        deletions = self.hypothesis_index.count(None)
        return ErrorCounts(
            hits=hits,
            substitutions=len(self.reference) - hits - deletions,
            deletions=deletions,
            insertions=len(self.hypothesis) - len(self.reference) + deletions,
        )


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align two sequences of words, none of which holds a space, as jiwer does."""
    import jiwer

    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    hypothesis_index: list[int | None] = [None] * len(reference)
    for chunk in output.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            hypothesis_index[chunk.ref_start_idx : chunk.ref_end_idx] = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
    return Alignment(reference=tuple(reference), hypothesis=tuple(hypothesis), hypothesis_index=tuple(hypothesis_index))


@attrs.frozen(kw_only=True)
class AlignedUtterance:
    """One utterance, aligned for each system."""

    id: str
    reference: tuple[str, ...]  # normalized words, at least one
    alignments: dict[str, Alignment]  # by the systems' names, in the order given


class HasId(Protocol):
    """A record with an utterance's id."""

    @property
    def id(self) -> str:
        """The utterance's id."""


def match_ids[Item: HasId](systems: Mapping[str, Iterable[Item]]) -> dict[str, tuple[Item, ...]]:
    """Return the items of at least two systems in the order of the first; refuse missing and repeated utterances."""
    if len(systems) < 2:
        raise OptionError(f"nothing to compare: {len(systems)} system given; give at least two", option="systems")
    indexed: dict[str, dict[str, Item]] = {}
    for name, items in systems.items():
        own = indexed[name] = {}
        for item in items:
            if item.id in own:
                raise DatasetError(f"{name!r} has utterance {item.id!r} twice; give each of its utterances once")
            own[item.id] = item
    for first, second in pairwise(indexed):
        for has, lacks in ((first, second), (second, first)):
            missing = next((key for key in indexed[has] if key not in indexed[lacks]), None)
            if missing is not None:
                raise DatasetError(
                    f"not the same utterances: {missing!r} is in {has!r} ({len(indexed[has])} utterances) and not in"
                    f" {lacks!r} ({len(indexed[lacks])}); compare runs over the same data set"
                )
    order = next(iter(indexed.values()))
    return {name: tuple(items[key] for key in order) for name, items in indexed.items()}


def match_utterances(systems: Mapping[str, Iterable[TextPair]]) -> dict[str, tuple[TextPair, ...]]:
    """Return the pairs of each system as `match_ids` does; refuse references that differ."""
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
