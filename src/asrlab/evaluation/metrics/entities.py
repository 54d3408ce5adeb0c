"""Entity error rate: the share of numbers, dates, amounts of money and names that were not recognized."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, get_args

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.alignment import Alignment, align_words
from asrlab.evaluation.metrics.english_numbers import Lexeme
from asrlab.evaluation.metrics.english_tokens import Entity, EntityKind, Token, read_english
from asrlab.evaluation.metrics.normalizers import visible_text
from asrlab.evaluation.metrics.wer import TextPair
from asrlab.languages import is_english

_EntityOutcome = Literal["hit", "missed", "wrong"]


@attrs.frozen(kw_only=True)
class EntityCounts:
    """Counts of entities of one kind by outcome. Counts can be added.

    Attributes:
        hits: Entities that were recognized.
        missed: Entities without any aligned word.
        wrong: Entities that were replaced, or recognized only in part.
    """

    hits: int = 0
    missed: int = 0
    wrong: int = 0

    def __add__(self, other: EntityCounts) -> EntityCounts:
        return EntityCounts(**{name: count + getattr(other, name) for name, count in attrs.asdict(self).items()})

    @property
    def references(self) -> int:
        """Entities in the references."""
        return self.hits + self.missed + self.wrong

    @property
    def rate(self) -> float | None:
        """Share of missed and wrong entities, in [0, 1]; None without entities."""
        return (self.missed + self.wrong) / self.references if self.references else None


@attrs.frozen(kw_only=True)
class EntityMiss:
    """An entity that was not recognized.

    Attributes:
        id: Id of the utterance.
        kind: ``number``, ``date``, ``money`` or ``name``.
        outcome: ``missed`` or ``wrong``.
        reference: The entity as written in the reference.
        hypothesis: The aligned text of the hypothesis; empty if there is none.
    """

    id: str
    kind: EntityKind
    outcome: Literal["missed", "wrong"]
    reference: str
    hypothesis: str


@attrs.frozen(kw_only=True)
class EntityScore:
    """The entities of a corpus.

    Attributes:
        language: Language of the rules.
        utterances: Number of utterances.
        numbers: Cardinals, ordinals, decimals, percentages, times of day, digit strings.
        dates: Days, months, years, decades, days of the week.
        money: Amounts with a currency.
        names: Capitalized words inside sentences; None if no reference has capitals.
        misses: The first entities that were not recognized, in order.
    """

    language: str
    utterances: int = 0
    numbers: EntityCounts = attrs.field(factory=EntityCounts)
    dates: EntityCounts = attrs.field(factory=EntityCounts)
    money: EntityCounts = attrs.field(factory=EntityCounts)
    names: EntityCounts | None = None
    misses: tuple[EntityMiss, ...] = ()

    @property
    def total(self) -> EntityCounts:
        """Counts of all kinds; names only if references have capitals."""
        return self.numbers + self.dates + self.money + (self.names or EntityCounts())

    @property
    def rate(self) -> float | None:
        """Entity error rate over all kinds, in [0, 1]; None without entities."""
        return self.total.rate


def entity_errors(pairs: Iterable[TextPair], *, language: str = "en", misses: int = 50) -> EntityScore:
    """Count the numbers, dates, amounts of money and names of the references that were recognized.

    Give the texts as written, not normalized: names are found by their capitals. Both texts are parsed into tokens with
    numbers as digits, and aligned with the fewest errors: "526", "5 2 6", "five twenty six" and "five hundred twenty
    six" are equal, as are "$5.50" and "five dollars and fifty cents", and "5 May 1984" and "May the fifth, nineteen
    eighty four". An entity is a hit if all of its tokens are recognized, adjacent, and their number has no further
    digits. Entities that only the hypothesis has are not counted.

    Not counted are "one", "first" and "second" alone, which mostly mean no number, and vague numbers ("dozens",
    "millions"). A reference number without a unit also matches a number with one, but "5" does not match "$5".
    "Pounds" count as money. Adjacent numbers without a comma, spelled out or of one digit each, are one digit string.
    Names are runs of capitalized words that do not begin a sentence or quotation. In the hypothesis case is ignored and
    spelling is not ("Sara" for "Sarah" is wrong). Names at the start of a sentence or without capitals are not found;
    nationalities, acronyms and other capitalized words are included. "Bank of England" is two names.

    Args:
        pairs: The utterances, read once.
        language: BCP 47 tag; only English has rules.
        misses: Maximum number of unrecognized entities to return.

    Raises:
        OptionError: If the language has no rules.
    """
    if not is_english(language):
        problem = f"there are no entity rules for language {language!r}; they are written for English (en)"
        raise OptionError(problem, option="language", supported=("en",))
    outcomes: Counter[tuple[EntityKind, _EntityOutcome]] = Counter()
    first_misses: list[EntityMiss] = []
    utterances, has_capitals = 0, False
    for pair in pairs:
        utterances += 1
        # invisible characters do not count
        reference, hypothesis = visible_text(pair.reference), visible_text(pair.hypothesis)
        lexemes, tokens, entities = read_english(reference)
        has_capitals = has_capitals or is_cased(lexemes)
        entities = sorted([*entities, *find_names(lexemes, tokens)], key=lambda entity: entity.first)
        for entity, outcome, recognized in _find_outcomes(entities, tokens, hypothesis):
            outcomes[entity.kind, outcome] += 1
            if outcome != "hit" and len(first_misses) < misses:
                text = _source(reference, tokens[entity.first : entity.last])
                first_misses.append(
                    EntityMiss(id=pair.id, kind=entity.kind, outcome=outcome, reference=text, hypothesis=recognized)
                )
    counts = {
        kind: EntityCounts(hits=outcomes[kind, "hit"], missed=outcomes[kind, "missed"], wrong=outcomes[kind, "wrong"])
        for kind in get_args(EntityKind)
    }
    return EntityScore(
        language="en",
        utterances=utterances,
        numbers=counts["number"],
        dates=counts["date"],
        money=counts["money"],
        names=counts["name"] if has_capitals else None,
        misses=tuple(first_misses),
    )


def _find_outcomes(
    entities: Sequence[Entity], tokens: Sequence[Token], hypothesis: str
) -> Iterator[tuple[Entity, _EntityOutcome, str]]:
    """Yield each entity with its outcome and the aligned text of the hypothesis."""
    if not entities:
        return
    _, recognized, _ = read_english(hypothesis)
    alignment = align_words([token.text for token in tokens], [token.text for token in recognized])
    for entity in entities:
        span = range(entity.first, entity.last)
        aligned = [at for at in alignment.hypothesis_index[entity.first : entity.last] if at is not None]
        is_hit = (
            bool(aligned)
            and aligned == list(range(aligned[0], aligned[0] + len(span)))
            and all(alignment.is_correct(index) for index in span)
            and _has_end(entity.first, -1, alignment, recognized)
            and _has_end(entity.last - 1, 1, alignment, recognized)
        )
        outcome: _EntityOutcome = "hit" if is_hit else "wrong" if aligned else "missed"
        yield entity, outcome, _source(hypothesis, [recognized[at] for at in aligned])


def _has_end(index: int, step: int, alignment: Alignment, recognized: Sequence[Token]) -> bool:
    """Return True if the recognized number ends with the entity, or continues as the reference does: 5, 26 in 526."""
    at = alignment.hypothesis_index[index]
    if at is None or recognized[at].number is None or not 0 <= at + step < len(recognized):
        return True
    if recognized[at + step].number != recognized[at].number:
        return True
    is_inside = 0 <= index + step < len(alignment.reference)
    is_aligned = is_inside and alignment.hypothesis_index[index + step] == at + step
    return is_aligned and alignment.is_correct(index + step)


def _source(text: str, tokens: Sequence[Token]) -> str:
    """Return the stretch of *text* that *tokens* come from; empty without tokens."""
    return text[min(token.start for token in tokens) : max(token.end for token in tokens)] if tokens else ""


_TITLES = frozenset(
    {"mr", "mrs", "ms", "miss", "mister", "missus", "dr", "doctor", "prof", "sir", "madam", "lady", "lord", "captain",
     "capt", "col", "gen", "lt", "rev", "hon", "gov", "sen", "rep", "pres", "jr", "sr", "st"}
)  # fmt: skip
_FIRST_PERSON = frozenset({"i", "im", "ill", "id", "ive"})
_NOT_NAMES = _TITLES | _FIRST_PERSON | {"ok", "okay", "oh", "o"}
# from this number of words on, a majority of capitals is the style of a heading and not names
_MIN_HEADING_WORDS = 6


def is_cased(lexemes: Sequence[Lexeme]) -> bool:
    """Return True if a text has a capitalized word such as "The"; "I" and "NASA" do not count."""
    words = (lexeme for lexeme in lexemes if lexeme.kind == "word" and lexeme.word not in _FIRST_PERSON)
    return any(word.text[0].isupper() and any(map(str.islower, word.text)) for word in words)


def find_names(lexemes: Sequence[Lexeme], tokens: Sequence[Token]) -> list[Entity]:
    """Find runs of capitalized words that do not begin a sentence, without titles.

    A text in capitals or in the style of a heading has no names.

    Args:
        lexemes: Lexemes of a text.
        tokens: Tokens of the same text.
    """
    words = [index for index, token in enumerate(tokens) if token.lexeme is not None]
    inner = [index for index in words if not _begins_sentence(lexemes, tokens[index].lexeme or 0)]
    capitalized = [index for index in inner if lexemes[tokens[index].lexeme or 0].text[0].isupper()]
    if not is_cased(lexemes) or (len(inner) >= _MIN_HEADING_WORDS and 2 * len(capitalized) > len(inner)):
        return []
    names = [index for index in capitalized if tokens[index].text not in _NOT_NAMES]
    starts = [index for before, index in pairwise([-2, *names]) if not _is_one_name(lexemes, tokens, before, index)]
    return [
        Entity(kind="name", first=start, last=1 + max(index for index in names if index < end))
        for start, end in pairwise([*starts, len(tokens)])
    ]


def _begins_sentence(lexemes: Sequence[Lexeme], index: int) -> bool:
    """Return True if a lexeme begins a sentence or a quotation, where a capital does not show a name."""
    if index == 0:
        return True
    before = lexemes[index - 1]
    if before.text == "." and index > 1 and lexemes[index - 2].end == before.start:
        abbreviated = lexemes[index - 2]
        return abbreviated.word not in _TITLES and (abbreviated.kind != "word" or len(abbreviated.text) > 1)
    return before.kind in ("sentence", "opening")


def _is_one_name(lexemes: Sequence[Lexeme], tokens: Sequence[Token], before: int, index: int) -> bool:
    """Return True if two capitalized words are adjacent, with at most an initial's full stop between them."""
    if index != before + 1:
        return False
    return all(lexeme.text == "." for lexeme in lexemes[(tokens[before].lexeme or 0) + 1 : tokens[index].lexeme])
