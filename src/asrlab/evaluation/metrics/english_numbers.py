"""English number words, and how a number that is spelled out is read."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONES = {
    name: value
    for value, name in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
        )
    )
}  # fmt: skip
_TENS = {
    name: 10 * value
    for value, name in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = (
    _IRREGULAR
    | {f"{name}th": value for name, value in _ONES.items() if value not in _IRREGULAR.values()}
    | {f"{name[:-1]}ieth": value for name, value in _TENS.items()}
)
_DECADES = {f"{name[:-1]}ies": value for name, value in _TENS.items()}
_REPEATS = {"double": 2, "triple": 3}
# what a number in words can begin with
STARTS = frozenset({*_ONES, *_TENS, *_ORDINALS, *_DECADES, *_REPEATS, "a"})
MULTIPLIERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


@attrs.frozen(kw_only=True)
class Spelled:
    """A number in words.

    Attributes:
        digits: As it would be written, such as ``526`` or ``3.14``.
        words: How many words it takes.
        ordinal: Whether it is an ordinal.
        decade: Whether it is a plural such as "sixties".
    """

    digits: str
    words: int
    ordinal: bool = False
    decade: bool = False


@attrs.frozen(kw_only=True)
class _Group:
    value: int
    words: int
    ordinal: bool = False


def plain(number: Decimal) -> str:
    """A number without exponent and without zeros after its last decimal."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_spelled(words: Sequence[str]) -> Spelled | None:
    """The number in words with which *words* (lower case, hyphens split) begin; None if they begin with none.

    "five twenty six" begins with five, since no number is said so; that neighbours make one digit string is for the
    caller to say.
    """
    first, following = _word(words, 0), _word(words, 1)
    if first in _DECADES:
        return Spelled(digits=str(_DECADES[first]), words=1, decade=True)
    if first in _REPEATS and _digit(following):
        return Spelled(digits=_digit(following) * _REPEATS[first], words=2)
    whole = _read_whole(words)
    if whole is None:
        return None
    if whole.ordinal:
        return Spelled(digits=str(whole.value), words=whole.words, ordinal=True)
    return _with_decimals(words, whole)


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _read_whole(words: Sequence[str]) -> _Group | None:
    """Groups up to 9,999 with falling multipliers: "two million three hundred thousand and five"."""
    total, at, smallest = 0, 0, 10**15
    while True:
        start = at + (at > 0 and _word(words, at) == "and")
        group = _read_hundreds(words[start:])
        if group is None or (start > at and group.value > 99):
            break
        end = start + group.words
        multiplier = 1 if _word(words, end) == "hundred" else MULTIPLIERS.get(_word(words, end), 1)
        if group.value * multiplier >= smallest:
            break
        total, at, smallest = total + group.value * multiplier, end + (multiplier > 1), multiplier
        if multiplier == 1:
            return _Group(value=total, words=at, ordinal=group.ordinal)
    return _Group(value=total, words=at) if at else None


def _read_hundreds(words: Sequence[str]) -> _Group | None:
    """Up to 9,999: "nineteen hundred", "a hundred and five", "twenty six"."""
    article = _word(words, 0) == "a" and _word(words, 1) in MULTIPLIERS
    first = _Group(value=1, words=1) if article else _read_tens(words)
    if first is None or first.ordinal or _word(words, first.words) not in ("hundred", "hundredth"):
        return first
    at = first.words + 1
    if words[first.words] == "hundredth":
        return _Group(value=100 * first.value, words=at, ordinal=True)
    start = at + (_word(words, at) == "and")
    rest = _read_tens(words[start:])
    if rest is None or rest.value == 0:
        return _Group(value=100 * first.value, words=at)
    return _Group(value=100 * first.value + rest.value, words=start + rest.words, ordinal=rest.ordinal)


def _read_tens(words: Sequence[str]) -> _Group | None:
    """Up to 99."""
    word, following = _word(words, 0), _word(words, 1)
    for names, ordinal in ((_ONES, False), (_ORDINALS, True)):
        if word in _TENS and 0 < names.get(following, 0) < 10:
            return _Group(value=_TENS[word] + names[following], words=2, ordinal=ordinal)
        if word in names:
            return _Group(value=names[word], words=1, ordinal=ordinal)
    return _Group(value=_TENS[word], words=1) if word in _TENS else None


def _with_decimals(words: Sequence[str], whole: _Group) -> Spelled:
    """With "point one four" or "and a half", and the multiplier behind them."""
    digits, at = str(whole.value), whole.words
    decimals = _decimals(words[at + 1 :]) if _word(words, at) == "point" else ""
    if decimals:
        digits, at = f"{digits}.{decimals}", at + 1 + len(decimals)
    elif list(words[at : at + 3]) == ["and", "a", "half"]:
        digits, at = f"{digits}.5", at + 3
    if "." in digits and _word(words, at) in MULTIPLIERS:
        digits, at = str(Decimal(digits) * MULTIPLIERS[words[at]]), at + 1
    return Spelled(digits=plain(Decimal(digits)), words=at)


def _decimals(words: Sequence[str]) -> str:
    digits = ""
    for word in words:
        if not _digit(word):
            break
        digits += _digit(word)
    return digits


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
