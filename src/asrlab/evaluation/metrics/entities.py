"""Entity error rate: how many numbers, dates, amounts of money and names were written as said."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.alignment import Alignment, align_words
from asrlab.evaluation.metrics.english_tokens import Entity, EntityKind, read_english
from asrlab.evaluation.metrics.normalizers import visible_text
from asrlab.languages import is_english

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asrlab.evaluation.metrics.english_numbers import Lexeme
    from asrlab.evaluation.metrics.english_tokens import Entity, Token
    from asrlab.evaluation.metrics.wer import TextPair

_Outcome = Literal["hit", "missed", "wrong"]


@attrs.frozen(kw_only=True)
class EntityCounts:
    """How entities of one kind fared. Two of them add up.

    Attributes:
        hits: Written as said.
        missed: Nothing stands in their place.
        wrong: Something else stands in their place, or only a part of them.
    """

    hits: int = 0
    missed: int = 0
    wrong: int = 0

    def __add__(self, other: EntityCounts) -> EntityCounts:
        return EntityCounts(
            hits=self.hits + other.hits, missed=self.missed + other.missed, wrong=self.wrong + other.wrong
        )

    @property
    def references(self) -> int:
        """Entities in the references."""
        return self.hits + self.missed + self.wrong

    @property
    def rate(self) -> float | None:
        """Missed and wrong ones over all, in [0, 1]; None if there were none."""
        return (self.missed + self.wrong) / self.references if self.references else None


@attrs.frozen(kw_only=True)
class EntityMiss:
    """An entity that was not written as said.

    Attributes:
        id: The utterance's id.
        kind: ``number``, ``date``, ``money`` or ``name``.
        outcome: ``missed`` or ``wrong``.
        reference: The entity as the reference writes it.
        hypothesis: What stands in its place, as the transcriber wrote it; empty if nothing does.
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
        language: Whose rules were applied.
        utterances: How many were read.
        numbers: Cardinals, ordinals, decimals, percentages, times of day, digit strings.
        dates: Days, months, years, decades, days of the week.
        money: Amounts with a currency.
        names: Capitalised words inside sentences; None where no reference has capitals to tell them by.
        misses: The first entities that were not written as said, in order.
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
        """All kinds together; names only where they can be told."""
        return self.numbers + self.dates + self.money + (self.names or EntityCounts())

    @property
    def rate(self) -> float | None:
        """Entity error rate over all kinds, in [0, 1]; None if there were no entities."""
        return self.total.rate


def entity_errors(pairs: Iterable[TextPair], *, language: str = "en", misses: int = 50) -> EntityScore:
    """Count which numbers, dates, amounts of money and names of the references were written as said.

    Give the texts as they were written, not normalized: names are told by their capitals. Both texts are read by the
    same rules into tokens, where a number is its digits: "526", "5 2 6", "five twenty six" and "five hundred twenty
    six" are the same three, "$5.50" and "five dollars and fifty cents" the same amount, "5 May 1984" and "May the
    fifth, nineteen eighty four" the same date. The tokens are aligned with the fewest errors; an entity is a hit if
    all of its tokens are there, side by side, and the number they stand in has no further digits. Entities that only
    the hypothesis has are not counted.

    Not counted: "one", "first" and "second" on their own, which mostly mean no number; vague ones ("dozens",
    "millions"). A number without a unit is no error beside one with ("5" for "$5" is). "Pounds" are taken for money.
    Numbers side by side with no comma between, spelled out or of one digit each, count as one digit string.

    Names are runs of capitalised words that begin no sentence or quotation; case does not count in the hypothesis, the
    spelling does ("Sara" for "Sarah" is wrong). Missed are names at the start of a sentence and those written without
    capitals; counted along are nationalities, acronyms and whatever else is capitalised. "Bank of England" is two.

    Args:
        pairs: The utterances, read once.
        language: BCP 47 tag; there are rules for English.
        misses: How many entities that were not written as said are kept.

    Raises:
        OptionError: There are no rules for this language.
    """
    if not is_english(language):
        raise OptionError(
            f"there are no entity rules for language {language!r}; they are written for English (en)",
            option="language",
            supported=("en",),
        )
    counts: dict[EntityKind, EntityCounts] = {}
    kept: list[EntityMiss] = []
    utterances, cased = 0, False
    for pair in pairs:
        utterances += 1
        pair = attrs.evolve(  # noqa: PLW2901 - as a reader sees both texts
            pair, reference=visible_text(pair.reference), hypothesis=visible_text(pair.hypothesis)
        )
        pieces, tokens, entities = read_english(pair.reference)
        cased = cased or is_cased(pieces)
        for kind, outcome, miss in _judged(pair, tokens, [*entities, *find_names(pieces, tokens)]):
            counts[kind] = counts.get(kind, EntityCounts()) + _COUNTED[outcome]
            if miss and len(kept) < misses:
                kept.append(miss)
    return EntityScore(
        language="en",
        utterances=utterances,
        numbers=counts.get("number", EntityCounts()),
        dates=counts.get("date", EntityCounts()),
        money=counts.get("money", EntityCounts()),
        names=counts.get("name", EntityCounts()) if cased else None,
        misses=tuple(kept),
    )


