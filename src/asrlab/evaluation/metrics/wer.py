"""Word and character error rates of a corpus, stored as counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.metrics.normalizers import Normalizer

if TYPE_CHECKING:
    from jiwer import CharacterOutput, WordOutput


def _text(instance: TextPair, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str):
        raise DatasetError(
            f"utterance {instance.id!r} has no {attribute.name} to score ({value!r}); leave out utterances without text"
        )


@attrs.frozen(kw_only=True)
class TextPair:
    """One utterance to score.

    Attributes:
        id: Id of the utterance.
        reference: The reference; empty if nothing is spoken.
        hypothesis: The recognized text.
        language: Tag of both texts' language; None if unknown. A `Profile` may choose its rules by the language.
        source: The data set's text with all readings, such as ``{ um / uh / @ }``, if it allows several; *reference* is
            then the reading nearest to the hypothesis. None otherwise.

    Raises:
        DatasetError: If a text is missing.
    """

    id: str
    reference: str = attrs.field(validator=_text)
    hypothesis: str = attrs.field(validator=_text)
    language: str | None = None
    source: str | None = None


@attrs.frozen(kw_only=True)
class ErrorCounts:
    """Counts of correct and wrong units (words or characters). The sum of two counts is that of both texts together.

    Attributes:
        hits: Units of the reference that were recognized.
        substitutions: Units of the reference that were replaced.
        deletions: Units of the reference that were left out.
        insertions: Units of the hypothesis that are not aligned with the reference.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(**{name: count + getattr(other, name) for name, count in attrs.asdict(self).items()})

    @property
    def reference_length(self) -> int:
        """Units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis_length(self) -> int:
        """Units in the hypothesis."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors over the reference's length, above 1 after many insertions; None if the reference is empty."""
        return self.errors / self.reference_length if self.reference_length else None


@attrs.frozen(kw_only=True)
class Score:
    """The errors of a corpus. Rates divide the counts summed over all utterances.

    Utterances whose reference is empty after normalization have no error rate. They are counted separately and excluded
    from the rates. The rates are None if no reference word was scored.

    Attributes:
        normalizer: Name of the normalizer.
        normalizer_version: The normalizer's rules, with their version.
        normalizers: Number of utterances per normalizer, the most first, including those with an empty reference. There
            are several if each utterance has the normalizer of its language.
        utterances: Number of utterances scored.
        words: Errors in words.
        characters: Errors in characters (code points of the normalized text), including the spaces between words.
        empty_references: Number of utterances with an empty reference.
        empty_reference_insertions: Number of words recognized in those utterances.

    Source: Morris, Maier and Green, From WER and RIL to MER and WIL (Interspeech 2004), for `mer` and `wil`.
    """

    normalizer: str
    normalizer_version: str
    utterances: int = 0
    words: ErrorCounts = attrs.field(factory=ErrorCounts)
    characters: ErrorCounts = attrs.field(factory=ErrorCounts)
    empty_references: int = 0
    empty_reference_insertions: int = 0
    normalizers: tuple[tuple[str, int], ...] = ()

    @property
    def wer(self) -> float | None:
        """Word error rate, (S + D + I) / (H + S + D)."""
        return self.words.rate

    @property
    def cer(self) -> float | None:
        """Character error rate, (S + D + I) / (H + S + D), of characters."""
        return self.characters.rate

    @property
    def mer(self) -> float | None:
        """Match error rate, (S + D + I) / (H + S + D + I), of words; in [0, 1]."""
        words = self.words
        return words.errors / (words.hits + words.errors) if words.reference_length else None

    @property
    def wil(self) -> float | None:
        """Word information lost, 1 - H / (H + S + D) * H / (H + S + I); in [0, 1], and 1 for empty hypotheses."""
        words = self.words
        if not words.reference_length:
            return None
        if not words.hypothesis_length:
            return 1.0
        return 1 - words.hits / words.reference_length * (words.hits / words.hypothesis_length)


def score(pairs: Iterable[TextPair], *, normalizer: Normalizer) -> Score:
    """Count the errors of a corpus by each utterance's alignment with the fewest errors, as jiwer does.

    Args:
        pairs: The utterances, read once.
        normalizer: Rule that normalizes both texts.
    """
    import jiwer

    words = characters = ErrorCounts()
    scored = empty = insertions = 0
    for pair in pairs:
        reference, hypothesis = normalizer(pair.reference), normalizer(pair.hypothesis)
        if reference:
            scored += 1
            words += _counts(jiwer.process_words(reference, hypothesis))
            characters += _counts(jiwer.process_characters(reference, hypothesis))
        else:
            empty += 1
            insertions += len(hypothesis.split())
    return Score(
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        utterances=scored,
        words=words,
        characters=characters,
        empty_references=empty,
        empty_reference_insertions=insertions,
        normalizers=((normalizer.name, scored + empty),) if scored + empty else (),
    )


def count_word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the word errors of two normalized texts."""
    if reference == hypothesis:
        return ErrorCounts(hits=len(reference.split()))
    if not reference:
        return ErrorCounts(insertions=len(hypothesis.split()))
    import jiwer

    return _counts(jiwer.process_words(reference, hypothesis))


def _counts(output: WordOutput | CharacterOutput) -> ErrorCounts:
    return ErrorCounts(**{kind: getattr(output, kind) for kind in ("hits", "substitutions", "deletions", "insertions")})
