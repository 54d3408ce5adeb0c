"""The Open ASR Leaderboard's rules for English text, on top of Whisper's normalizer.

Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b25524814332d6868a5645e568670834cfb (2026-08-21),
``normalizer/normalizer.py`` and ``normalizer/eval_utils.py``: the rules; the words here are asrlab's. Until
2026-04-22 the leaderboard used Whisper's rules alone, asrlab's normalizer ``english``, and no compounds.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from asrlab.evaluation.metrics.normalizers import (
    NON_WHISPER_PATTERNS,
    Normalizer,
    bound_numbers,
    whisper_rules,
    whisper_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


LEADERBOARD_COMMIT = "d1e99b2"

_FILLERS = (
    "ah", "aha", "ahh", "ahm", "eh", "ehehe", "em", "hm", "hmm", "huh", "hum",
    "mhm", "mhum", "mm", "mmm", "uh", "uhm", "uhuh", "um", "umm",
)  # fmt: skip

# "John's" keeps its s: only after these is "'s" taken for "is"
_BEFORE_IS = ("he", "here", "how", "it", "she", "that", "there", "this", "what", "when", "where", "who", "why")

# spelled otherwise than in Whisper's table, where that makes two spellings the same or keeps two words apart
_SPELLINGS = {
    "archaeology": "archeology",
    "etcetera": "etc",
    "flyer": "flier",
    "kay": "okay",
    "ok": "okay",
    "pummelled": "pummeled",
    "pummelling": "pummeling",
    "snowploughs": "snowplows",
}

_JOINED = {
    "a m": "am",
    "al right": "alright",
    "all right": "alright",
    "e book": "ebook",
    "e commerce": "ecommerce",
    "e mail": "email",
    "et cetera": "etc",
    "hi fi": "hifi",
    "how ever": "however",
    "lo fi": "lofi",
    "o k": "okay",
    "p m": "pm",
    "sci fi": "scifi",
    "t shirt": "tshirt",
    "wi fi": "wifi",
    "x ray": "xray",
}


def leaderboard_text() -> Normalizer:
    """The leaderboard's rules for one text, without its table of 152 spellings of given names."""
    rules = whisper_rules("english", "EnglishTextNormalizer")
    bound_numbers(rules)
    rules.ignore_patterns = _any_of(_FILLERS)
    rules.replacers = {
        (rf"\b({'|'.join(_BEFORE_IS)})'s\b" if pattern == r"'s\b" else pattern): (
            r"\1 is" if pattern == r"'s\b" else written
        )
        for pattern, written in rules.replacers.items()
        if pattern not in NON_WHISPER_PATTERNS
    }
    rules.standardize_spellings.mapping.update(_SPELLINGS)
    joined = re.compile(_any_of(phrase.replace(" ", r"\s+") for phrase in _JOINED))
    rules.standardize_numbers = _chain(lambda text: joined.sub(_together, text), rules.standardize_numbers)
    rules.standardize_spellings = _chain(rules.standardize_spellings, _join_letters)
    return Normalizer(
        name="leaderboard",
        version=f"open_asr_leaderboard {LEADERBOARD_COMMIT} without its name spellings, on {whisper_version()}",
        normalize=rules,
    )


def is_ignored(reference: str) -> bool:
    """Whether a normalized reference is the mark of TED-LIUM and others for what is not to be scored."""
    return reference == "ignore time segment in scoring"


def _any_of(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(words)})\b"


def _together(match: re.Match[str]) -> str:
    return _JOINED[" ".join(match.group().split())]


def _chain(first: Callable[[str], str], then: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: then(first(text))


def _join_letters(text: str) -> str:
    """Letters and digits that stand alone side by side, as one word: "b b c" is "bbc".

    Where "a" or "i" is among them, only from three on, since both are words.
    """
    words: list[str] = []
    for alone, group in groupby(text.split(), key=lambda word: len(word) == 1 and word.isalnum()):
        run = list(group)
        least = 3 if {"a", "i"} & set(run) else 2
        words += ["".join(run)] if alone and len(run) >= least else run
    return " ".join(words)
