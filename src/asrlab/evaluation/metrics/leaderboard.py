"""The Open ASR Leaderboard's rules for English text, on top of Whisper's normalizer.

Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b25524814332d6868a5645e568670834cfb (2026-08-21),
``normalizer/normalizer.py`` and ``normalizer/eval_utils.py``: the rules; the words here are asrlab's. Until
2026-04-22 the leaderboard used Whisper's rules alone, asrlab's normalizer ``english``, and no compounds.
"""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from asrlab.evaluation.metrics.alignment import align_words
from asrlab.evaluation.metrics.normalizers import (
    NON_WHISPER_PATTERNS,
    Normalizer,
    bound_numbers,
    whisper_rules,
    whisper_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

LEADERBOARD_COMMIT = "d1e99b2"
_FILLERS = (
    "ah", "aha", "ahh", "ahm", "eh", "ehehe", "em", "hm", "hmm", "huh", "hum",
    "mhm", "mhum", "mm", "mmm", "uh", "uhm", "uhuh", "um", "umm",
)  # fmt: skip
# "'s" is read as "is" only after these words: "John's" keeps its s
_BEFORE_IS = ("he", "here", "how", "it", "she", "that", "there", "this", "what", "when", "where", "who", "why")
# spellings that differ from Whisper's table, where they merge two spellings or separate two words
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
    """Build the leaderboard's rules for one text, without its table of 152 spellings of given names."""
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
    rules.standardize_numbers = _chain(lambda text: joined.sub(_join_phrase, text), rules.standardize_numbers)
    rules.standardize_spellings = _chain(rules.standardize_spellings, _join_letters)
    return Normalizer(
        name="leaderboard",
        version=f"open_asr_leaderboard {LEADERBOARD_COMMIT} without its name spellings, on {whisper_version()}",
        normalize=rules,
    )


def is_ignored(reference: str) -> bool:
    """Return True if a normalized reference is the mark of TED-LIUM and others for segments excluded from scoring."""
    return reference == "ignore time segment in scoring"


def _any_of(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(words)})\b"


def _join_phrase(match: re.Match[str]) -> str:
    return _JOINED[" ".join(match.group().split())]


def _chain(first: Callable[[str], str], then: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: then(first(text))


def _join_letters(text: str) -> str:
    """Join adjacent single letters and digits into one word: "b b c" becomes "bbc".

    A run with "a" or "i" needs three characters, since both are words.
    """
    words: list[str] = []
    for is_single, group in groupby(text.split(), key=lambda word: len(word) == 1 and word.isalnum()):
        run = list(group)
        min_length = 3 if {"a", "i"} & set(run) else 2
        words += ["".join(run)] if is_single and len(run) >= min_length else run
    return " ".join(words)


# Equal runs of this length are not coincidences: no word before one is aligned with a word after it.
_ANCHOR_WORDS = 8
# Time and memory of the search grow with the product of both lengths.
_MAX_CELLS = 1_000_000
_Joins = dict[int, list[tuple[int, str]]]


def normalize_compounds(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[str, ...]:
    """Return the hypothesis with compounds spelled as in the reference, so that they are not counted as errors.

    Where adjacent words of one side, joined, equal the other side's word at that place, the reference's spelling is
    used: "white paper" for "whitepaper", or the reverse. The result is one with the fewest errors. The reference, and
    so the number of its words, does not change.

    Texts are cut within runs of eight equal words and searched part by part. A part with more than a thousand words on
    both sides is not changed.
    """
    if not _joins(reference, of=set(hypothesis)) and not _joins(hypothesis, of=set(reference)):
        return tuple(hypothesis)
    cuts = [(0, 0), *_anchors(reference, hypothesis), (len(reference), len(hypothesis))]
    parts = [(reference[a:c], hypothesis[b:d]) for (a, b), (c, d) in pairwise(cuts)]
    return tuple(word for part in parts for word in _respell(*part))


def _anchors(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the indices at which both texts can be cut: in the middle of each long equal run."""
    alignment = align_words(reference, hypothesis)
    run = 0
    for index, at in enumerate(alignment.hypothesis_index):
        is_continued = run and at is not None and alignment.hypothesis_index[index - 1] == at - 1
        run = (run + 1 if is_continued else 1) if alignment.is_correct(index) else 0
        if run and run % _ANCHOR_WORDS == 0 and at is not None:
            yield index - _ANCHOR_WORDS // 2, at - _ANCHOR_WORDS // 2


def _joins(words: Sequence[str], *, of: set[str]) -> _Joins:
    """Return the adjacent words that join to a word *of* the other side, by their end, as their number and the word."""
    joins: _Joins = {}
    longest = max(map(len, of), default=0)
    for start in range(len(words)):
        joined = words[start]
        for end in range(start + 2, len(words) + 1):
            joined += words[end - 1]
            if len(joined) > longest:
                break
            if joined in of:
                joins.setdefault(end, []).append((end - start, joined))
    return joins


def _respell(reference: Sequence[str], hypothesis: Sequence[str]) -> Sequence[str]:
    split = _joins(hypothesis, of=set(reference))
    joined = _joins(reference, of=set(hypothesis))
    if not (split or joined) or len(reference) * len(hypothesis) > _MAX_CELLS:
        return hypothesis
    # costs[i][j]: the fewest errors between the first i words of the reference and the first j of the hypothesis
    costs = [list(range(len(hypothesis) + 1))]
    steps: list[list[tuple[int, int]]] = [[(0, 1)] * (len(hypothesis) + 1)]
    for i, expected in enumerate(reference, start=1):
        costs.append([i])
        steps.append([(1, 0)])
        for j, recognized in enumerate(hypothesis, start=1):
            choices = [
                (costs[i - 1][j - 1] + (expected != recognized), (1, 1)),
                (costs[i - 1][j] + 1, (1, 0)),
                (costs[i][j - 1] + 1, (0, 1)),
                *((costs[i - 1][j - size], (1, size)) for size, word in split.get(j, ()) if word == expected),
                *((costs[i - size][j - 1], (size, 1)) for size, word in joined.get(i, ()) if word == recognized),
            ]
            cost, step = min(choices, key=lambda choice: choice[0])
            costs[i].append(cost)
            steps[i].append(step)
    return _trace_back(reference, hypothesis, steps)


def _trace_back(
    reference: Sequence[str], hypothesis: Sequence[str], steps: Sequence[Sequence[tuple[int, int]]]
) -> list[str]:
    parts: list[Sequence[str]] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        di, dj = steps[i][j]
        is_compound = di > 1 or dj > 1
        parts.append(reference[i - di : i] if is_compound else hypothesis[j - dj : j])
        i, j = i - di, j - dj
    return [word for part in reversed(parts) for word in part]
