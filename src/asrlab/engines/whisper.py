"""The sizes of OpenAI's Whisper, which every engine for it offers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import attrs

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


_SECONDS_PER_STAMP = 0.02


@attrs.frozen(kw_only=True)
class TimestampedTokens:
    """Tokens between two time stamps.

    Attributes:
        tokens: The stamps included.
        start: Seconds from the start of the window.
        end: Likewise; may be before *start* if the model says so.
    """

    tokens: tuple[int, ...]
    start: float
    end: float


def split_at_timestamps(
    tokens: Sequence[int], *, first: int, duration: float
) -> tuple[tuple[TimestampedTokens, ...], float | None]:
    """The stretches of *tokens*, and the seconds from which to go on, None if the window is done with.

    A pair of stamps parts two stretches. What follows the last pair without an end of its own is left out, since it is
    decoded again from there. A single stamp at the end says that nothing more is said.

    Args:
        tokens: Of one window, without the prompt and the end of text.
        first: The token of 0.00 s.
        duration: Seconds of audio in the window.

    Source: openai-whisper, ``transcribe``; faster-whisper, ``_split_segments_by_timestamps``.
    """
    stamps = [token >= first for token in tokens]
    pairs = [place for place in range(1, len(tokens)) if stamps[place - 1] and stamps[place]]
    if not pairs:
        last = next((token for token in reversed(tokens) if token >= first), first)
        end = (last - first) * _SECONDS_PER_STAMP if last > first else duration
        return (TimestampedTokens(tokens=tuple(tokens), start=0.0, end=end),), None
    closed = stamps[-2:] == [False, True]
    cuts = [0, *pairs, *([len(tokens)] if closed else [])]
    stretches = tuple(_stretch(tokens[start:end], first=first) for start, end in pairwise(cuts))
    return stretches, None if closed else (tokens[pairs[-1] - 1] - first) * _SECONDS_PER_STAMP


def _stretch(tokens: Sequence[int], *, first: int) -> TimestampedTokens:
    return TimestampedTokens(
        tokens=tuple(tokens),
        start=(tokens[0] - first) * _SECONDS_PER_STAMP,
        end=(tokens[-1] - first) * _SECONDS_PER_STAMP,
    )
