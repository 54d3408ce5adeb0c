"""Text normalizers: rules for the words that count as equal."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module, metadata
from typing import Any

import attrs

from asrlab.errors import OptionError
from asrlab.languages import primary_language

_NAMES = ("english", "basic", "none")
# Rules that whisper-normalizer has and Whisper does not have. With them "the cause" equals "the because".
_NON_WHISPER_PATTERNS = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
# Whisper's rules for numbers convert digits to an int, which Python refuses for more than 4,300 digits.
_LONG_NUMBER = re.compile(r"\d{1000}(?=\d)")
_BRACKETS = (re.compile(r"[<\[]"), re.compile(r"[>\]]"))
_PARENTHESES = (re.compile(r"\((?=[^)])"), re.compile(r"\)"))


@attrs.frozen(kw_only=True)
class Normalizer:
    """A rule that normalizes the spelling of a reference and a hypothesis before they are compared.

    A call returns the normalized text: words separated by single spaces, without spaces at the ends.

    Attributes:
        name: Name such as ``english``.
        version: The rules with their version, such as ``whisper-normalizer 0.1.15``. Two scores are comparable only if
            name and version are equal.
        normalize: Function from text to text. White space is collapsed afterwards.
    """

    name: str
    version: str
    normalize: Callable[[str], str] = attrs.field(repr=False, eq=False)

    def __call__(self, text: str) -> str:
        """Normalize *text*."""
        return " ".join(self.normalize(text).split())


def get_normalizer(name: str, *, language: str | None = None) -> Normalizer:
    """Build the normalizer called *name*. Building imports a package, so reuse the result.

    ``english`` and ``basic`` first unify the forms of a text: composed and decomposed characters, full-width and other
    compatibility forms, and apostrophes. They remove invisible characters.

    Args:
        name: ``english`` is Whisper's ``EnglishTextNormalizer``: no case, punctuation, fillers or brackets,
            contractions expanded, numbers as digits, American spelling. ``basic`` is Whisper's
            ``BasicTextNormalizer``, for any language: no case, punctuation, symbols or brackets. Unlike Whisper's,
            ``basic`` keeps combining marks, since many scripts write vowels with them. ``none`` composes characters
            (NFC) and removes invisible ones and extra white space; case and punctuation count.
        language: Tag of the texts' language, for the few letters whose form depends on the language, such as the dotted
            and dotless i of Turkish in ``basic``; None if unknown.

    Raises:
        OptionError: If there is no such normalizer.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, appendix C.
    """
    if name == "none":
        return Normalizer(name=name, version=f"{TEXT_FORMS}, visible characters only", normalize=visible_text)
    if name == "english":
        english, removed = english_rules()
        note = ", Whisper's rules only" if removed else ""
        return Normalizer(
            name=name,
            version=f"{whisper_version()}{note}, {TEXT_FORMS}",
            normalize=lambda text: english(remove_brackets(unify_forms(text))),
        )
    if name == "basic":
        basic = _whisper_rules("basic", "BasicTextNormalizer", preserve_marks=True)

        def normalize(text: str) -> str:
            words = basic(remove_brackets(unify_forms(text, language=language))).split()
            if text.isascii():
                return " ".join(words)
            return unicodedata.normalize("NFC", " ".join(map(_remove_leading_marks, words)))

        return Normalizer(name=name, version=f"{whisper_version()}, marks kept, {TEXT_FORMS}", normalize=normalize)
    near = get_close_matches(name, _NAMES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise OptionError(
        f"there is no normalizer {name!r}; {hint}choose one of {', '.join(_NAMES)}",
        option="normalizer",
        supported=_NAMES,
    )


def english_rules() -> tuple[Any, tuple[str, ...]]:
    """Return Whisper's rules for English, and the patterns removed from the package because Whisper lacks them.

    Unlike Whisper's, the rules cut numbers of more than a thousand digits, on which they would fail.
    """
    rules = _whisper_rules("english", "EnglishTextNormalizer")
    standardize = rules.standardize_numbers
    rules.standardize_numbers = lambda text: standardize(_LONG_NUMBER.sub(r"\g<0> ", text))
    return rules, tuple(pattern for pattern in _NON_WHISPER_PATTERNS if rules.replacers.pop(pattern, None) is not None)


def _remove_leading_marks(word: str) -> str:
    """Return *word* without marks at its start, which belonged to a removed symbol."""
    start = 0
    while start < len(word) and unicodedata.category(word[start])[0] == "M":
        start += 1
    return word[start:]


def remove_brackets(text: str) -> str:
    """Remove bracketed text as Whisper's rules do, but in linear time.

    Whisper's patterns search for a closing bracket again from each opening one. Opening brackets that are never closed
    become ``|``, which the rules remove like any symbol.
    """
    for opening, closing in (_BRACKETS, _PARENTHESES):
        parts: list[str] = []
        end = 0
        while (first := opening.search(text, end)) and (last := closing.search(text, first.end())):
            parts.append(text[end : first.start()])
            end = last.end()
        text = "".join((*parts, opening.sub("|", text[end:])))
    return text


def _whisper_rules(module: str, name: str, **options: Any) -> Any:
    """Import and build one of whisper-normalizer's rules; suppress its warning about an escape in a docstring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return getattr(import_module(f"whisper_normalizer.{module}"), name)(**options)


