"""Languages of a run's utterances, and models that were not made for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from asrlab.languages import language_tag, primary_language
from asrlab.options import TranscribeOptions

_MAX_LISTED = 5
# Codes that models use for the same language, or for languages with the same spelling.
_EQUIVALENT = {"fil": "tl", "jv": "jw", "nb": "no", "yue": "zh"}


@attrs.frozen(kw_only=True)
class UnsupportedLanguages:
    """Utterances in languages that a model was not made for.

    Attributes:
        known: Primary subtags of the languages that the model was made for.
        spoken: The other languages of the utterances with their number of utterances, the most frequent first.
        total: Number of all utterances.
    """

    known: tuple[str, ...]
    spoken: tuple[tuple[str, int], ...]
    total: int

    @property
    def utterances(self) -> int:
        """Number of utterances in languages that the model was not made for."""
        return sum(count for _, count in self.spoken)

    @property
    def remark(self) -> str:
        """A phrase beside a model's name, such as ``not made for de, fr``."""
        return f"not made for {_listed([language for language, _ in self.spoken])}"

    def sentence(self, model: str) -> str:
        """Return a warning about *model* with the numbers of utterances."""
        spoken = _listed([f"{language} {count}" for language, count in self.spoken])
        known = ", ".join(self.known) if len(self.known) <= _MAX_LISTED else f"{len(self.known)} other languages"
        return (
            f"{model} was not made for {self.utterances} of {self.total} utterances ({spoken}): it was made for "
            f"{known}, so its texts and error rate there mean little"
        )


def spoken_language(named: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of an utterance's language: *named* by the data set, else by *options*, else None."""
    return language_tag(named) or options.language


def text_language(spoken: str | None, options: TranscribeOptions) -> str | None:
    """Return the tag of a text's language: English if speech is translated, else the *spoken* one."""
    return "en" if options.task == "translate" else spoken


def unsupported_languages(known: tuple[str, ...] | None, spoken: Iterable[str | None]) -> UnsupportedLanguages | None:
    """Return the languages of utterances that a model was not made for; None if there are none.

    Args:
        known: Primary subtags of the languages that the model was made for; None if not known.
        spoken: Language of each utterance; None if not known.
    """
    if not known:
        return None
    languages = [primary_language(tag) for tag in spoken]
    supported = {*known, *(code for code, same in _EQUIVALENT.items() if same in known)}
    others = Counter(language for language in languages if language is not None and language not in supported)
    if not others:
        return None
    return UnsupportedLanguages(known=known, spoken=tuple(others.most_common()), total=len(languages))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
