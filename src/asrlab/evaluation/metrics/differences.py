"""Where two systems differ, word by word."""

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


@attrs.frozen(kw_only=True)
class Confusion:
    """A mistake that one system makes and the other does not.

    Attributes:
        reference: The word said, normalized; None where words were inserted.
        hypothesis: What was written instead, normalized; None where nothing was.
        count: How often.
        ids: The first utterances with it, at most five.
    """

    reference: str | None
    hypothesis: str | None
    count: int
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class WordDifferences:
    """The words of a corpus by which of two systems had them right.

    Attributes:
        baseline: The first system.
        candidate: The second system.
        normalizer: The normalizer's name.
        normalizer_version: What it was, with its version.
        both_right: Words of the references that both wrote as said.
        baseline_only: Those that only the first system did.
        candidate_only: Those that only the second did.
        neither: Those that neither did.
        baseline_mistakes: What the first made of words that the second had right, and what only it inserted; the most
            frequent first.
        candidate_mistakes: The same of the second.
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
        seen = self.ids.setdefault(key, [])
        if utterance not in seen and len(seen) < 5:
            seen.append(utterance)

    def most_frequent(self, top: int) -> tuple[Confusion, ...]:
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
        return tuple(
            Confusion(reference=said, hypothesis=written, count=count, ids=tuple(self.ids[said, written]))
            for (said, written), count in ordered[:top]
        )


def word_differences(
    systems: Mapping[str, Iterable[TextPair]], *, normalizer: Normalizer, top: int = 20
) -> WordDifferences:
    """Which words one system has right and the other wrong, and what it makes of them.

    Args:
        systems: Two, each with its pairs, of the same utterances.
        normalizer: Brings all texts into one spelling.
        top: How many mistakes of each are kept.

    Raises:
        DatasetError: The systems are not of the same utterances.
        OptionError: There are not two systems.
    """
    if len(systems) != 2:
        raise OptionError(f"{len(systems)} systems given; give the two to set side by side", option="systems")
    baseline, candidate = systems
    tallies: Counter[tuple[bool, bool]] = Counter()
    mistakes = {name: _ErrorTable() for name in systems}
    for utterance in align_systems(systems, normalizer=normalizer):
        one, other = utterance.edits[baseline], utterance.edits[candidate]
        tallies.update((one.right(place), other.right(place)) for place in range(len(utterance.reference)))
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


def _collect(utterance: str, edits: Alignment, other: Alignment, mistakes: _ErrorTable) -> None:
    """The mistakes of *edits* that *other* does not make."""
    for place, said in enumerate(edits.reference):
        if other.right(place) and not edits.right(place):
            mistakes.add(utterance, said, edits.written(place))
    theirs = other.inserted()
    for place, words in edits.inserted().items():
        for word in (Counter(words) - Counter(theirs.get(place, ()))).elements():
            mistakes.add(utterance, None, word)
