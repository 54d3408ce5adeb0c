"""Tokens of English text, with numbers as digits in any spelling, and the entities among the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import takewhile
from typing import Literal

import attrs

from asrlab.evaluation.metrics.english_numbers import (
    CURRENCIES,
    FIRST_WORDS,
    MONTHS,
    MULTIPLIERS,
    WEEKDAYS,
    Lexeme,
    format_decimal,
    parse_spelled_number,
    split_lexemes,
)

EntityKind = Literal["number", "date", "money", "name"]

_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4"}
_PARTS = {"half": "2", "halves": "2", "third": "3", "thirds": "3", "quarter": "4", "quarters": "4"}
_MINUS = ("-", "\N{MINUS SIGN}", "minus", "negative")
_ZEROS = ("oh", "o")
# more words than any number has; bounds the search in a text without stops
_MAX_NUMBER_WORDS = 30
_SUFFIXES = {"st": "th", "nd": "th", "rd": "th", "th": "th", "s": "s"}
_YEAR_PREPOSITIONS = ("in", "since", "until", "during", "year")
_AMBIGUOUS_MONTHS = ("may", "march", "mar")
# words that often mean no number: "no one", "at first", "wait a second"
_AMBIGUOUS_NUMBERS = ("one", "first", "second")
_CURRENCY_PREFIXES = ("$", "€", "£", "¥", "usd", "eur", "gbp")
_MINOR_UNITS = {"cent": "dollar", "penny": "pound"}


@attrs.frozen(kw_only=True)
class Token:
    """A unit of comparison: a word, a month, a currency, or one digit or sign of a number, from text[start:end]."""

    text: str  # a folded word; or a digit, ".", "/", "-", "%", "th" or "s" of a number
    start: int
    end: int
    number: int | None = None  # index of the written number that the token is a part of
    lexeme: int | None = None  # index of the lexeme of a plain word


@attrs.frozen(kw_only=True)
class Entity:
    """A number, date, amount of money or name: the tokens from *first* up to and without *last*."""

    kind: EntityKind
    first: int
    last: int


@attrs.frozen(kw_only=True)
class _ParsedNumber:
    digits: str
    end: int
    can_join: bool = False
    mark: str = ""
    is_ambiguous: bool = False


def read_english(text: str) -> tuple[list[Lexeme], list[Token], list[Entity]]:
    """Return the lexemes of a text, its tokens, and its numbers, dates and amounts of money (no names)."""
    parser = _EntityParser(split_lexemes(text))
    at = 0
    while at < len(parser.lexemes):
        at = parser.date(at) or parser.quantity(at) or parser.word(at)
    return parser.lexemes, parser.tokens, parser.entities


class _EntityParser:
    """A parser of lexemes from left to right. Its methods return the index after the parsed lexemes, or 0."""

    def __init__(self, lexemes: list[Lexeme]) -> None:
        self.lexemes = lexemes
        self.tokens: list[Token] = []
        self.entities: list[Entity] = []
        self._numbers = 0

    def word(self, at: int) -> int:
        """Parse a lexeme that is not an entity; a stop makes no token."""
        lexeme = self.lexemes[at]
        if lexeme.kind == "word":
            self.tokens.append(Token(text=lexeme.word, start=lexeme.start, end=lexeme.end, lexeme=at))
        return at + 1

    def quantity(self, at: int) -> int:
        """Parse an amount of money, a percentage or a number."""
        currency = CURRENCIES[self._word(at, "sign")] if self._word(at, "sign") in _CURRENCY_PREFIXES else ""
        number = self._run(at + bool(currency))
        if number is None:
            return 0
        # a letter for thousands, millions or billions: "10k", "$5bn"
        scale = self._word(number.end)
        is_attached = number.end < len(self.lexemes) and self._attached(number.end)
        is_scaled = scale in _SCALES and "/" not in number.digits
        is_scaled = is_scaled and (is_attached or bool(currency)) and (bool(currency) or scale == "k")
        if is_scaled:
            digits = format_decimal(Decimal(number.digits) * _SCALES[scale])
            number = attrs.evolve(number, digits=digits, end=number.end + 1)
        digits, end, unit = self._unit(number, currency)
        kind: EntityKind = "money" if unit in CURRENCIES.values() else "number"
        is_year = self._word(at - 1) in _YEAR_PREPOSITIONS and _is_year(number)
        if kind == "number" and (number.mark == "s" or is_year):
            kind = "date"
        parts = [[*digits, *filter(None, (number.mark, unit))]]
        return self._add(None if number.is_ambiguous and not (unit or is_scaled) else kind, parts, at, end)

    def date(self, at: int) -> int:
        """Parse a date, a month or a day of the week."""
        lexeme = self.lexemes[at]
        if lexeme.kind == "iso":
            year, month, day = lexeme.text.split("-")
            names = list(dict.fromkeys(MONTHS.values()))
            parts = [[names[(int(month) - 1) % 12]], list(str(int(day))), list(year)]
            return self._add("date", parts, at, at + 1)
        if lexeme.kind == "slashed":
            return self._add("date", [list(str(int(part))) for part in lexeme.text.split("/")], at, at + 1)
        if lexeme.word in WEEKDAYS:
            return self._add("date", [[lexeme.word]], at, at + 1)
        return self._month_first(at) or self._day_first(at)

    def _month_first(self, at: int) -> int:
        month, end = self._month(at)
        if not month:
            return 0
        number = self._run(end + (self._word(end) == "the"))
        cased = self.lexemes[at].text[0].isupper()
        if number and _is_day(number) and (cased or not number.is_ambiguous or number.mark):
            year = self._year(number.end)
            return self._add("date", [[month], [*number.digits], [*year[0]]], at, year[1] or number.end)
        if number and len(number.digits) in (5, 6) and number.can_join and number.digits.isdigit():
            # "may five nineteen eighty four"
            return self._add("date", [[month], [*number.digits[:-4]], [*number.digits[-4:]]], at, number.end)
        digits, behind = self._year(end)
        if digits:
            return self._add("date", [[month], [*digits]], at, behind)
        inside = at > 0 and self.lexemes[at - 1].kind not in ("sentence", "opening")
        alone = self.lexemes[at].word == month and (month not in _AMBIGUOUS_MONTHS or (cased and inside))
        return self._add("date", [[month]], at, at + 1) if alone else 0

    def _day_first(self, at: int) -> int:
        number = self._run(at + (self._word(at) == "the"))
        if number is None or not _is_day(number) or (self._word(at) == "the" and number.mark != "th"):
            return 0
        of = self._word(number.end) == "of"
        month, end = self._month(number.end + of)
        digits, behind = self._year(end) if month else ("", 0)
        sure = (
            of or number.mark or digits or month not in _AMBIGUOUS_MONTHS or self.lexemes[number.end].text[0].isupper()
        )
        if not month or not sure:
            return 0
        return self._add("date", [[month], [*number.digits], [*digits]], at, behind or end)

    def _month(self, at: int) -> tuple[str, int]:
        """Return the month at an index and the index after it and the full stop of an abbreviation."""
        word = self._word(at)
        month = MONTHS.get(word, "")
        dotted = bool(month) and word != month and at + 1 < len(self.lexemes) and self.lexemes[at + 1].text == "."
        return month, at + 1 + dotted

    def _year(self, at: int) -> tuple[str, int]:
        """Return the year after a month or day, skipping a comma or "of"."""
        skipped = at < len(self.lexemes) and (self.lexemes[at].text == "," or self._word(at) == "of")
        number = self._run(at + skipped)
        return (number.digits, number.end) if number and not number.mark and _is_year(number) else ("", 0)

    def _unit(self, number: _ParsedNumber, currency: str) -> tuple[str, int, str]:
        """Return the digits with cents added, the index after the unit, and the unit: a currency, ``%`` or nothing."""
        end = number.end
        if self._word(end, "sign") in ("%", "percent"):
            return number.digits, end + 1, "%"
        if self._word(end) == "per" and self._word(end + 1) == "cent":
            return number.digits, end + 2, "%"
        if not currency:
            currency = CURRENCIES.get(self._word(end, "sign"), "")
            end += bool(currency)
        if not currency or "/" in number.digits or number.mark:
            return number.digits, number.end, currency if end == number.end else ""
        if currency in _MINOR_UNITS:
            return format_decimal(Decimal(number.digits) / 100), end, _MINOR_UNITS[currency]
        cents = self._run(end + (self._word(end) == "and"))
        if cents and len(cents.digits) <= 2 and CURRENCIES.get(self._word(cents.end)) in _MINOR_UNITS:
            return format_decimal(Decimal(number.digits) + Decimal(cents.digits) / 100), cents.end + 1, currency
        return number.digits, end, currency

    def _run(self, at: int) -> _ParsedNumber | None:
        """Parse a number, or adjacent numbers that make one digit string: "5 2 6", "five twenty six"."""
        number = self._number(at)
        if number is None and self._word(at) in _ZEROS:
            # the "oh" before a digit string of at least two digits: "oh seven five"
            following = [self._number(at + 1), self._number(at + 2)]
            is_zero = all(digit and digit.can_join and len(digit.digits) == 1 for digit in following)
            number = _ParsedNumber(digits="0", end=at + 1, can_join=True) if is_zero else None
        while number and number.can_join and not number.mark:
            zero = self._word(number.end) in _ZEROS
            after = self._number(number.end + zero)
            if after is None or not after.can_join or after.mark == "th":
                break
            digits = f"{number.digits}{'0' * zero}{after.digits}"
            number = attrs.evolve(after, digits=digits, is_ambiguous=False)
        return number

    def _number(self, at: int) -> _ParsedNumber | None:
        if at >= len(self.lexemes) or self.lexemes[at].word not in _MINUS:
            return self._positive(at)
        number = self._positive(at + 1)
        return number and attrs.evolve(number, digits=f"-{number.digits}", can_join=False, is_ambiguous=False)

    def _positive(self, at: int) -> _ParsedNumber | None:
        if at >= len(self.lexemes):
            return None
        text = self.lexemes[at].text
        match self.lexemes[at].kind:
            case "numeral":
                return self._numeral(at)
            case "clock":
                return _ParsedNumber(digits=text.removesuffix(":00").replace(":", ""), end=at + 1)
            case "fraction":
                digits = _FRACTIONS.get(text, text.replace("\N{FRACTION SLASH}", "/"))
                return _ParsedNumber(digits=digits, end=at + 1)
            case "word":
                return self._spelled(at)
        return None

    def _numeral(self, at: int) -> _ParsedNumber:
        digits = self.lexemes[at].text.replace(",", "")
        digits = format_decimal(Decimal(digits)) if "." in digits else digits
        end = at + 1
        mark = _SUFFIXES.get(self._word(end))
        if mark and self._attached(end):
            return _ParsedNumber(digits=digits, end=end + 1, mark=mark)
        half = [self._word(end + ahead) for ahead in range(3)] == ["and", "a", "half"]
        half = half or (end < len(self.lexemes) and self.lexemes[end].text in ("½", "1/2"))
        if half and "." not in digits:
            digits, end = f"{digits}.5", end + (3 if self._word(end) else 1)
        while self._word(end) in MULTIPLIERS:
            digits, end = format_decimal(Decimal(digits) * MULTIPLIERS[self._word(end)]), end + 1
        return self._with_part(_ParsedNumber(digits=digits, end=end, can_join=len(digits) == 1))

    def _spelled(self, at: int) -> _ParsedNumber | None:
        if self.lexemes[at].word not in FIRST_WORDS:
            return None
        spelled = parse_spelled_number(list(takewhile(bool, map(self._word, range(at, at + _MAX_NUMBER_WORDS)))))
        if spelled is None:
            return None
        mark = "th" if spelled.is_ordinal else "s" if spelled.is_decade else ""
        number = _ParsedNumber(
            digits=spelled.digits,
            end=at + spelled.n_words,
            can_join=spelled.digits.isdigit(),
            mark=mark,
            is_ambiguous=spelled.n_words == 1 and self.lexemes[at].word in _AMBIGUOUS_NUMBERS,
        )
        return self._with_part(number)

    def _with_part(self, number: _ParsedNumber) -> _ParsedNumber:
        """Parse a fraction in words: "three quarters", "one half"."""
        part = self._word(number.end)
        if number.mark or part not in _PARTS or not number.can_join or (part == "third" and number.digits != "1"):
            return number
        return _ParsedNumber(digits=f"{number.digits}/{_PARTS[part]}", end=number.end + 1)

    def _add(self, kind: EntityKind | None, parts: Sequence[Sequence[str]], at: int, end: int) -> int:
        """Add tokens for the lexemes from *at* to *end*; each part is a written number of its own."""
        first = len(self.tokens)
        start, stop = self.lexemes[at].start, self.lexemes[end - 1].end
        for part in parts:
            self._numbers += 1
            self.tokens += [Token(text=text, start=start, end=stop, number=self._numbers) for text in part]
        if kind:
            self.entities.append(Entity(kind=kind, first=first, last=len(self.tokens)))
        return end

    def _word(self, at: int, *kinds: str) -> str:
        """Return the word at an index; empty if the lexeme is neither a ``word`` nor of *kinds*."""
        is_word = 0 <= at < len(self.lexemes) and self.lexemes[at].kind in ("word", *kinds)
        return self.lexemes[at].word if is_word else ""

    def _attached(self, at: int) -> bool:
        return self.lexemes[at].start == self.lexemes[at - 1].end


def _is_day(number: _ParsedNumber) -> bool:
    return number.digits.isdigit() and len(number.digits) <= 2 and 1 <= int(number.digits) <= 31 and number.mark != "s"


def _is_year(number: _ParsedNumber) -> bool:
    return len(number.digits) == 4 and "1000" <= number.digits <= "2099"
