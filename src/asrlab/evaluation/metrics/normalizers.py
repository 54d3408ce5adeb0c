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
from asrlab.languages import primary_language

if TYPE_CHECKING:
    from collections.abc import Callable

# Rules that whisper-normalizer has and Whisper has not. With them "the cause" scores as "the because".
NON_WHISPER_PATTERNS = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
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
    return rules, tuple(pattern for pattern in NON_WHISPER_PATTERNS if rules.replacers.pop(pattern, None) is not None)


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
TEXT_FORMS = "asrlab text forms 1"
"""Name and version of these rules, as part of a normalizer's version. The number grows when a score could change."""
# Unicode's Default_Ignorable_Code_Point: soft hyphens, zero-width characters, byte order marks, direction marks and
# overrides, variation selectors, fillers, tags. Then control characters that are no white space.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
# Letters that Unicode has encoded as one character since 4.1 (Bengali khanda ta) and 5.1 (Malayalam chillus), before
# as a consonant, a virama and a zero-width joiner.
_JOINED = {
    "\u09a4\u09cd\u200d": "\u09ce",
    "\u0d23\u0d4d\u200d": "\u0d7a",
    "\u0d28\u0d4d\u200d": "\u0d7b",
    "\u0d30\u0d4d\u200d": "\u0d7c",
    "\u0d32\u0d4d\u200d": "\u0d7d",
    "\u0d33\u0d4d\u200d": "\u0d7e",
    "\u0d15\u0d4d\u200d": "\u0d7f",
}
# Quotation marks, modifier letters, accents and primes that are written as apostrophes; "\u0149" is an old "'n", and
# several primes are inches and seconds.
_APOSTROPHES = dict.fromkeys(
    map(
        ord,
        "\u2018\u2019\u201b\u02bb\u02bc\u2032\u0060\u00b4\u0384\u055a\u05f3\u1fbd\u1fef\u1ffd\ua78b\ua78c\uff07\uff40",
    ),
    "'",
) | {0x149: "'n", 0x2033: '"', 0x2034: "'\"", 0x2057: '""'}
# Written within words and part of none: lengthening strokes (Arabic, N'Ko), Armenian stress, exclamation, question.
_WITHIN_WORDS = dict.fromkeys(map(ord, "\u0640\u07fa\u055b\u055c\u055e"))
_DOTTED = re.compile("(?<=[ij\u012f])\u0307")  # a second dot, as str.lower leaves it of "İ"
_LETTERS_ANYWHERE = {ord("\u0130"): "i", **_WITHIN_WORDS}
_DOTS_OF_I = {ord("\u0130"): "i", ord("I"): "\u0131"}
_PERSIAN = {0x64A: "\u06cc", 0x649: "\u06cc", 0x643: "\u06a9"}
# Letters whose form depends on the language: dotted and dotless i; the comma below that older fonts had as a cedilla;
# Persian and Urdu yeh and kaf, which Arabic keyboards write otherwise; the dot below that is also written as a line.
_LETTERS = {
    language: {**_LETTERS_ANYWHERE, **letters}
    for language, letters in {
        "az": _DOTS_OF_I,
        "fa": _PERSIAN,
        "ro": {0x15E: "\u0218", 0x15F: "\u0219", 0x162: "\u021a", 0x163: "\u021b"},
        "tr": _DOTS_OF_I,
        "ur": _PERSIAN,
        "yo": {0x329: "\u0323"},
    }.items()
}


def letters_of(language: str | None) -> str | None:
    """Return the primary subtag of a language that has rules of its own here, else None."""
    primary = primary_language(language)
    return primary if primary in _LETTERS else None


def visible_text(text: str) -> str:
    """Return *text* without the characters that a reader cannot see, canonically composed (NFC)."""
    if "\u200d" in text:
        for sequence, letter in _JOINED.items():
            text = text.replace(sequence, letter)
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def unify_forms(text: str, *, language: str | None = None) -> str:
    """Return *text* in one of its forms, the same for all; case, letters, marks and punctuation stay.

    Invisible characters are left out, every apostrophe becomes ``'``, full-width and other compatibility forms become
    plain ones (NFKC), runs of white space become one space. Applying it twice changes nothing more.

    Args:
        text: What was said or written.
        language: A language tag, for the letters whose form depends on it; None if it is not known.
    """
    own = letters_of(language)
    if own is None and text.isascii():  # nothing of the rest is in ASCII
        return " ".join(_INVISIBLE.sub("", text).replace("`", "'").split())
    text = unicodedata.normalize("NFKC", visible_text(text).translate(_APOSTROPHES))
    text = text.translate(_LETTERS[own] if own else _LETTERS_ANYWHERE)
    return " ".join(unicodedata.normalize("NFC", _DOTTED.sub("", text)).split())
