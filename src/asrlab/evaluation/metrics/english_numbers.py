"""Parsing of English number words, and the lexemes of English text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from itertools import takewhile
from typing import NamedTuple

import attrs

_ONES_IN_ORDER = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS_IN_ORDER = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = {name: value for value, name in enumerate(_ONES_IN_ORDER)}
_TENS = {name: 10 * value for value, name in enumerate(_TENS_IN_ORDER, 2)}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = (
    _IRREGULAR
    | {f"{name}th": value for name, value in _ONES.items() if value not in _IRREGULAR.values()}
    | {f"{name[:-1]}ieth": value for name, value in _TENS.items()}
)
_DECADES = {f"{name[:-1]}ies": value for name, value in _TENS.items()}
_REPEATS = {"double": 2, "triple": 3}
# words that a spelled number can begin with
FIRST_WORDS = frozenset({*_ONES, *_TENS, *_ORDINALS, *_DECADES, *_REPEATS, "a"})
MULTIPLIERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


@attrs.frozen(kw_only=True)
class SpelledNumber:
    """A number written in words."""

    digits: str  # such as "526" or "3.14"
    n_words: int
    is_ordinal: bool = False
    is_decade: bool = False  # a plural such as "sixties"


@attrs.frozen(kw_only=True)
class _NumberGroup:
    value: int
    n_words: int
    is_ordinal: bool = False


def format_decimal(number: Decimal) -> str:
    """Return a number without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_spelled_number(words: Sequence[str]) -> SpelledNumber | None:
    """Parse the number that *words* (lower case, hyphens split) begin with; return None if they begin with none.

    "five twenty six" begins with five, since it is not one number. The caller joins adjacent numbers to a digit string.
    """
    first, digit = _word(words, 0), _digit(_word(words, 1))
    if first in _DECADES:
        return SpelledNumber(digits=str(_DECADES[first]), n_words=1, is_decade=True)
    if first in _REPEATS and digit:
        return SpelledNumber(digits=digit * _REPEATS[first], n_words=2)
    whole = _parse_whole(words)
    if whole and whole.is_ordinal:
        return SpelledNumber(digits=str(whole.value), n_words=whole.n_words, is_ordinal=True)
    return _parse_decimals(words, whole) if whole else None


def _word(words: Sequence[str], index: int) -> str:
    return words[index] if index < len(words) else ""


def _parse_whole(words: Sequence[str]) -> _NumberGroup | None:
    """Parse groups up to 9,999 with falling multipliers: "two million three hundred thousand and five"."""
    total, n_words, smallest = 0, 0, 10**15
    while True:
        start = n_words + (n_words > 0 and _word(words, n_words) == "and")
        group = _parse_hundreds(words[start:])
        if group is None or (start > n_words and group.value > 99):
            break
        end = start + group.n_words
        multiplier = 1 if _word(words, end) == "hundred" else MULTIPLIERS.get(_word(words, end), 1)
        if group.value * multiplier >= smallest:
            break
        total, n_words, smallest = total + group.value * multiplier, end + (multiplier > 1), multiplier
        if multiplier == 1:
            return _NumberGroup(value=total, n_words=n_words, is_ordinal=group.is_ordinal)
    return _NumberGroup(value=total, n_words=n_words) if n_words else None


def _parse_hundreds(words: Sequence[str]) -> _NumberGroup | None:
    """Parse up to 9,999: "nineteen hundred", "a hundred and five", "twenty six"."""
    has_article = _word(words, 0) == "a" and _word(words, 1) in MULTIPLIERS
    first = _NumberGroup(value=1, n_words=1) if has_article else _parse_tens(words)
    if first is None or first.is_ordinal or _word(words, first.n_words) not in ("hundred", "hundredth"):
        return first
    end = first.n_words + 1
    if words[first.n_words] == "hundredth":
        return _NumberGroup(value=100 * first.value, n_words=end, is_ordinal=True)
    start = end + (_word(words, end) == "and")
    rest = _parse_tens(words[start:])
    if rest is None or rest.value == 0:
        return _NumberGroup(value=100 * first.value, n_words=end)
    return _NumberGroup(value=100 * first.value + rest.value, n_words=start + rest.n_words, is_ordinal=rest.is_ordinal)


def _parse_tens(words: Sequence[str]) -> _NumberGroup | None:
    """Parse up to 99."""
    word, following = _word(words, 0), _word(words, 1)
    for names, is_ordinal in ((_ONES, False), (_ORDINALS, True)):
        if word in _TENS and 0 < names.get(following, 0) < 10:
            return _NumberGroup(value=_TENS[word] + names[following], n_words=2, is_ordinal=is_ordinal)
        if word in names:
            return _NumberGroup(value=names[word], n_words=1, is_ordinal=is_ordinal)
    return _NumberGroup(value=_TENS[word], n_words=1) if word in _TENS else None


def _parse_decimals(words: Sequence[str], whole: _NumberGroup) -> SpelledNumber:
    """Parse "point one four" or "and a half" after a whole number, and the multiplier that follows."""
    digits, end = str(whole.value), whole.n_words
    decimals = "".join(takewhile(bool, map(_digit, words[end + 1 :]))) if _word(words, end) == "point" else ""
    if decimals:
        digits, end = f"{digits}.{decimals}", end + 1 + len(decimals)
    elif list(words[end : end + 3]) == ["and", "a", "half"]:
        digits, end = f"{digits}.5", end + 3
    if "." in digits and _word(words, end) in MULTIPLIERS:
        digits, end = str(Decimal(digits) * MULTIPLIERS[words[end]]), end + 1
    return SpelledNumber(digits=format_decimal(Decimal(digits)), n_words=end)


def _digit(word: str) -> str:
    digit = 0 if word in ("oh", "o") else _ONES.get(word, 10)
    return str(digit) if digit < 10 else ""


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
# the first match wins: a date before the numbers in it
_LEXEME_PATTERNS = {
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
_LEXEME = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _LEXEME_PATTERNS.items()), re.MULTILINE)


class Lexeme(NamedTuple):
    """A word, number or sign of a text, from text[start:end]."""

    kind: str  # a key of _LEXEME_PATTERNS
    text: str  # as written
    word: str  # without case, diacritics, apostrophes and dots
    start: int
    end: int


def split_lexemes(text: str) -> list[Lexeme]:
    """Split a text into lexemes; drop hyphens, closing quotes and other signs."""
    return [
        Lexeme(str(match.lastgroup), match[0], _fold_word(match[0]), match.start(), match.end())
        for match in _LEXEME.finditer(text)
    ]


def _fold_word(text: str) -> str:
    """Return a word without case, diacritics, apostrophes and dots."""
    if text.isascii():
        return text.lower().replace("'", "").replace(".", "")
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn" and letter not in "'\u2019.")
