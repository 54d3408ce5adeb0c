"""Text normalizers: what counts as the same word."""

from __future__ import annotations

import re
import unicodedata
import warnings
from difflib import get_close_matches
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.text_forms import TEXT_FORMS, unify_forms, visible_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Normalizer",
    "bound_numbers",
    "english_rules",
    "get_normalizer",
    "scoring_version",
    "whisper_rules",
    "whisper_version",
    "without_brackets",
]

# Rules that whisper-normalizer has and Whisper has not. With them "the cause" scores as "the because".
NOT_WHISPERS = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
# Whisper's rules for numbers convert digits to an int, which Python refuses beyond 4,300 of them.
_LONG_NUMBER = re.compile(r"\d{1000}(?=\d)")
_BRACKETS = (re.compile(r"[<\[]"), re.compile(r"[>\]]"))
_PARENTHESES = (re.compile(r"\((?=[^)])"), re.compile(r"\)"))


@attrs.frozen(kw_only=True)
class Normalizer:
    """A rule that brings reference and hypothesis into one spelling before they are compared.

    Calling it gives the normalized text: words separated by single spaces, none at the ends, empty if nothing is left.

    Attributes:
        name: Such as ``english``.
        version: What ran, with its version, such as ``whisper-normalizer 0.1.15``. Two scores compare only where name
            and version are the same.
        normalize: The rule, a function from text to text; its whitespace is folded afterwards.
    """

    name: str
    version: str
    normalize: Callable[[str], str] = attrs.field(repr=False, eq=False)

    def __call__(self, text: str) -> str:
        """*text* normalized."""
        return " ".join(self.normalize(text).split())


def get_normalizer(name: str, *, language: str | None = None) -> Normalizer:
    """Build the normalizer called *name*; keep it, since the first one built imports its package.

    ``english`` and ``basic`` first unify the forms of a text: composed and decomposed characters, full-width and other
    compatibility forms, apostrophes; and they leave out invisible characters.

    Args:
        name: ``english`` is Whisper's ``EnglishTextNormalizer``: no case, punctuation, fillers or brackets,
            contractions written out, numbers as digits, American spelling. ``basic`` is Whisper's
            ``BasicTextNormalizer``, for any language: no case, punctuation, symbols or brackets; unlike Whisper's,
            combining marks stay, since many scripts write vowels with them. ``none`` composes characters (NFC) and
            leaves out invisible ones and extra white space: case and punctuation count.
        language: Tag of the texts' language, for the few letters whose form depends on it, such as the dotted and
            dotless i of Turkish in ``basic``; None if it is not known.

    Raises:
        OptionError: There is no normalizer of this name.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, appendix C.
    """
    if name in _BUILDERS:
        return _BUILDERS[name](language)
    near = get_close_matches(name, _BUILDERS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise OptionError(
        f"there is no normalizer {name!r}; {hint}choose one of {', '.join(_BUILDERS)}",
        option="normalizer",
        supported=tuple(_BUILDERS),
    )


def _english(_language: str | None) -> Normalizer:
    rules, extra = english_rules()
    note = ", Whisper's rules only" if extra else ""
    return Normalizer(
        name="english",
        version=f"{whisper_version()}{note}, {TEXT_FORMS}",
        normalize=lambda text: rules(without_brackets(unify_forms(text))),
    )


def english_rules() -> tuple[Any, tuple[str, ...]]:
    """Return Whisper's rules for English, and which rules of the package were left out, since Whisper has them not."""
    rules = whisper_rules("english", "EnglishTextNormalizer")
    bound_numbers(rules)
    return rules, tuple(pattern for pattern in NOT_WHISPERS if rules.replacers.pop(pattern, None) is not None)


def _basic(language: str | None) -> Normalizer:
    rules = whisper_rules("basic", "BasicTextNormalizer", preserve_marks=True)

    def normalize(text: str) -> str:
        words = rules(without_brackets(unify_forms(text, language=language))).split()
        if text.isascii():
            return " ".join(words)
        return unicodedata.normalize("NFC", " ".join(map(_from_first_base, words)))

    return Normalizer(name="basic", version=f"{whisper_version()}, marks kept, {TEXT_FORMS}", normalize=normalize)


def _none(_language: str | None) -> Normalizer:
    return Normalizer(name="none", version=f"{TEXT_FORMS}, visible characters only", normalize=visible_text)


def _from_first_base(word: str) -> str:
    """Return *word* without marks at its start, which were written on a symbol that is no part of it."""
    start = 0
    while start < len(word) and unicodedata.category(word[start])[0] == "M":
        start += 1
    return word[start:]


def without_brackets(text: str) -> str:
    """Return *text* as Whisper's rules leave it after removing what is in brackets, in linear time.

    Their patterns look for a closing bracket anew from each opening one. Those that nothing closes become ``|``, which
    the rules remove like any symbol.
    """
    for opening, closing in (_BRACKETS, _PARENTHESES):
        text = _without_pairs(text, opening, closing)
    return text


def _without_pairs(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    kept: list[str] = []
    end = 0
    while first := opening.search(text, end):
        last = closing.search(text, first.end())
        if last is None:
            return "".join([*kept, text[end : first.start()], opening.sub("|", text[first.start() :])])
        kept.append(text[end : first.start()])
        end = last.end()
    return "".join([*kept, text[end:]])


def bound_numbers(rules: Any) -> None:
    """Make rules for English cut numbers of more than a thousand digits, on which they fail."""
    standardize = rules.standardize_numbers
    rules.standardize_numbers = lambda text: standardize(_LONG_NUMBER.sub(r"\g<0> ", text))


def whisper_rules(module: str, name: str, **options: Any) -> Any:
    """Import and build one of whisper-normalizer's rules, without the warning about an escape in a docstring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return getattr(import_module(f"whisper_normalizer.{module}"), name)(**options)


def scoring_version() -> str:
    """Return what error rates depend on in every normalizer, without importing its package."""
    return f"{whisper_version()}, {TEXT_FORMS}"


def whisper_version() -> str:
    """Return the package that has Whisper's rules, with its version."""
    return f"whisper-normalizer {metadata.version('whisper-normalizer')}"


_BUILDERS: dict[str, Callable[[str | None], Normalizer]] = {"english": _english, "basic": _basic, "none": _none}
