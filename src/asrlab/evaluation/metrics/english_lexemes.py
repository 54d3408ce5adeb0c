"""English text cut into what is written: words, numbers, signs and stops."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

__all__ = ["CURRENCIES", "MONTHS", "WEEKDAYS", "Lexeme", "fold", "lexemes"]

_FULL_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTHS = {name: name for name in _FULL_MONTHS} | {name[:3]: name for name in _FULL_MONTHS} | {"sept": "september"}
WEEKDAYS = frozenset({"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"})
_PLURALS = {
    "buck": "dollar", "dollar": "dollar", "euro": "euro", "franc": "franc", "pound": "pound", "rupee": "rupee",
    "cent": "cent",
}  # fmt: skip
CURRENCIES = (
    _PLURALS
    | {f"{name}s": currency for name, currency in _PLURALS.items()}
    | {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "¢": "cent"}
    | {"usd": "dollar", "eur": "euro", "gbp": "pound", "yen": "yen", "yuan": "yuan", "pence": "penny", "penny": "penny"}
)

# the order decides: a date before the numbers in it
_KINDS = {
    "iso": r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)",
    "slashed": r"(?<![\d/])\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})(?![\d/])",
    "clock": r"(?<!\d)\d{1,2}:\d{2}(?!\d)",
    "fraction": r"(?<![\d/])\d+[/\N{FRACTION SLASH}]\d+(?![\d/])|[½¼¾]",
    "numeral": r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?|\.\d+",
    "sign": r"[$€£¥¢%]|(?<!\w)[-\N{MINUS SIGN}](?=[$€£]?\.?\d)",
    "word": r"(?:[^\W\d_]\.){2,}|[^\W\d_]+(?:['\u2019](?!s\b)[^\W\d_]+)*",
    "opening": r"(?:(?<=\s)|^)[\"\u201c\u2018'(\[]",
    "sentence": r"[.?!:\n\u2013\u2014\u2026]",
    "pause": r"[,;]",
}
_LEXEME = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()), re.MULTILINE)


class Lexeme(NamedTuple):
    """A piece of a text.

    Attributes:
        kind: ``word``, ``numeral``, ``clock`` (5:30), ``fraction``, ``iso``, ``slashed``, ``sign``, ``opening``
            (quote or bracket), ``sentence`` (what may end one) or ``pause``.
        text: As written.
        word: Without case, diacritics, apostrophes and dots.
        start: Index of its first character.
        end: Index behind its last.
    """

    kind: str
    text: str
    word: str
    start: int
    end: int


def lexemes(text: str) -> list[Lexeme]:
    """The pieces in order; hyphens, closing quotes and other signs are left out."""
    return [
        Lexeme(str(found.lastgroup), found.group(), fold(found.group()), found.start(), found.end())
        for found in _LEXEME.finditer(text)
    ]


def fold(text: str) -> str:
    """A word without case, diacritics, apostrophes and dots."""
    if text.isascii():
        return text.lower().replace("'", "").replace(".", "")
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn" and letter not in "'\u2019.")
