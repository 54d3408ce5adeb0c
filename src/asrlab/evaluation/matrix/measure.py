"""The speech that the checks use, and how results are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio, load_audio
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.matrix.records import Figure
from asrlab.evaluation.metrics import ErrorCounts, TextPair, get_normalizer, score
from asrlab.transcript import Segment, Transcript, Word

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


_GAP_S = (
    1.0  # with less, Whisper goes over the last clip again in a window of its own, which takes as long as the first
)
_EXACT = 1e-4  # float32 on the CPU's own kernels, in another order at most
_OTHER_HARDWARE = 1e-2  # other kernels, and TF32 in cuDNN's convolutions
_WORD_S = 0.02  # the step in which Whisper times


@attrs.frozen(kw_only=True)
class Speech:
    """A recording of real speech.

    Attributes:
        audio: The recording.
        text: What was said.
    """

    audio: Audio
    text: str


def joined_smoke(times: int = 1) -> Speech:
    """The five clips of ``smoke`` with a second of silence behind each, 29.7 s; all of it *times* over."""
    import numpy as np

    utterances = list(load_dataset("smoke"))
    gap = np.zeros(int(_GAP_S * SAMPLE_RATE), np.float32)
    parts = [part for each in utterances for part in (load_audio(each.audio).samples, gap)]
    text = " ".join([str(each.text) for each in utterances] * times)
    return Speech(audio=Audio(samples=np.concatenate(parts * times), sample_rate=SAMPLE_RATE), text=text)


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Word errors after Whisper's English normalization."""
    pair = TextPair(id="smoke", reference=reference, hypothesis=hypothesis)
    return score([pair], normalizer=get_normalizer("english")).words


def numbers_tolerance(*, simulated: bool) -> float:
    """What a relative difference from the CPU may be, in float32."""
    return _EXACT if simulated else _OTHER_HARDWARE


def difference(name: str, found: Any, reference: Any, *, tolerance: float) -> Figure:
    """How far *found* is from *reference*, arrays or tensors of the same shape."""
    import numpy as np

    ours, theirs = _array(found), _array(reference)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return Figure(name=name, largest=None, tolerance=tolerance)
    largest = float(np.abs(ours - theirs).max(initial=0.0))
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return Figure(name=name, largest=largest, relative=largest / scale, tolerance=tolerance)


def _array(values: Any) -> NDArray[np.float64]:
    import numpy as np

    on_cpu = values.detach().float().cpu().numpy() if hasattr(values, "detach") else values
    return np.asarray(on_cpu, np.float64)


def word_times(found: Sequence[Word], reference: Sequence[Word], *, demanded: bool) -> Figure | None:
    """How far the times of the same words are apart, in seconds; None if they are not the same words.

    Args:
        found: The device's.
        reference: The CPU's.
        demanded: Whether they may not be further apart than the step in which Whisper times.
    """
    if [word.text for word in found] != [word.text for word in reference]:
        return None
    apart = [max(abs(a.start - b.start), abs(a.end - b.end)) for a, b in zip(found, reference, strict=True)]
    return Figure(
        name="word times",
        largest=float(max(apart, default=0.0)),
        tolerance=_WORD_S + 1e-6 if demanded else None,
        unit="s",
    )


def disorder(transcript: Transcript) -> str:
    """What is wrong with the times of segments and words; empty if nothing is."""
    timed: tuple[Segment | Word, ...] = transcript.segments
    for parts in (timed, transcript.words or ()):
        last = 0.0
        for part in parts:
            if not last <= part.start <= part.end <= transcript.duration + 1e-6:
                kind = type(part).__name__.lower()
                return f"the {kind} {part.text[:40]!r} is at {part.start:.2f} to {part.end:.2f} s, after {last:.2f} s"
            last = part.start
    return ""


def codes(device: str) -> torch.Tensor:
    """The same frames of random codes every time: int64, shape (1, 8, 12), in [0, 2047], on *device*."""
    import torch

    return torch.randint(0, 2048, (1, 8, _FRAMES), generator=torch.Generator().manual_seed(0)).to(device)


_FRAMES = 12  # a second, nearly: 80 ms each
