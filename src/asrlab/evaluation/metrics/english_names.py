"""Names in English text, found by its capital letters."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from asrlab.evaluation.metrics.english_tokens import Entity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrlab.evaluation.metrics.english_lexemes import Lexeme
    from asrlab.evaluation.metrics.english_tokens import Token

__all__ = ["find_names", "is_cased"]

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
