"""Scoring profiles: normalizers together with rules that need both texts of a pair.

Source of the leaderboard's rules: github.com/huggingface/open_asr_leaderboard, commit
d1e99b25524814332d6868a5645e568670834cfb (2026-08-21), ``normalizer/normalizer.py`` and ``normalizer/eval_utils.py``.
The words here are asrlab's. Until 2026-04-22 the leaderboard used Whisper's rules alone, asrlab's normalizer
``english``, and no compounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import groupby, pairwise

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.alignment import align_words
from asrlab.evaluation.metrics.normalizers import (
    Normalizer,
    english_rules,
    get_normalizer,
    special_language,
    whisper_version,
)
from asrlab.evaluation.metrics.wer import Score, TextPair, score
from asrlab.languages import is_english

BY_LANGUAGE = "by-language"
"""The profile that gives each utterance the normalizer of its own language."""

PROFILES = ("english", "basic", "none", "leaderboard", BY_LANGUAGE)

# If systems are prepared in parallel, a reference comes once for each of them.
_CACHE_SIZE = 64


@attrs.frozen(kw_only=True)
class Profile:
    """Rules that make a reference and a hypothesis comparable.

    Attributes:
        name: Name of the normalizer, ``leaderboard`` or ``by-language``.
        version: The rules with their version. Two scores are comparable only if name and version are equal.
        rule: Function that returns both texts normalized, or None for an utterance that the profile does not score.
        choose_normalizer: Function that returns the name of a pair's normalizer; None if all have the profile's name.
    """

    name: str
    version: str
    rule: Callable[[TextPair], tuple[str, str] | None] = attrs.field(repr=False, eq=False)
    choose_normalizer: Callable[[TextPair], str] | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def normalizer(self) -> Normalizer:
        """Normalizer for pairs from `prepare`: it has the profile's name and version, and changes nothing."""
        return Normalizer(name=self.name, version=self.version, normalize=str)

    def prepare(self, pairs: Iterable[TextPair]) -> Iterator[TextPair]:
        """Yield the pairs with normalized texts, without the pairs that the profile does not score."""
        for pair in pairs:
            texts = self.rule(pair)
            if texts is not None:
                yield attrs.evolve(pair, reference=texts[0], hypothesis=texts[1])

    def normalizers(self, pairs: Iterable[TextPair]) -> tuple[tuple[str, int], ...]:
        """Count the pairs of each normalizer, prepared or not, the most first."""
        return tuple(Counter(self._name_of(pair) for pair in pairs).most_common())

    def score(self, pairs: Iterable[TextPair]) -> Score:
        """Count the errors of a corpus under this profile."""
        names: Counter[str] = Counter()

        def counted() -> Iterator[TextPair]:
            for pair in self.prepare(pairs):
                names[self._name_of(pair)] += 1
                yield pair

        total = score(counted(), normalizer=self.normalizer)
        return attrs.evolve(total, normalizers=tuple(names.most_common()))

    def _name_of(self, pair: TextPair) -> str:
        return self.name if self.choose_normalizer is None else self.choose_normalizer(pair)


