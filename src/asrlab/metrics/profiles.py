"""Scoring profiles: a normalizer together with what it takes two texts to apply."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.metrics.compounds import with_compounds_of
from asrlab.metrics.leaderboard import is_ignored, leaderboard_text
from asrlab.metrics.normalizers import Normalizer, get_normalizer
from asrlab.metrics.words import Pair, Score, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["PROFILES", "Profile", "get_profile", "score_normalizers"]

PROFILES = ("english", "basic", "none", "leaderboard")

# Where systems are prepared side by side, a reference comes once for each of them.
_TEXTS_KEPT = 64


@attrs.frozen(kw_only=True)
class Profile:
    """How reference and hypothesis are made comparable: each by itself, then the one in the light of the other.

    Attributes:
        name: The normalizer's name, or ``leaderboard``.
        version: What runs, with its version. Two scores compare only where name and version are the same.
        rule: Gives both texts normalized, or None for an utterance that this profile does not score.
    """

    name: str
    version: str
    rule: Callable[[str, str], tuple[str, str] | None] = attrs.field(repr=False, eq=False)

    @property
    def normalizer(self) -> Normalizer:
        """For pairs that came out of `prepare`: changes nothing, and carries the profile's name and version."""
        return Normalizer(name=self.name, version=self.version, normalize=str)

    def prepare(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs normalized, without those that are not scored; anything that takes pairs takes these."""
        for pair in pairs:
            texts = self.rule(pair.reference, pair.hypothesis)
            if texts is not None:
                yield Pair(id=pair.id, reference=texts[0], hypothesis=texts[1])

    def score(self, pairs: Iterable[Pair]) -> Score:
        """The errors of a corpus under this profile."""
        return score(self.prepare(pairs), normalizer=self.normalizer)


def get_profile(name: str) -> Profile:
    """The profile called *name*, built anew; keep it.

    Args:
        name: A normalizer's name (see `asrlab.metrics.get_normalizer`), which is applied to both texts; or
            ``leaderboard``, English text scored as the Open ASR Leaderboard does since June 2026. On top of Whisper's
            normalizer it drops more fillers, keeps the possessive "'s", joins letters that stand alone ("b b c") and a
            few fixed words ("wi fi"), takes words written apart or together for the same ("white paper"), and leaves
            out utterances whose reference is empty or ``ignore_time_segment_in_scoring``. Unlike the leaderboard it
            does not fold spellings of given names ("Sara", "Sarah"), for which that has a table, and gives one data
            set's rate, where the leaderboard ranks by the mean of several data sets' rates.

    Raises:
        OptionError: There is no profile of this name.

    Source: github.com/huggingface/open_asr_leaderboard, commit d1e99b2.
    """
    if name == "leaderboard":
        return _leaderboard()
    if name not in PROFILES:
        raise OptionError(
            f"there is no scoring profile {name!r}; choose one of {', '.join(PROFILES)}",
            option="normalizers",
            supported=PROFILES,
        )
    normalizer = get_normalizer(name)
    text = lru_cache(maxsize=_TEXTS_KEPT)(normalizer)
    return Profile(
        name=normalizer.name,
        version=normalizer.version,
        rule=lambda reference, hypothesis: (text(reference), text(hypothesis)),
    )


def score_normalizers(pairs: Iterable[Pair], names: Sequence[str]) -> tuple[Score, ...]:
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


def _leaderboard() -> Profile:
    normalizer = leaderboard_text()
    text = lru_cache(maxsize=_TEXTS_KEPT)(normalizer)

    def rule(reference: str, hypothesis: str) -> tuple[str, str] | None:
        said = text(reference)
        if is_ignored(said):
            return None
        return said, " ".join(with_compounds_of(said.split(), text(hypothesis).split()))

    return Profile(name=normalizer.name, version=f"{normalizer.version}, compounds joined", rule=rule)
