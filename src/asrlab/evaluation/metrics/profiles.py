"""Scoring profiles: normalizers together with rules that need both texts of a pair."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.leaderboard import is_ignored, leaderboard_text, normalize_compounds
from asrlab.evaluation.metrics.normalizers import Normalizer, get_normalizer, special_language
from asrlab.evaluation.metrics.wer import Score, TextPair, score
from asrlab.languages import is_english

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


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
    profiles = [get_profile(name) for name in names]
    utterances = tuple(pairs)
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


def _leaderboard() -> Profile:
    normalizer = leaderboard_text()
    normalize = lru_cache(maxsize=_CACHE_SIZE)(normalizer)

    def rule(pair: TextPair) -> tuple[str, str] | None:
        reference = normalize(pair.reference)
        if is_ignored(reference):
            return None
        return reference, " ".join(normalize_compounds(reference.split(), normalize(pair.hypothesis).split()))

    return Profile(name=normalizer.name, version=f"{normalizer.version}, compounds joined", rule=rule)
