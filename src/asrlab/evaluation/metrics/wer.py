"""Word and character error rates over a corpus, kept as counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jiwer import CharacterOutput, WordOutput

    from asrlab.evaluation.metrics.normalizers import Normalizer


def _text(instance: TextPair, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str):
        raise DatasetError(
            f"utterance {instance.id!r} has no {attribute.name} to score ({value!r}); leave out utterances without text"
        )


@attrs.frozen(kw_only=True)
class TextPair:
    """One utterance to score.

    Attributes:
        id: The utterance's id.
        reference: What was said; may be empty, which says that nothing was.
        hypothesis: What the transcriber wrote.
        language: Tag of both texts' language; None if it is not known. A `Profile` may choose its rules by it.
        source: Where the data set allows several readings, such as ``{ um / uh / @ }``, its text with all of them;
            *reference* is then the reading that is nearest to the hypothesis. None elsewhere.

    Raises:
        DatasetError: A text is missing.
    """

    id: str
    reference: str = attrs.field(validator=_text)
    hypothesis: str = attrs.field(validator=_text)
    language: str | None = None
    source: str | None = None


@attrs.frozen(kw_only=True)
class ErrorCounts:
    """How many units (words or characters) were right and wrong. Two of them add up to those of both texts together.

    Attributes:
        hits: Units that are the same.
        substitutions: Units of the reference with another in their place.
        deletions: Units of the reference with none in their place.
        insertions: Units of the hypothesis without counterpart.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            hits=self.hits + other.hits,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )

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
        """Errors over the reference's length, above 1 where much was inserted; None if the reference is empty."""
        return self.errors / self.reference_length if self.reference_length else None


@attrs.frozen(kw_only=True)
class Score:
    """The errors of a corpus: counts summed over its utterances, and only then divided.

    Utterances whose reference is empty after normalization have no error rate; they are counted apart and are in none
    of the rates. The rates are None where no reference word was scored.

    Attributes:
        normalizer: The normalizer's name.
        normalizer_version: What it was, with its version.
        normalizers: How many utterances each normalizer prepared, the most first, those with an empty reference among
            them; several where each utterance has that of its language.
        utterances: How many were scored.
        words: Their words.
        characters: Their characters (code points of the normalized text), the spaces between words included.
        empty_references: How many utterances had an empty reference.
        empty_reference_insertions: Words that were written where nothing was said.

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
        """Word information lost, 1 - H / (H + S + D) * H / (H + S + I); in [0, 1], and 1 where nothing was written."""
        words = self.words
        if not words.reference_length:
            return None
        if not words.hypothesis_length:
            return 1.0
        return 1 - words.hits / words.reference_length * (words.hits / words.hypothesis_length)


def score(pairs: Iterable[TextPair], *, normalizer: Normalizer) -> Score:
    """Count the errors of a corpus, each utterance by the alignment with the fewest errors that jiwer finds.

    Args:
        pairs: The utterances, read once.
        normalizer: Brings both texts into one spelling.
    """
    total = Score(normalizer=normalizer.name, normalizer_version=normalizer.version)
    for pair in pairs:
        total = _with(total, reference=normalizer(pair.reference), hypothesis=normalizer(pair.hypothesis))
    prepared = total.utterances + total.empty_references
    return attrs.evolve(total, normalizers=((normalizer.name, prepared),) if prepared else ())


def _with(total: Score, *, reference: str, hypothesis: str) -> Score:
    import jiwer

    if not reference:
        return attrs.evolve(
            total,
            empty_references=total.empty_references + 1,
            empty_reference_insertions=total.empty_reference_insertions + len(hypothesis.split()),
        )
    return attrs.evolve(
        total,
        utterances=total.utterances + 1,
        words=total.words + _counts(jiwer.process_words(reference, hypothesis)),
        characters=total.characters + _counts(jiwer.process_characters(reference, hypothesis)),
    )


def _counts(output: WordOutput | CharacterOutput) -> ErrorCounts:
    return ErrorCounts(
        hits=output.hits,
        substitutions=output.substitutions,
        deletions=output.deletions,
        insertions=output.insertions,
    )