_COUNTED: dict[_Outcome, EntityCounts] = {
    "hit": EntityCounts(hits=1),
    "missed": EntityCounts(missed=1),
    "wrong": EntityCounts(wrong=1),
}


def _judged(
    pair: TextPair, tokens: Sequence[Token], entities: Sequence[Entity]
) -> Iterator[tuple[EntityKind, _Outcome, EntityMiss | None]]:
    if not entities:
        return
    _, written, _ = read_english(pair.hypothesis)
    edits = align_words([token.text for token in tokens], [token.text for token in written])
    for entity in sorted(entities, key=lambda entity: entity.first):
        outcome = _outcome(entity, edits, written)
        if outcome == "hit":
            yield entity.kind, outcome, None
            continue
        places = [at for at in edits.counterparts[entity.first : entity.last] if at is not None]
        miss = EntityMiss(
            id=pair.id,
            kind=entity.kind,
            outcome=outcome,
            reference=_source(pair.reference, tokens[entity.first : entity.last]),
            hypothesis=_source(pair.hypothesis, [written[at] for at in places]),
        )
        yield entity.kind, outcome, miss


def _outcome(entity: Entity, edits: Alignment, written: Sequence[Token]) -> _Outcome:
    span = range(entity.first, entity.last)
    places = [at for at in edits.counterparts[entity.first : entity.last] if at is not None]
    if not places:
        return "missed"
    whole = all(edits.right(place) for place in span) and places == list(range(places[0], places[0] + len(span)))
    ends = _ends(entity.first, -1, edits, written) and _ends(entity.last - 1, 1, edits, written)
    return "hit" if whole and ends else "wrong"


def _ends(place: int, step: int, edits: Alignment, written: Sequence[Token]) -> bool:
    """Whether the number written at an entity's end goes on only where the reference goes on alike: 5, 26 in 526."""
    at = edits.counterparts[place]
    if at is None or written[at].number is None or not 0 <= at + step < len(written):
        return True
    if written[at + step].number != written[at].number:
        return True
    follows = 0 <= place + step < len(edits.reference) and edits.counterparts[place + step] == at + step
    return follows and edits.right(place + step)


def _source(text: str, tokens: Sequence[Token]) -> str:
    if not tokens:
        return ""
    return text[min(token.start for token in tokens) : max(token.end for token in tokens)]


_TITLES = frozenset(
    {"mr", "mrs", "ms", "miss", "mister", "missus", "dr", "doctor", "prof", "sir", "madam", "lady", "lord", "captain",
     "capt", "col", "gen", "lt", "rev", "hon", "gov", "sen", "rep", "pres", "jr", "sr", "st"}
)  # fmt: skip
_FIRST_PERSON = frozenset({"i", "im", "ill", "id", "ive"})
_NOT_NAMES = _TITLES | _FIRST_PERSON | {"ok", "okay", "oh", "o"}
# from so many words on, more capitals than not are the style of a heading, not names
_HEADING = 6


def is_cased(pieces: Sequence[Lexeme]) -> bool:
    """Whether a text has a capitalised word, such as "The"; neither "I" nor "NASA" shows that it would."""
    words = (piece for piece in pieces if piece.kind == "word" and piece.word not in _FIRST_PERSON)
    return any(piece.text[0].isupper() and any(map(str.islower, piece.text)) for piece in words)


def find_names(pieces: Sequence[Lexeme], tokens: Sequence[Token]) -> list[Entity]:
    """Runs of capitalised words that begin no sentence, without titles; none in a text set in capitals or as a title.

    Args:
        pieces: A text's pieces.
        tokens: Its tokens.
    """
    judged = [place for place, token in enumerate(tokens) if token.lexeme is not None]
    inner = [place for place in judged if not _begins(pieces, tokens[place].lexeme or 0)]
    capital = [place for place in inner if pieces[tokens[place].lexeme or 0].text[0].isupper()]
    if not is_cased(pieces) or (len(inner) >= _HEADING and 2 * len(capital) > len(inner)):
        return []
    names = [place for place in capital if tokens[place].text not in _NOT_NAMES]
    starts = [place for before, place in pairwise([-2, *names]) if not _joined(pieces, tokens, before, place)]
    return [
        Entity(kind="name", first=start, last=1 + max(place for place in names if place < end))
        for start, end in pairwise([*starts, len(tokens)])
    ]


def _begins(pieces: Sequence[Lexeme], at: int) -> bool:
    """Whether the piece at *at* begins a sentence or a quotation, where a capital says nothing."""
    if at == 0:
        return True
    before = pieces[at - 1]
    if before.text == "." and at > 1 and pieces[at - 2].end == before.start:
        abbreviated = pieces[at - 2]
        return abbreviated.word not in _TITLES and (abbreviated.kind != "word" or len(abbreviated.text) > 1)
    return before.kind in ("sentence", "opening")


def _joined(pieces: Sequence[Lexeme], tokens: Sequence[Token], before: int, place: int) -> bool:
    """Whether two capitalised words are one name: side by side, with no more than an initial's full stop between."""
    if place != before + 1:
        return False
    between = pieces[(tokens[before].lexeme or 0) + 1 : tokens[place].lexeme]
    return all(piece.text == "." for piece in between)
