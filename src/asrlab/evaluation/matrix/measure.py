"""The speech of the checks, and comparisons of results with the CPU's."""

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


_GAP_S = 1.0  # after a shorter gap Whisper decodes the last clip again in a window of its own, at the cost of the first
_SIMULATED_TOLERANCE = 1e-4  # float32 by the CPU's own kernels, at most in another order
_HARDWARE_TOLERANCE = 1e-2  # other kernels, and TF32 in cuDNN's convolutions
_WORD_TOLERANCE_S = 0.02 + 1e-6  # Whisper's time step
_N_FRAMES = 12  # 80 ms each


@attrs.frozen(kw_only=True)
class Speech:
    """A recording of real speech.

    Attributes:
        audio: The recording.
        text: The reference text.
    """

    audio: Audio
    text: str


def concatenated_smoke(times: int = 1) -> Speech:
    """Concatenate the five clips of ``smoke``, each with a second of silence: 29.7 s, repeated *times* times."""
    import numpy as np

    utterances = list(load_dataset("smoke"))
    gap = np.zeros(int(_GAP_S * SAMPLE_RATE), np.float32)
    parts = [part for utterance in utterances for part in (load_audio(utterance.audio).samples, gap)]
    text = " ".join([str(utterance.text) for utterance in utterances] * times)
    return Speech(audio=Audio(samples=np.concatenate(parts * times), sample_rate=SAMPLE_RATE), text=text)


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count word errors after Whisper's English normalization."""
    pair = TextPair(id="smoke", reference=reference, hypothesis=hypothesis)
    return score([pair], normalizer=get_normalizer("english")).words


def number_tolerance(*, simulated: bool) -> float:
    """Return the tolerated relative difference from the CPU, in float32."""
    return _SIMULATED_TOLERANCE if simulated else _HARDWARE_TOLERANCE


def difference(name: str, values: Any, reference: Any, *, tolerance: float) -> Figure:
    """Measure the largest difference of two arrays or tensors of one shape."""
    import numpy as np

    ours, theirs = _to_array(values), _to_array(reference)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return Figure(name=name, largest=None, tolerance=tolerance)
    largest = float(np.abs(ours - theirs).max(initial=0.0))
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return Figure(name=name, largest=largest, relative=largest / scale, tolerance=tolerance)


def _to_array(values: Any) -> NDArray[np.float64]:
    import numpy as np

    on_cpu = values.detach().float().cpu().numpy() if hasattr(values, "detach") else values
    return np.asarray(on_cpu, np.float64)


def word_time_difference(words: Sequence[Word], reference: Sequence[Word], *, required: bool) -> Figure | None:
    """Measure the largest difference of word times in seconds; return None if the words differ.

    Args:
        words: Words of the device.
        reference: Words of the CPU.
        required: True if the difference must not exceed Whisper's time step.
    """
    if [word.text for word in words] != [word.text for word in reference]:
        return None
    pairs = zip(words, reference, strict=True)
    largest = max((max(abs(a.start - b.start), abs(a.end - b.end)) for a, b in pairs), default=0.0)
    tolerance = _WORD_TOLERANCE_S if required else None
    return Figure(name="word times", largest=float(largest), tolerance=tolerance, unit="s")


def timestamp_error(transcript: Transcript) -> str:
    """Return the first error in the times of segments and words; empty if all times are valid."""
    timed: tuple[Segment | Word, ...] = transcript.segments
    for parts in (timed, transcript.words or ()):
        last = 0.0
        for part in parts:
            if not last <= part.start <= part.end <= transcript.duration + 1e-6:
                kind = type(part).__name__.lower()
                return f"the {kind} {part.text[:40]!r} is at {part.start:.2f} to {part.end:.2f} s, after {last:.2f} s"
            last = part.start
    return ""


def random_codes(device: str) -> torch.Tensor:
    """Return random speech codes with a fixed seed: int64, shape (1, 8, 12), in [0, 2047], on *device*."""
    import torch

    return torch.randint(0, 2048, (1, 8, _N_FRAMES), generator=torch.Generator().manual_seed(0)).to(device)
