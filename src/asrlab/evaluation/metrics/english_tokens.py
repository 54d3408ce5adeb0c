"""English text as tokens in which a number is its digits, however it was written, and the entities among them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import attrs

from asrlab.evaluation.metrics.english_numbers import (
    CURRENCIES,
    MONTHS,
    MULTIPLIERS,
    STARTS,
    WEEKDAYS,
    Lexeme,
    lexemes,
    plain,
    read_spelled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


EntityKind = Literal["number", "date", "money", "name"]

_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4"}
_PARTS = {"half": "2", "halves": "2", "third": "3", "thirds": "3", "quarter": "4", "quarters": "4"}
_MINUS = ("-", "\N{MINUS SIGN}", "minus", "negative")
_ZEROS = ("oh", "o")
# more words than any number has, and few enough for a text without stops
_LONGEST = 30
_ORDINAL_ENDS = ("st", "nd", "rd", "th")
_BEFORE_YEARS = ("in", "since", "until", "during", "year")
_VERBS = ("may", "march", "mar")
# said without a number being meant: "no one", "at first", "wait a second"
_WEAK = ("one", "first", "second")
_PREFIXES = ("$", "€", "£", "¥", "usd", "eur", "gbp")
_MINOR = {"cent": "dollar", "penny": "pound"}


@attrs.frozen(kw_only=True)
class Token:
    """What is compared: a word, a month, a currency, or one digit or sign of a number.

    Attributes:
        text: Folded; a digit, ``.``, ``/``, ``-``, ``%``, ``th`` or ``s`` where it is part of a number.
        start: Index of the first character of what it was read from.
        end: Index behind its last.
        number: Which written number of the text it is part of; None if of none.
        lexeme: Index of the piece of text it was read from; None where it is no plain word.
    """

    text: str
    start: int
    end: int
    number: int | None = None
    lexeme: int | None = None


@attrs.frozen(kw_only=True)
class Entity:
    """A number, date, amount of money or name: the tokens from *first* up to, not with, *last*."""

    kind: EntityKind
    first: int
    last: int


@attrs.frozen(kw_only=True)
class _Number:
    digits: str
    end: int
    loose: bool = False
    mark: str = ""
    weak: bool = False


def read_english(text: str) -> tuple[list[Lexeme], list[Token], list[Entity]]:
    """The pieces of a text, its tokens, and its numbers, dates and amounts of money (no names)."""
    reader = _Reader(lexemes(text))
    at = 0
    while at < len(reader.lexemes):
        at = reader.date(at) or reader.quantity(at) or reader.word(at)
    return reader.lexemes, reader.tokens, reader.entities


class _Reader:
    """Reads pieces from left to right; each method gives the index behind what it took, or 0."""

    def __init__(self, pieces: list[Lexeme]) -> None:
        self.lexemes = pieces
        self.tokens: list[Token] = []
        self.entities: list[Entity] = []
        self._numbers = 0

    def word(self, at: int) -> int:
        """A piece that is no entity; a stop leaves no token."""
        piece = self.lexemes[at]
        if piece.kind == "word":
            self.tokens.append(Token(text=piece.word, start=piece.start, end=piece.end, lexeme=at))
        return at + 1

    def quantity(self, at: int) -> int:
        """An amount of money, a percentage or a number."""
        currency = CURRENCIES.get(self._sign(at), "") if self._sign(at) in _PREFIXES else ""
        number = self._run(at + bool(currency))
        if number is None:
            return 0
        number, scaled = self._scaled(number, money=bool(currency))
        digits, end, unit = self._unit(number, currency)
        kind: EntityKind = "money" if unit in CURRENCIES.values() else "number"
        if kind == "number" and (number.mark == "s" or self._is_year(at, number)):
            kind = "date"
        parts = [[*digits, *filter(None, (number.mark, unit))]]
        self._add(None if number.weak and not (unit or scaled) else kind, parts, at, end)
        return end

    def date(self, at: int) -> int:
        """A date in one of its orders, a month or a day of the week."""
        piece = self.lexemes[at]
        if piece.kind == "iso":
            year, month, day = piece.text.split("-")
            names = list(dict.fromkeys(MONTHS.values()))
            parts = [[names[(int(month) - 1) % 12]], list(str(int(day))), list(year)]
            return self._add("date", parts, at, at + 1)
        if piece.kind == "slashed":
            return self._add("date", [list(str(int(part))) for part in piece.text.split("/")], at, at + 1)
        if piece.word in WEEKDAYS:
            return self._add("date", [[piece.word]], at, at + 1)
        return self._month_first(at) or self._day_first(at)

    def _month_first(self, at: int) -> int:
        month, end = self._month(at)
        if not month:
            return 0
        number = self._run(end + (self._word(end) == "the"))
        cased = self.lexemes[at].text[0].isupper()
        if number and _is_day(number) and (cased or not number.weak or number.mark):
            year = self._year(number.end)
            return self._add("date", [[month], [*number.digits], [*year[0]]], at, year[1] or number.end)
        if number and len(number.digits) in (5, 6) and number.loose and number.digits.isdigit():
            # "may five nineteen eighty four"
            return self._add("date", [[month], [*number.digits[:-4]], [*number.digits[-4:]]], at, number.end)
        digits, behind = self._year(end)
        if digits:
            return self._add("date", [[month], [*digits]], at, behind)
        inside = at > 0 and self.lexemes[at - 1].kind not in ("sentence", "opening")
        alone = self.lexemes[at].word == month and (month not in _VERBS or (cased and inside))
        return self._add("date", [[month]], at, at + 1) if alone else 0

    def _day_first(self, at: int) -> int:
        number = self._run(at + (self._word(at) == "the"))
        if number is None or not _is_day(number) or (self._word(at) == "the" and number.mark != "th"):
            return 0
        of = self._word(number.end) == "of"
        month, end = self._month(number.end + of)
        digits, behind = self._year(end) if month else ("", 0)
        sure = of or number.mark or digits or month not in _VERBS or self.lexemes[number.end].text[0].isupper()
        if not month or not sure:
            return 0
        return self._add("date", [[month], [*number.digits], [*digits]], at, behind or end)

    def _month(self, at: int) -> tuple[str, int]:
        """The month at a place and the index behind it, with the full stop of an abbreviation."""
        word = self._word(at)
        month = MONTHS.get(word, "")
        dotted = bool(month) and word != month and at + 1 < len(self.lexemes) and self.lexemes[at + 1].text == "."
        return month, at + 1 + dotted

    def _year(self, at: int) -> tuple[str, int]:
        """A year behind a month or day, past a comma or "of"."""
        skipped = at < len(self.lexemes) and (self.lexemes[at].text == "," or self._word(at) == "of")
        number = self._run(at + skipped)
        if number and not number.mark and len(number.digits) == 4 and "1000" <= number.digits <= "2099":
            return number.digits, number.end
        return "", 0

    def _is_year(self, at: int, number: _Number) -> bool:
        digits = number.digits
        return self._word(at - 1) in _BEFORE_YEARS and len(digits) == 4 and "1000" <= digits <= "2099"

    def _scaled(self, number: _Number, *, money: bool) -> tuple[_Number, bool]:
        """With a letter for thousands, millions or billions behind it: "10k", "$5bn"."""
        scale = self._word(number.end)
        attached = number.end < len(self.lexemes) and self._attached(number.end)
        if not (scale in _SCALES and (attached or money) and (money or scale == "k")) or "/" in number.digits:
            return number, False
        digits = plain(Decimal(number.digits) * _SCALES[scale])
        return attrs.evolve(number, digits=digits, end=number.end + 1), True

    def _unit(self, number: _Number, currency: str) -> tuple[str, int, str]:
        """The digits with cents added, the index behind the unit, and the unit: a currency, ``%`` or nothing."""
        end = number.end
        if self._sign(end) in ("%", "percent"):
            return number.digits, end + 1, "%"
        if self._word(end) == "per" and self._word(end + 1) == "cent":
            return number.digits, end + 2, "%"
        if not currency:
            currency = CURRENCIES.get(self._sign(end), "")
            end += bool(currency)
        if not currency or "/" in number.digits or number.mark:
            return number.digits, number.end, currency if end == number.end else ""
        if currency in _MINOR:
            return plain(Decimal(number.digits) / 100), end, _MINOR[currency]
        cents = self._run(end + (self._word(end) == "and"))
        if cents and len(cents.digits) <= 2 and CURRENCIES.get(self._word(cents.end)) in _MINOR:
            return plain(Decimal(number.digits) + Decimal(cents.digits) / 100), cents.end + 1, currency
        return number.digits, end, currency

    def _run(self, at: int) -> _Number | None:
        """A number, or several that stand side by side and make one digit string: "5 2 6", "five twenty six"."""
        number = self._number(at) or self._leading_zero(at)
        while number and number.loose and not number.mark:
            zero = self._word(number.end) in _ZEROS
            following = self._number(number.end + zero)
            if following is None or not following.loose or following.mark == "th":
                break
            digits = f"{number.digits}{'0' * zero}{following.digits}"
            number = attrs.evolve(following, digits=digits, weak=False)
        return number

    def _leading_zero(self, at: int) -> _Number | None:
        """The "oh" that begins a digit string of at least two more: "oh seven five"."""
        if self._word(at) not in _ZEROS:
            return None
        numbers = [self._number(at + 1), self._number(at + 2)]
        digits = all(number and number.loose and len(number.digits) == 1 for number in numbers)
        return _Number(digits="0", end=at + 1, loose=True) if digits else None

    def _number(self, at: int) -> _Number | None:
        if at >= len(self.lexemes):
            return None
        if self.lexemes[at].word not in _MINUS:
            return self._positive(at)
        number = self._positive(at + 1) if at + 1 < len(self.lexemes) else None
        return number and attrs.evolve(number, digits=f"-{number.digits}", loose=False, weak=False)

    def _positive(self, at: int) -> _Number | None:
        piece = self.lexemes[at]
        match piece.kind:
            case "numeral":
                return self._numeral(at)
            case "clock":
                return _Number(digits=piece.text.removesuffix(":00").replace(":", ""), end=at + 1)
            case "fraction":
                return _Number(
                    digits=_FRACTIONS.get(piece.text, piece.text.replace("\N{FRACTION SLASH}", "/")), end=at + 1
                )
            case "word":
                return self._spelled(at)
        return None

    def _numeral(self, at: int) -> _Number:
        digits = self.lexemes[at].text.replace(",", "")
        digits = plain(Decimal(digits)) if "." in digits else digits
        end = at + 1
        if self._word(end) in _ORDINAL_ENDS and self._attached(end):
            return _Number(digits=digits, end=end + 1, mark="th")
        if self._word(end) == "s" and self._attached(end):
            return _Number(digits=digits, end=end + 1, mark="s")
        half = [self._word(end + ahead) for ahead in range(3)] == ["and", "a", "half"]
        half = half or (end < len(self.lexemes) and self.lexemes[end].text in ("½", "1/2"))
        if half and "." not in digits:
            digits, end = f"{digits}.5", end + (3 if self._word(end) else 1)
        while self._word(end) in MULTIPLIERS:
            digits, end = plain(Decimal(digits) * MULTIPLIERS[self._word(end)]), end + 1
        return self._with_part(_Number(digits=digits, end=end, loose=len(digits) == 1))

    def _spelled(self, at: int) -> _Number | None:
        spelled = read_spelled(self._words(at)) if self.lexemes[at].word in STARTS else None
        if spelled is None:
            return None
        mark = "th" if spelled.ordinal else "s" if spelled.decade else ""
        loose = spelled.digits.isdigit()
        weak = spelled.words == 1 and self.lexemes[at].word in _WEAK
        return self._with_part(
            _Number(digits=spelled.digits, end=at + spelled.words, loose=loose, mark=mark, weak=weak)
        )

    def _with_part(self, number: _Number) -> _Number:
        """A fraction in words: "three quarters", "one half"."""
        part = self._word(number.end)
        if number.mark or part not in _PARTS or not number.loose or (part == "third" and number.digits != "1"):
            return number
        return _Number(digits=f"{number.digits}/{_PARTS[part]}", end=number.end + 1)

    def _add(self, kind: EntityKind | None, parts: Sequence[Sequence[str]], at: int, end: int) -> int:
        """Tokens for the pieces from *at* to *end*; each part is a written number of its own."""
        first = len(self.tokens)
        start, stop = self.lexemes[at].start, self.lexemes[end - 1].end
        for part in parts:
            self._numbers += 1
            self.tokens += [Token(text=text, start=start, end=stop, number=self._numbers) for text in part]
        if kind:
            self.entities.append(Entity(kind=kind, first=first, last=len(self.tokens)))
        return end

    def _word(self, at: int) -> str:
        return self.lexemes[at].word if 0 <= at < len(self.lexemes) and self.lexemes[at].kind == "word" else ""

    def _sign(self, at: int) -> str:
        return (
            self.lexemes[at].word if 0 <= at < len(self.lexemes) and self.lexemes[at].kind in ("word", "sign") else ""
        )

    def _words(self, at: int) -> list[str]:
        """The words from *at* on up to the next stop or sign."""
        end = at
        while end < at + _LONGEST and self._word(end):
            end += 1
        return [piece.word for piece in self.lexemes[at:end]]

    def _attached(self, at: int) -> bool:
        return self.lexemes[at].start == self.lexemes[at - 1].end


def _is_day(number: _Number) -> bool:
    return number.digits.isdigit() and len(number.digits) <= 2 and 1 <= int(number.digits) <= 31 and number.mark != "s"
