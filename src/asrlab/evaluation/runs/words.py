"""Words of a text in any script, as the quality gates count them."""

from __future__ import annotations

from collections.abc import Iterator

from asrlab.evaluation.metrics.normalizers import remove_brackets, visible_text
from asrlab.languages import HAN_OR_KANA, SOUTHEAST_ASIAN

MAX_WORDS_PER_S = 11.0
"""Source: 655 words a minute, Sean Shannon in 1995, the fastest in the Guinness World Records."""
MAX_SYLLABLES_PER_S = 20.0
"""For scripts without spaces. Source: the fastest rap that is claimed, 852 syllables in 42 s."""
_LETTERS_PER_SYLLABLE = 4


def split_words(text: str) -> Iterator[str]:
    """Yield the words of *text*, and each character of Han and kana; skip pure punctuation and bracketed text."""
    for token in remove_brackets(visible_text(text)).casefold().split():
        if HAN_OR_KANA.search(token):
            yield from (character for character in token if character.isalnum())
        elif word := "".join(character for character in token if character.isalnum()):
            yield word


def has_words(text: str | None) -> bool:
    """Return whether *text* has a word outside of brackets."""
    return next(split_words(text or ""), None) is not None


def count_words(text: str | None) -> int:
    """Return the number of words in *text*; 0 for None."""
    return sum(1 for _ in split_words(text or ""))


def min_speech_seconds(text: str) -> float:
    """Return the seconds that the fastest speaker on record needs for *text*."""
    seconds = 0.0
    for word in split_words(text):
        if SOUTHEAST_ASIAN.search(word):
            seconds += len(word) / _LETTERS_PER_SYLLABLE / MAX_SYLLABLES_PER_S
        else:
            seconds += 1 / (MAX_SYLLABLES_PER_S if HAN_OR_KANA.search(word) else MAX_WORDS_PER_S)
    return seconds
