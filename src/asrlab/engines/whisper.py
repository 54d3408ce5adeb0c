"""What all engines for OpenAI's Whisper share: model sizes, punctuation, time stamps in tokens, and segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs

from asrlab.engine.spec import ModelSpec
from asrlab.transcript import Segment, Word

# Name and aliases.
# Source: openai-whisper 20250625, whisper/__init__.py, `_MODELS`.
SIZES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"), ()),
    **dict.fromkeys(("large-v1", "large-v2"), ()),
    "large-v3": ("large",),
    "large-v3-turbo": ("turbo",),
}
# Source: ``prepend_punctuations`` and ``append_punctuations`` of ``transcribe``, in openai-whisper and faster-whisper.
PREPEND_PUNCTUATIONS = "\"'“¿([{-"
APPEND_PUNCTUATIONS = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width punctuation is meant
_SECONDS_PER_TIMESTAMP = 0.02


def model_spec(name: str, *weights: str) -> ModelSpec:
    """Return the size *name*: English for ``.en`` and for models distilled from Whisper, otherwise multilingual.

    The WER bound separates a model that works from a broken model, not a better model from a worse: in the 70 words of
    ``smoke`` three errors pass, and six for the smallest sizes.
    """
    is_distilled = name.startswith("distil")
    is_english = is_distilled or name.endswith(".en")
    return ModelSpec(
        name=name,
        aliases=SIZES.get(name, ()),
        weights=weights,
        languages=("en",) if is_english else None,
        description="English, distilled" if is_distilled else "English" if is_english else "multilingual",
        wer_bound=0.10 if name.startswith("tiny") else 0.05,
    )


def to_segments(segments: Iterable[Mapping[str, Any]]) -> Iterator[Segment]:
    """Convert *segments*, with the names of fields that both packages use, to asrlab's, one by one."""
    for segment in segments:
        start, words = float(segment["start"]), segment.get("words")
        yield Segment(
            text=segment["text"].strip(),
            start=start,
            end=max(start, float(segment["end"])),
            words=None if words is None else tuple(map(to_word, words)),
            tokens=tuple(segment["tokens"]),
            temperature=float(segment["temperature"]),
            avg_logprob=float(segment["avg_logprob"]),
            compression_ratio=float(segment["compression_ratio"]),
            no_speech_prob=float(segment["no_speech_prob"]),
            seek=segment["seek"],
        )


def to_word(word: Mapping[str, Any]) -> Word:
    """Convert *word* of either package to asrlab's."""
    start, probability = float(word["start"]), float(word["probability"])
    return Word(text=word["word"].strip(), start=start, end=max(start, float(word["end"])), probability=probability)


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