def get_profile(name: str) -> Profile:
    """Build the profile called *name*. Building takes time, so reuse the result.

    Args:
        name: A normalizer's name (see `asrlab.evaluation.metrics.get_normalizer`), which is applied to both texts;
            ``by-language``, which applies ``english`` to utterances in English and ``basic`` to all others, including
            those whose language is unknown; or ``leaderboard``, which scores English text as the Open ASR Leaderboard
            does since June 2026. In addition to Whisper's rules, ``leaderboard`` drops more fillers, keeps the
            possessive "'s", joins single letters ("b b c") and a few fixed words ("wi fi"), treats compounds as equal
            with and without space ("white paper"), and skips utterances whose reference is empty or
            ``ignore_time_segment_in_scoring``. Like the leaderboard it does not unify forms of text. Unlike the
            leaderboard it does not unify spellings of given names ("Sara", "Sarah"), and it gives one data set's rate,
            whereas the leaderboard ranks by the mean of several data sets' rates.

    Raises:
        OptionError: If there is no such profile.

    Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b2.
    """
    if name not in PROFILES:
        near = get_close_matches(name, PROFILES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise OptionError(
            f"there is no scoring profile {name!r}; {hint}choose one of {', '.join(PROFILES)}",
            option="normalizers",
            supported=PROFILES,
        )
    builders = {"leaderboard": _leaderboard, BY_LANGUAGE: _by_language}
    return builders[name]() if name in builders else _from_normalizer(name)


def profile_for(languages: Iterable[str | None]) -> str:
    """Return the name of the default profile for utterances in *languages*.

    The profile is ``english`` if all languages are English, ``basic`` if none is, and ``by-language`` if some are. An
    unknown language counts as not English.
    """
    english = {is_english(language) for language in languages}
    if english == {True}:
        return "english"
    return BY_LANGUAGE if True in english else "basic"


def describe_normalizers(name: str, counts: Sequence[tuple[str, int]]) -> str:
    """Return the normalizers with their numbers of utterances, such as ``english (31), basic (10)``.

    Args:
        name: Name of the profile, which is returned if it is the only normalizer.
        counts: Number of utterances of each normalizer, from `Profile.normalizers`.
    """
    names = {normalizer for normalizer, _ in counts}
    return name if names <= {name} else ", ".join(f"{normalizer} ({count})" for normalizer, count in counts)


def score_normalizers(pairs: Iterable[TextPair], names: Sequence[str]) -> tuple[Score, ...]:
    """Score the same hypotheses under several profiles, to show differences that only the normalizer makes.

    Args:
        pairs: The utterances, read once.
        names: Names of profiles. The scores have this order, and the profiles' names and versions.

    Raises:
        OptionError: If there is no such profile.
    """
    profiles, utterances = [get_profile(name) for name in names], tuple(pairs)
    return tuple(profile.score(utterances) for profile in profiles)


def _from_normalizer(name: str) -> Profile:
    normalizer = get_normalizer(name)

    @lru_cache(maxsize=_CACHE_SIZE)
    def normalize(text: str, language: str | None) -> str:
        return normalizer_for(language)(text)

    @cache
    def normalizer_for(language: str | None) -> Normalizer:
        return normalizer if language is None else get_normalizer(name, language=language)

    def rule(pair: TextPair) -> tuple[str, str]:
        language = special_language(pair.language)
        return normalize(pair.reference, language), normalize(pair.hypothesis, language)

    return Profile(name=normalizer.name, version=normalizer.version, rule=rule)


def _by_language() -> Profile:
    english, basic = _from_normalizer("english"), _from_normalizer("basic")

    def select_profile(pair: TextPair) -> Profile:
        return english if is_english(pair.language) else basic

    return Profile(
        name=BY_LANGUAGE,
        version=f"english: {english.version}; basic: {basic.version}",
        rule=lambda pair: select_profile(pair).rule(pair),
        choose_normalizer=lambda pair: select_profile(pair).name,
    )


_LEADERBOARD_COMMIT = "d1e99b2"
_FILLERS = (
    "ah", "aha", "ahh", "ahm", "eh", "ehehe", "em", "hm", "hmm", "huh", "hum",
    "mhm", "mhum", "mm", "mmm", "uh", "uhm", "uhuh", "um", "umm",
)  # fmt: skip
# "'s" is read as "is" only after these words: "John's" keeps its s
_BEFORE_IS = ("he", "here", "how", "it", "she", "that", "there", "this", "what", "when", "where", "who", "why")
# spellings that differ from Whisper's table, where they merge two spellings or separate two words
_SPELLINGS = {
    "archaeology": "archeology", "etcetera": "etc", "flyer": "flier", "kay": "okay", "ok": "okay",
    "pummelled": "pummeled", "pummelling": "pummeling", "snowploughs": "snowplows",
}  # fmt: skip
_JOINED = {
    "a m": "am", "al right": "alright", "all right": "alright", "e book": "ebook", "e commerce": "ecommerce",
    "e mail": "email", "et cetera": "etc", "hi fi": "hifi", "how ever": "however", "lo fi": "lofi", "o k": "okay",
    "p m": "pm", "sci fi": "scifi", "t shirt": "tshirt", "wi fi": "wifi", "x ray": "xray",
}  # fmt: skip


def _leaderboard() -> Profile:
    """Build the leaderboard's rules, without its table of 152 spellings of given names."""
    rules, _ = english_rules()
    rules.ignore_patterns = _any_of(_FILLERS)
    is_pattern, short_is = rf"\b({'|'.join(_BEFORE_IS)})'s\b", r"'s\b"
    rules.replacers = {
        (is_pattern if pattern == short_is else pattern): (r"\1 is" if pattern == short_is else written)
        for pattern, written in rules.replacers.items()
    }
    rules.standardize_spellings.mapping.update(_SPELLINGS)
    joined = re.compile(_any_of(phrase.replace(" ", r"\s+") for phrase in _JOINED))
    numbers, spellings = rules.standardize_numbers, rules.standardize_spellings
    rules.standardize_numbers = lambda text: numbers(
        joined.sub(lambda match: _JOINED[" ".join(match[0].split())], text)
    )
    rules.standardize_spellings = lambda text: _join_letters(spellings(text))
    rules_version = f"open_asr_leaderboard {_LEADERBOARD_COMMIT} without its name spellings, on {whisper_version()}"
    normalizer = Normalizer(name="leaderboard", version=f"{rules_version}, compounds joined", normalize=rules)
    normalize = lru_cache(maxsize=_CACHE_SIZE)(normalizer)

    def rule(pair: TextPair) -> tuple[str, str] | None:
        reference = normalize(pair.reference)
        if reference == "ignore time segment in scoring":  # the mark of TED-LIUM and others
            return None
        return reference, " ".join(normalize_compounds(reference.split(), normalize(pair.hypothesis).split()))

    return Profile(name=normalizer.name, version=normalizer.version, rule=rule)


def _any_of(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(words)})\b"


def _join_letters(text: str) -> str:
    """Join adjacent single letters and digits into one word: "b b c" becomes "bbc"; with "a" or "i" at least three."""
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
    used: "white paper" for "whitepaper", or the reverse. The result is one with the fewest errors. Texts are cut within
    runs of eight equal words, and a part with more than a thousand words on both sides is not changed.
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
    parts: list[Sequence[str]] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        di, dj = steps[i][j]
        is_compound = di > 1 or dj > 1
        parts.append(reference[i - di : i] if is_compound else hypothesis[j - dj : j])
        i, j = i - di, j - dj
    return [word for part in reversed(parts) for word in part]
