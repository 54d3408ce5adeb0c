"""What the outcome of a mutated file means: allowed, or a finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .mutations import Mutation
from .watch import MAX_EXTRA_BYTES, MAX_SECONDS

__all__ = ["FINDINGS", "UNDECLARED", "Result", "judge"]

FINDINGS = ("exception", "hang", "memory", "crash", "stdout", "silent loss")
"""What must never happen."""

_TOLERANCE_S = 0.25
_BODY = 8192  # bytes; no container here has a longer header in front of three seconds of speech

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
    "ffmpeg gxf": "packets have no numbers: of a loss in the middle nothing tells, only of a missing end",
    "ffmpeg ircam": _NO_COUNT,
    "ffmpeg latm": _FRAMES,
    "ffmpeg mp2": _FRAMES,
    "ffmpeg mpeg": _PROGRAM,
    "ffmpeg mpegts": _TRANSPORT,
    "ffmpeg nut": "the index at its end is optional",
    "ffmpeg rtp_mpegts": _TRANSPORT,
    "ffmpeg spdif": _FRAMES,
    "ffmpeg svcd": _PROGRAM,
    "ffmpeg swf": _PLACEHOLDER,
    "ffmpeg vcd": _PROGRAM,
    "ffmpeg vob": _PROGRAM,
    "ffmpeg voc": "a file of many blocks may end with any; not every writer marks the last",
    "libsndfile IRCAM": _NO_COUNT,
    "libsndfile PAF": _NO_COUNT,
    "libsndfile PVF": _NO_COUNT,
    "libsndfile RAW": "samples without a header; FFmpeg takes some of them for GSM 06.10",
    "libsndfile XI": "libsndfile writes a length of 0",
}
"""Containers in which audio can be missing without a trace, and why."""


@attrs.frozen(kw_only=True)
class Result:
    """One mutated file and what became of it.

    Attributes:
        index: Number of the file; with the seed, all that is needed to make it again.
        container: As in `containers.Original`.
        codec: As in `containers.Original`.
        mutation: Its kind.
        start: First changed byte.
        verdict: ``decoded``, ``refused``, ``header says less``, ``cannot be told``, or one of `FINDINGS`.
        outcome: As `watch.WatchedDecoder.decode` returned it.
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
        outcome: As `watch.WatchedDecoder.decode` returned it.
        container: As in `containers.Original`.
        mutation: What was done.
        whole: The bytes before.
        seconds: What the whole file decodes to.
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
    return _loss(outcome, container=container, mutation=mutation, whole=whole, seconds=seconds)


def _loss(outcome: Mapping[str, Any], *, container: str, mutation: Mutation, whole: bytes, seconds: float) -> str:
    """Return the verdict on a file that is shorter than before without a word.

    A header that was changed to declare less is believed, and a container that declares nothing has nothing to compare.
    """
    if container in UNDECLARED:
        return "cannot be told"
    declared = outcome["declared"]
    says_less = declared is None or declared < seconds - _TOLERANCE_S
    in_header = mutation.start < min(_BODY, len(whole) // 2)
    return "header says less" if says_less and in_header and mutation.kind != "truncate" else "silent loss"
