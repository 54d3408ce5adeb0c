"""Languages as data sets name them, as BCP 47 tags."""

from __future__ import annotations

import re

__all__ = ["language_tag"]

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")

# what the recipes that write manifests call them
_NAMES = {
    "arabic": "ar", "cantonese": "yue", "chinese": "zh", "czech": "cs", "dutch": "nl", "english": "en",
    "french": "fr", "german": "de", "hindi": "hi", "italian": "it", "japanese": "ja", "korean": "ko",
    "mandarin": "zh", "polish": "pl", "portuguese": "pt", "russian": "ru", "spanish": "es", "swedish": "sv",
    "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip


def language_tag(named: str | None) -> str | None:
    """The BCP 47 tag of a language given as a tag, with ``-`` or ``_``, or by its English name; None if it is neither.

    A data set that names its languages otherwise is one whose languages are not known.
    """
    if named is None:
        return None
    if _TAG.fullmatch(named):
        return named.replace("_", "-")
    return _NAMES.get(named.strip().lower())