def scoring_version() -> str:
    """Return the versions that error rates depend on, without importing the normalizer's package."""
    return f"{whisper_version()}, {TEXT_FORMS}"


def whisper_version() -> str:
    """Return the name and version of the package with Whisper's rules."""
    return f"whisper-normalizer {metadata.version('whisper-normalizer')}"


TEXT_FORMS = "asrlab text forms 1"
"""Name and version of these rules, part of a normalizer's version. The number grows when a score could change."""
# Unicode's Default_Ignorable_Code_Point: soft hyphens, zero-width characters, byte order marks, direction marks and
# overrides, variation selectors, fillers, tags. Then control characters other than white space.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
# Letters that are one character since Unicode 4.1 (Bengali khanda ta) and 5.1 (Malayalam chillus), and before were a
# consonant, a virama and a zero-width joiner.
_JOINED = {
    "\u09a4\u09cd\u200d": "\u09ce",
    "\u0d23\u0d4d\u200d": "\u0d7a",
    "\u0d28\u0d4d\u200d": "\u0d7b",
    "\u0d30\u0d4d\u200d": "\u0d7c",
    "\u0d32\u0d4d\u200d": "\u0d7d",
    "\u0d33\u0d4d\u200d": "\u0d7e",
    "\u0d15\u0d4d\u200d": "\u0d7f",
}
# Quotation marks, modifier letters, accents and primes that are used as apostrophes. "\u0149" is an old "'n", and
# multiple primes mean inches and seconds.
_APOSTROPHES = dict.fromkeys(
    map(
        ord,
        "\u2018\u2019\u201b\u02bb\u02bc\u2032\u0060\u00b4\u0384\u055a\u05f3\u1fbd\u1fef\u1ffd\ua78b\ua78c\uff07\uff40",
    ),
    "'",
) | {0x149: "'n", 0x2033: '"', 0x2034: "'\"", 0x2057: '""'}
# Marks within words that are not letters: lengthening strokes (Arabic, N'Ko), Armenian stress, exclamation, question.
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


def special_language(language: str | None) -> str | None:
    """Return the primary subtag of a language with special letters; None for other languages."""
    primary = primary_language(language)
    return primary if primary in _LETTERS else None


def visible_text(text: str) -> str:
    """Return *text* without invisible characters, canonically composed (NFC)."""
    if "\u200d" in text:
        for sequence, letter in _JOINED.items():
            text = text.replace(sequence, letter)
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def unify_forms(text: str, *, language: str | None = None) -> str:
    """Unify the Unicode forms of *text*, and keep case, letters, marks and punctuation.

    Invisible characters are removed, every apostrophe becomes ``'``, full-width and other compatibility forms become
    plain ones (NFKC), runs of white space become one space. The function is idempotent.

    Args:
        text: A reference or hypothesis.
        language: Language tag, for the letters whose form depends on the language; None if unknown.
    """
    special = special_language(language)
    if special is None and text.isascii():  # the other rules only affect characters outside ASCII
        return " ".join(_INVISIBLE.sub("", text).replace("`", "'").split())
    text = unicodedata.normalize("NFKC", visible_text(text).translate(_APOSTROPHES))
    text = text.translate(_LETTERS[special] if special else _LETTERS_ANYWHERE)
    return " ".join(unicodedata.normalize("NFC", _DOTTED.sub("", text)).split())
