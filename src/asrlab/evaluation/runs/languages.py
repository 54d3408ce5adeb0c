"""The language of each utterance of a run, and models that were not made for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from asrlab.languages import language_tag, primary_language
from asrlab.options import TranscribeOptions

_LISTED = 5
# Codes that models use for the same language, or for what they write alike.
_SAME = {"fil": "tl", "jv": "jw", "nb": "no", "yue": "zh"}


@attrs.frozen(kw_only=True)
class UnsupportedLanguages:
    """Utterances in languages that a model was not made for.

    Attributes:
        known: Primary subtags of the languages that the model was made for.
        spoken: The other languages among the utterances, each with its number of utterances, the most first.
        total: How many utterances there are, those of known and unknown languages among them.
    """

    known: tuple[str, ...]
    spoken: tuple[tuple[str, int], ...]
    total: int

    @property
    def utterances(self) -> int:
        """Number of utterances that the model was not made for."""
        return sum(count for _, count in self.spoken)

    @property
    def remark(self) -> str:
        """A few words beside a model's name, such as ``not made for de, fr``."""
        return f"not made for {_listed([language for language, _ in self.spoken])}"

    def sentence(self, model: str) -> str:
        """A sentence on *model*, with the numbers of utterances."""
        spoken = _listed([f"{language} {count}" for language, count in self.spoken])
        known = ", ".join(self.known) if len(self.known) <= _LISTED else f"{len(self.known)} other languages"
        return (
            f"{model} was not made for {self.utterances} of {self.total} utterances ({spoken}): it was made for "
            f"{known}, so its texts and error rate there say little"
        )


def spoken_language(named: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of an utterance's speech: as the data set names it, else as *options* do, else None."""
    return language_tag(named) or options.language


def text_language(spoken: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of the language to write in: that of the speech, or English where it is translated."""
    return "en" if options.task == "translate" else spoken


def unsupported_languages(known: tuple[str, ...] | None, spoken: Iterable[str | None]) -> UnsupportedLanguages | None:
    """Return the utterances that a model was not made for; None if there are none, or nobody knows.

    Args:
        known: Primary subtags of the languages that the model was made for; None if it does not say.
        spoken: The language of each utterance; None where it is not known.
    """
    if not known:
        return None
    languages = [primary_language(each) for each in spoken]
    made_for = {*known, *(other for other, same in _SAME.items() if same in known)}
    others = Counter(language for language in languages if language is not None and language not in made_for)
    if not others:
        return None
    return UnsupportedLanguages(known=known, spoken=tuple(others.most_common()), total=len(languages))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
