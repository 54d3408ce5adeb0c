"""Word differences between two systems."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.matching import align_systems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asrlab.evaluation.metrics.alignment import Alignment
    from asrlab.evaluation.metrics.normalizers import Normalizer
    from asrlab.evaluation.metrics.wer import TextPair

_MAX_IDS = 5


@attrs.frozen(kw_only=True)
class Confusion:
    """A mistake that one system makes and the other does not.

    Attributes:
        reference: Normalized word of the reference; None for an insertion.
        hypothesis: Normalized word of the hypothesis; None for a deletion.
        count: Number of occurrences.
        ids: Ids of the first utterances with the mistake, at most five.
    """

    reference: str | None
    hypothesis: str | None
    count: int
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class WordDifferences:
    """The words of a corpus by which of two systems recognized them.

    Attributes:
        baseline: Name of the first system.
        candidate: Name of the second system.
        normalizer: Name of the normalizer.
        normalizer_version: The normalizer's rules, with their version.
        both_right: Number of reference words that both systems recognized.
        baseline_only: Number of reference words that only the first system recognized.
        candidate_only: Number of reference words that only the second system recognized.
        neither: Number of reference words that neither system recognized.
        baseline_mistakes: The first system's errors on words that the second recognized, and the words that only the
            first inserted; the most frequent first.
        candidate_mistakes: The same for the second system.
    """

    baseline: str
    candidate: str
    normalizer: str
    normalizer_version: str
    both_right: int
    baseline_only: int
    candidate_only: int
    neither: int
    baseline_mistakes: tuple[Confusion, ...]
    candidate_mistakes: tuple[Confusion, ...]


@attrs.define
class _ErrorTable:
    counts: Counter[tuple[str | None, str | None]] = attrs.field(factory=Counter)
    ids: dict[tuple[str | None, str | None], list[str]] = attrs.field(factory=dict)

    def add(self, utterance: str, reference: str | None, hypothesis: str | None) -> None:
        key = (reference, hypothesis)
        self.counts[key] += 1
        ids = self.ids.setdefault(key, [])
        if utterance not in ids and len(ids) < _MAX_IDS:
            ids.append(utterance)

    def most_frequent(self, top: int) -> tuple[Confusion, ...]:
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
        return tuple(
            Confusion(reference=key[0], hypothesis=key[1], count=count, ids=tuple(self.ids[key]))
            for key, count in ordered[:top]
        )


def word_differences(
    systems: Mapping[str, Iterable[TextPair]], *, normalizer: Normalizer, top: int = 20
) -> WordDifferences:
    """Count the words that only one of two systems recognized, with the other system's errors on them.

    Args:
        systems: Two systems, each with its pairs, of the same utterances.
        normalizer: Rule that normalizes all texts.
        top: Maximum number of mistakes to return for each system.

    Raises:
        DatasetError: If the systems have different utterances.
        OptionError: If there are not two systems.
    """
    if len(systems) != 2:
        raise OptionError(f"{len(systems)} systems given; give the two to compare", option="systems")
    baseline, candidate = systems
    tallies: Counter[tuple[bool, bool]] = Counter()
    mistakes = {name: _ErrorTable() for name in systems}
    for utterance in align_systems(systems, normalizer=normalizer):
        one, other = utterance.alignments[baseline], utterance.alignments[candidate]
        tallies.update((one.is_correct(index), other.is_correct(index)) for index in range(len(utterance.reference)))
        _collect(utterance.id, one, other, mistakes[baseline])
        _collect(utterance.id, other, one, mistakes[candidate])
    return WordDifferences(
        baseline=baseline,
        candidate=candidate,
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        both_right=tallies[True, True],
        baseline_only=tallies[True, False],
        candidate_only=tallies[False, True],
        neither=tallies[False, False],
        baseline_mistakes=mistakes[baseline].most_frequent(top),
        candidate_mistakes=mistakes[candidate].most_frequent(top),
    )


def _collect(utterance: str, alignment: Alignment, other: Alignment, mistakes: _ErrorTable) -> None:
    """Add the mistakes of *alignment* that *other* does not have."""
    for index, word in enumerate(alignment.reference):
        if other.is_correct(index) and not alignment.is_correct(index):
            mistakes.add(utterance, word, alignment.recognized(index))
    other_insertions = other.inserted()
    for index, words in alignment.inserted().items():
        for word in (Counter(words) - Counter(other_insertions.get(index, ()))).elements():
            mistakes.add(utterance, None, word)
