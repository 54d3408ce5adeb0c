"""Forms of the same text: what differs in code points only, and is the same to a reader.

Every normalizer but the leaderboard's receives its text from here, so that a form is never an error.
"""

from __future__ import annotations

import re
import unicodedata

from asrlab.languages import primary_language

__all__ = ["TEXT_FORMS", "letters_of", "unify_forms", "visible_text"]

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
