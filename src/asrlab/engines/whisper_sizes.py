"""The sizes of OpenAI's Whisper, which every engine for it offers."""

from __future__ import annotations

# Name and aliases.
# Source: openai-whisper 20250625, whisper/__init__.py, `_MODELS`.
SIZES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tiny", ()),
    ("tiny.en", ()),
    ("base", ()),
    ("base.en", ()),
    ("small", ()),
    ("small.en", ()),
    ("medium", ()),
    ("medium.en", ()),
    ("large-v1", ()),
    ("large-v2", ()),
    ("large-v3", ("large",)),
    ("large-v3-turbo", ("turbo",)),
)


def languages_of(name: str) -> tuple[str, ...] | None:
    """The languages of a size: the ``.en`` ones know English only; None for multilingual."""
    return ("en",) if name.endswith(".en") else None


def wer_bound_of(name: str) -> float:
    """The WER, as a fraction, that a size must stay under on read English speech to count as working.

    It tells a model that works from one that is broken, not a good one from a better one: in the 70 words of ``smoke``
    three errors pass, and six of the smallest sizes.
    """
    return 0.10 if name.startswith("tiny") else 0.05
