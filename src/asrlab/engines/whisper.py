"""Facts about OpenAI's Whisper that all engines for it share: model sizes, punctuation, and time stamps in tokens."""

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
# Source: ``prepend_punctuations`` and ``append_punctuations`` of ``transcribe``, in openai-whisper and faster-whisper.
PREPEND_PUNCTUATIONS = "\"'“¿([{-"
APPEND_PUNCTUATIONS = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width punctuation is meant
_SECONDS_PER_TIMESTAMP = 0.02


def model_languages(name: str) -> tuple[str, ...] | None:
    """Return the languages of the size *name*: English only for an ``.en`` size; None for a multilingual size."""
    return ("en",) if name.endswith(".en") else None


def max_wer(name: str) -> float:
    """Return the WER, as a fraction, below which the size *name* counts as working on read English speech.

    The bound separates a model that works from a broken model, not a better model from a worse: in the 70 words of
    ``smoke`` three errors pass, and six for the smallest sizes.
    """
    return 0.10 if name.startswith("tiny") else 0.05


@attrs.frozen(kw_only=True)
class TimestampedTokens:
    """Tokens between two time stamps.

    Attributes:
        tokens: Token ids, including the time stamps.
        start: Start in seconds from the start of the window.
        end: End in seconds from the start of the window; may be before *start* if the model says so.
    """

    tokens: tuple[int, ...]
    start: float
    end: float


def split_at_timestamps(
    tokens: Sequence[int], *, first: int, duration: float
) -> tuple[tuple[TimestampedTokens, ...], float | None]:
    """Split *tokens* at pairs of time stamps, and return the parts and the second at which to resume.

    Tokens after the last pair without a time stamp of their own are left out, because they are decoded again from
    there. A single time stamp at the end means that no more speech follows.

    Args:
        tokens: Tokens of one window, without the prompt and the end of text.
        first: Token of 0.00 s.
        duration: Seconds of audio in the window.

    Returns:
        The parts in order, and the second; None if the whole window has been decoded.

    Source: openai-whisper, ``transcribe``; faster-whisper, ``_split_segments_by_timestamps``.
    """
    is_timestamp = [token >= first for token in tokens]
    pairs = [index for index in range(1, len(tokens)) if is_timestamp[index - 1] and is_timestamp[index]]
    if not pairs:
        last = next((token for token in reversed(tokens) if token >= first), first)
        end = (last - first) * _SECONDS_PER_TIMESTAMP if last > first else duration
        return (TimestampedTokens(tokens=tuple(tokens), start=0.0, end=end),), None
    is_closed = is_timestamp[-2:] == [False, True]
    cuts = [0, *pairs, *([len(tokens)] if is_closed else [])]
    parts = tuple(
        TimestampedTokens(
            tokens=tuple(tokens[start:end]),
            start=(tokens[start] - first) * _SECONDS_PER_TIMESTAMP,
            end=(tokens[end - 1] - first) * _SECONDS_PER_TIMESTAMP,
        )
        for start, end in pairwise(cuts)
    )
    return parts, None if is_closed else (tokens[pairs[-1] - 1] - first) * _SECONDS_PER_TIMESTAMP
