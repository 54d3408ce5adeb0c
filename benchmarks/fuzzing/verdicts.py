"""Verdicts on the outcomes of mutated files: allowed, or a finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .mutations import Mutation
from .watched_decoder import MAX_EXTRA_BYTES, MAX_SECONDS

__all__ = ["FINDINGS", "UNDECLARED", "FuzzResult", "judge"]

FINDINGS = ("exception", "hang", "memory", "crash", "stdout", "silent loss")
"""Verdicts that are findings."""

_TOLERANCE_S = 0.25
_MAX_HEADER_BYTES = 8192  # bytes; the maximum length of a header before three seconds of speech

_FRAMES = "frames without a header for the whole: the last whole frame may be the last one"
_PROGRAM = "an MPEG program stream may end with any pack; few writers add the end code"
_TRANSPORT = "a transport stream has no length and no end"
_NO_COUNT = "the header has no count; the samples go to the end of the file"
_PLACEHOLDER = "FFmpeg leaves a placeholder of 100 MiB where the header should have the file's size"

UNDECLARED: dict[str, str] = {
    "ffmpeg ac3": _FRAMES,
    "ffmpeg adts": _FRAMES,
    "ffmpeg avm2": _PLACEHOLDER,
    "ffmpeg dvd": _PROGRAM,
    "ffmpeg eac3": _FRAMES,
    "ffmpeg gxf": "packets have no numbers: a loss in the middle is not detectable, only a missing end",
    "ffmpeg ircam": _NO_COUNT,
    "ffmpeg latm": _FRAMES,
    "ffmpeg mp2": _FRAMES,
    "ffmpeg mpeg": _PROGRAM,
    "ffmpeg mpegts": _TRANSPORT,
    "ffmpeg nut": "the index at the end is optional",
    "ffmpeg rtp_mpegts": _TRANSPORT,
    "ffmpeg spdif": _FRAMES,
    "ffmpeg svcd": _PROGRAM,
    "ffmpeg swf": _PLACEHOLDER,
    "ffmpeg vcd": _PROGRAM,
    "ffmpeg vob": _PROGRAM,
    "ffmpeg voc": "a file of many blocks may end with any block; not every writer marks the last",
    "libsndfile IRCAM": _NO_COUNT,
    "libsndfile PAF": _NO_COUNT,
    "libsndfile PVF": _NO_COUNT,
    "libsndfile RAW": "samples without a header; FFmpeg decodes some of them as GSM 06.10",
    "libsndfile XI": "libsndfile writes a length of 0",
}
"""Containers in which missing audio is not detectable, and the reasons."""


@attrs.frozen(kw_only=True)
class FuzzResult:
    """The outcome of one mutated file.

    Attributes:
        index: Number of the file, which with the seed reproduces the file.
        container: Name of the container, as in `containers.Original`.
        codec: Name of the codec, as in `containers.Original`.
        mutation: Kind of the mutation.
        start: Index of the first changed byte.
        verdict: ``decoded``, ``refused``, ``header declares less``, ``not detectable``, or one of `FINDINGS`.
        outcome: Outcome from `watched_decoder.WatchedDecoder.decode`.
    """

    index: int
    container: str
    codec: str
    mutation: str
    start: int
    verdict: str
    outcome: Mapping[str, Any]


def judge(outcome: Mapping[str, Any], *, container: str, mutation: Mutation, whole: bytes, seconds: float) -> str:
    """Return the verdict on *outcome*.

    Args:
        outcome: Outcome from `watched_decoder.WatchedDecoder.decode`.
        container: Name of the container, as in `containers.Original`.
        mutation: The mutation of the file.
        whole: The bytes of the original file.
        seconds: Decoded duration of the original file.
    """
    if outcome["outcome"] not in ("decoded", "refused"):
        return str(outcome["outcome"])
    if outcome["stdout"]:
        return "stdout"
    if outcome["extra_bytes"] > MAX_EXTRA_BYTES:
        return "memory"
    if outcome["cpu_seconds"] > MAX_SECONDS:
        return "hang"
    if outcome["outcome"] == "refused":
        return "refused"
    if outcome["warnings"] or outcome["seconds"] >= seconds - _TOLERANCE_S:
        return "decoded"
    return _judge_loss(outcome, container=container, mutation=mutation, whole=whole, seconds=seconds)


def _judge_loss(outcome: Mapping[str, Any], *, container: str, mutation: Mutation, whole: bytes, seconds: float) -> str:
    """Return the verdict on a file that is decoded to less audio without a warning.

    A header that was changed to declare less is accepted, and a container that declares no length cannot be checked.
    """
    if container in UNDECLARED:
        return "not detectable"
    declared = outcome["declared"]
    declares_less = declared is None or declared < seconds - _TOLERANCE_S
    in_header = mutation.start < min(_MAX_HEADER_BYTES, len(whole) // 2)
    return "header declares less" if declares_less and in_header and mutation.kind != "truncate" else "silent loss"
