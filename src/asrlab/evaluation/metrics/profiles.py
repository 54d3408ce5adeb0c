"""Scoring profiles: a normalizer together with what it takes two texts to apply."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.compounds import normalize_compounds
from asrlab.evaluation.metrics.leaderboard import is_ignored, leaderboard_text
from asrlab.evaluation.metrics.normalizers import Normalizer, get_normalizer, letters_of
from asrlab.evaluation.metrics.wer import Score, TextPair, score
from asrlab.languages import is_english

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


BY_LANGUAGE = "by-language"
"""The profile that gives each utterance the normalizer of its own language."""

PROFILES = ("english", "basic", "none", "leaderboard", BY_LANGUAGE)

# Where systems are prepared side by side, a reference comes once for each of them.
_TEXTS_KEPT = 64


@attrs.frozen(kw_only=True)
class Profile:
    """How reference and hypothesis are made comparable: each by itself, then the one in the light of the other.

    Attributes:
        name: The normalizer's name, ``leaderboard`` or ``by-language``.
        version: What runs, with its version. Two scores compare only where name and version are the same.
        rule: Gives both texts normalized, or None for an utterance that this profile does not score.
        chosen: Gives the name of the normalizer of a pair; None where all have that of the profile.
    """

    name: str
    version: str
    rule: Callable[[TextPair], tuple[str, str] | None] = attrs.field(repr=False, eq=False)
    chosen: Callable[[TextPair], str] | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def normalizer(self) -> Normalizer:
        """For pairs that came out of `prepare`: changes nothing, and carries the profile's name and version."""
        return Normalizer(name=self.name, version=self.version, normalize=str)

    def prepare(self, pairs: Iterable[TextPair]) -> Iterator[TextPair]:
        """The pairs normalized, without those that are not scored; anything that takes pairs takes these."""
        for pair in pairs:
            texts = self.rule(pair)
            if texts is not None:
                yield attrs.evolve(pair, reference=texts[0], hypothesis=texts[1])

    def normalizers(self, pairs: Iterable[TextPair]) -> tuple[tuple[str, int], ...]:
        """Return how many *pairs*, prepared or not, each normalizer prepares, the most first."""
        return tuple(Counter(self._name_of(pair) for pair in pairs).most_common())

    def score(self, pairs: Iterable[TextPair]) -> Score:
        """The errors of a corpus under this profile."""
        names: Counter[str] = Counter()

        def counted() -> Iterator[TextPair]:
            for pair in self.prepare(pairs):
                names[self._name_of(pair)] += 1
                yield pair

        total = score(counted(), normalizer=self.normalizer)
        return attrs.evolve(total, normalizers=tuple(names.most_common()))

    def _name_of(self, pair: TextPair) -> str:
        return self.name if self.chosen is None else self.chosen(pair)


def get_profile(name: str) -> Profile:
    """Build the profile called *name*; keep it.

    Args:
        name: A normalizer's name (see `asrlab.evaluation.metrics.get_normalizer`), which is applied to both texts;
            ``by-language``, which applies ``english`` to utterances whose language is English and ``basic`` to others,
            also where the language is not known; or ``leaderboard``, English text scored as the Open ASR Leaderboard
            does since June 2026. On top of Whisper's normalizer that drops more fillers, keeps the possessive "'s",
            joins letters that stand alone ("b b c") and a few fixed words ("wi fi"), takes words written apart or
            together for the same ("white paper"), and leaves out utterances whose reference is empty or
            ``ignore_time_segment_in_scoring``. It unifies no forms of text, as the leaderboard does not. Unlike the
            leaderboard it does not fold spellings of given names ("Sara", "Sarah"), for which that has a table, and
            gives one data set's rate, where the leaderboard ranks by the mean of several data sets' rates.

    Raises:
        OptionError: There is no profile of this name.

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
    return builders[name]() if name in builders else _of_normalizer(name)


def profile_for(languages: Iterable[str | None]) -> str:
    """Return the name of the profile for utterances in *languages* where nobody chose one.

    It is ``english`` where all are English, ``basic`` where none is, and ``by-language`` where some are. A language
    that is not known counts as not English.
    """
    english = {is_english(language) for language in languages}
    if english == {True}:
        return "english"
    return BY_LANGUAGE if True in english else "basic"


def describe_normalizers(name: str, counts: Sequence[tuple[str, int]]) -> str:
    """Return the normalizers with how many utterances each has, such as ``english (31), basic (10)``.

    Args:
        name: The profile's, which is returned where it is the only one.
        counts: As `Profile.normalizers` gives them.
    """
    return name if {each for each, _ in counts} <= {name} else ", ".join(f"{each} ({n})" for each, n in counts)


def score_normalizers(pairs: Iterable[TextPair], names: Sequence[str]) -> tuple[Score, ...]:
    """The same hypotheses under several profiles, so that a difference that is only the normalizer's shows.

    Args:
        pairs: The utterances, read once.
        names: Of profiles; the scores come in this order, each with the profile's name and version.

    Raises:
        OptionError: There is no profile of such a name.
    """
    profiles = [get_profile(name) for name in names]
    utterances = tuple(pairs)
    return tuple(profile.score(utterances) for profile in profiles)


def _of_normalizer(name: str) -> Profile:
    normalizer = get_normalizer(name)

    @lru_cache(maxsize=_TEXTS_KEPT)
    def text(written: str, letters: str | None) -> str:
        return of_letters(letters)(written)

    @cache
    def of_letters(letters: str | None) -> Normalizer:
        return normalizer if letters is None else get_normalizer(name, language=letters)

    def rule(pair: TextPair) -> tuple[str, str]:
        letters = letters_of(pair.language)
        return text(pair.reference, letters), text(pair.hypothesis, letters)

    return Profile(name=normalizer.name, version=normalizer.version, rule=rule)


def _by_language() -> Profile:
    english, basic = _of_normalizer("english"), _of_normalizer("basic")

    def of(pair: TextPair) -> Profile:
        return english if is_english(pair.language) else basic

    return Profile(
        name=BY_LANGUAGE,
        version=f"english: {english.version}; basic: {basic.version}",
        rule=lambda pair: of(pair).rule(pair),
        chosen=lambda pair: of(pair).name,
    )


def _leaderboard() -> Profile:
    normalizer = leaderboard_text()
    text = lru_cache(maxsize=_TEXTS_KEPT)(normalizer)

    def rule(pair: TextPair) -> tuple[str, str] | None:
        said = text(pair.reference)
        if is_ignored(said):
            return None
        return said, " ".join(normalize_compounds(said.split(), text(pair.hypothesis).split()))

    return Profile(name=normalizer.name, version=f"{normalizer.version}, compounds joined", rule=rule)
