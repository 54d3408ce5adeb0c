"""TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_QUIET = 0.35
"""A frame less likely than this to be speech is quiet.

Source: Silero's ``neg_threshold``, its threshold of 0.5 less 0.15, in utils_vad.py.
"""
_LEAST_FRAMES = 3
"""96 ms: a shorter silence lies within a word, and a shorter sound is no word.

Source: Silero cuts speech that lasts too long at silences of more than 98 ms.
"""
_PAUSE_FRAMES = 25
"""0.8 s: a pause between sentences. A longer one is no better a place to cut."""
_PAD_FRAMES = 16
"""0.5 s of silence stay with the speech, before it and behind it, where there is more."""
_GAP_FRAMES = 94
"""3 s: from here on a silence is kept away from the speech around it."""


def cut_at_gap(probabilities: NDArray[np.float32], *, earliest: int, latest: int) -> int | None:
    """Where to cut a long silence off: behind it where the audio begins with it, else before it.

    Args:
        probabilities: Shape (n,); of the audio from the last cut on, as far as it may be looked ahead.
        earliest: The first frame before which a cut may be.
        latest: The last one.

    Returns:
        The frame before which to cut; None where there is no silence of 3 s, or nothing else.
    """
    for begin, end in _runs(~_voiced(probabilities)):
        if end - begin < _GAP_FRAMES or (begin, end) == (0, len(probabilities)):
            continue
        cut = min(end - _PAD_FRAMES, latest) if begin == 0 else begin + _PAD_FRAMES
        if earliest <= cut <= latest:
            return cut
    return None


def cut_at_quietest(probabilities: NDArray[np.float32], *, earliest: int, latest: int, ideal: int) -> int:
    """The best frame before which to cut, from *earliest* to *latest*.

    It lies in the silence that is longest and surest, in its middle or 0.5 s behind its beginning. Without a silence of
    96 ms it is where the two frames around the cut are the least likely speech. The nearer to *ideal* of equals.
    """
    runs = [run for run in _runs(probabilities[earliest:latest] < _QUIET) if run[1] - run[0] >= _LEAST_FRAMES]
    if not runs:
        around = probabilities[earliest - 1 : latest] + probabilities[earliest : latest + 1]
        return _nearest((earliest + int(place) for place in (around == around.min()).nonzero()[0]), ideal)
    worth = {
        (earliest + begin, earliest + end): _worth(probabilities, earliest + begin, earliest + end)
        for begin, end in runs
    }
    most = max(worth.values())
    return _nearest((_within(begin, end) for (begin, end), value in worth.items() if value == most), ideal)


def voiced_span(probabilities: NDArray[np.float32]) -> tuple[int, int] | None:
    """The frames from the first voice to behind the last; None where nothing of 96 ms or more is voice."""
    places = _voiced(probabilities).nonzero()[0]
    return (int(places[0]), int(places[-1]) + 1) if len(places) else None


def _within(begin: int, end: int) -> int:
    return min((begin + end) // 2, begin + _PAD_FRAMES)


def _worth(probabilities: NDArray[np.float32], begin: int, end: int) -> float:
    """How good a silence is to cut in: its length times how far it is below the threshold, up to a pause's."""
    surest = float((_QUIET - probabilities[begin:end]).mean())
    return surest * min(end - begin, _PAUSE_FRAMES)


def _nearest(places: Iterator[int], ideal: int) -> int:
    return min(places, key=lambda place: (abs(place - ideal), place))


def _voiced(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames are voice, without the clicks."""
    has_speech = probabilities >= _QUIET
    for begin, end in _runs(has_speech):
        if end - begin < _LEAST_FRAMES:
            has_speech[begin:end] = False
    return has_speech


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The stretches of *mask* that are true, as (first, behind the last)."""
    import numpy as np

    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
