"""Checks that engines share, the speech of the checks, and comparisons of results with the CPU's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio, load_audio
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.matrix.cell import CellContext, RunningCheck, Suite, describe_error
from asrlab.evaluation.matrix.records import Figure
from asrlab.evaluation.metrics import ErrorCounts, TextPair, get_normalizer, score
from asrlab.options import TranscribeOptions
from asrlab.patches.direct import patched
from asrlab.transcript import Segment, Transcript, Word

if TYPE_CHECKING:
    import torch

_GAP_S = 1.0  # after a shorter gap Whisper decodes the last clip again in a window of its own, at the cost of the first
_SIMULATED_TOLERANCE = 1e-4  # float32 by the CPU's own kernels, at most in another order
_HARDWARE_TOLERANCE = 1e-2  # other kernels, and TF32 in cuDNN's convolutions
_WORD_TOLERANCE_S = 0.02 + 1e-6  # Whisper's time step
_N_FRAMES = 12  # 80 ms each

type Programs = Mapping[str, Callable[[], object]]
"""A program for each patch name, which fails without the patch."""


def _run(context: CellContext, _reference: Any) -> None:
    transcriber = check_load(context)
    if transcriber is not None:
        with transcriber:
            check_recognition(context, transcriber, concatenated_smoke())


SUITE = Suite(run=_run)


def check_load(context: CellContext, model: str | None = None) -> Transcriber | None:
    """Load *model*, or else the cell's model, as a check; return None if loading fails."""
    with context.check("load") as check:
        transcriber = context.load(model or context.job.load_name)
        check.note(f"{transcriber.info.compute_type}, {transcriber.load_time:.1f} s")
        return transcriber
    return None


def check_recognition(
    context: CellContext, transcriber: Transcriber, speech: Speech, *, parameter_device: str = ""
) -> Transcript | None:
    """Check the device, a transcription of *speech*, and its times; return None if the transcription fails."""
    check_device(context, transcriber, parameter_device=parameter_device)
    with context.check("transcribe") as check:
        words = transcriber.info.capabilities.word_timestamps
        transcript = transcriber.transcribe(speech.audio, options=TranscribeOptions(word_timestamps=words))
        codes = sorted({warning.code for warning in transcript.warnings})
        check.note(f"{transcript.duration:.1f} s in {transcript.timings.total:.1f} s")
        if codes:
            check.note(f"warnings: {', '.join(codes)}")
        check.require(transcript.text.strip(), "the text is empty")
    if check.status != "ran":
        return None
    with context.check("segments") as check:
        check.note(f"{len(transcript.segments)} segments, {len(transcript.words or ())} timed words")
        error = timestamp_error(transcript)
        check.require(not error, error)
    return transcript


def check_device(context: CellContext, transcriber: Transcriber, *, parameter_device: str = "") -> None:
    """Check that the reported device, and that of the parameters if the engine tells it, is the requested device."""
    with context.check("device") as check:
        device = transcriber.info.device
        check.note(f"reported {device}" + (f", parameters on {parameter_device}" if parameter_device else ""))
        kinds = {device.resolved.partition(":")[0], parameter_device or context.device}
        check.require(kinds == {context.device}, f"not the requested {context.device}: {check.detail}")
        simulated = context.job.device.simulated
        check.require(
            device.simulated == simulated, f"the device reports simulated={device.simulated} instead of {simulated}"
        )


def check_text(
    context: CellContext, transcript: Transcript, text: str, *, max_errors: int, reference: str | None = None
) -> None:
    """Check that *transcript* has at most *max_errors* against *text*, and the text of the CPU, the *reference*.

    On a real device, a difference from the CPU's text is only noted.
    """
    with context.check("text") as check:
        errors = word_errors(text, transcript.text)
        check.note(f"{errors.errors} errors in {errors.reference_length} words")
        check.require(errors.errors <= max_errors, f"more than {max_errors} errors: {transcript.text}")
        if reference is not None:
            same = transcript.text == reference
            check.note("equals the CPU's text" if same else f"the CPU's text: {reference}")
            check.require(same or not context.is_simulated, f"the text differs from the CPU's: {transcript.text}")


def check_patches(context: CellContext, distribution: str, programs: Programs) -> None:
    """Check each patch that the device needs: its program fails, runs with the patch, and fails again afterwards.

    No transcriber may be open, because an open transcriber keeps its patches applied.
    """
    with context.check("patches") as check, patched(distribution, device=context.device) as scope:
        check.note(", ".join(f"{patch.name} {patch.status}" for patch in scope.report))
        failed = [f"{patch.name}: {patch.reason}" for patch in scope.report if patch.status == "failed"]
        check.require(not failed, "; ".join(failed))
    for status in scope.report if check.status == "ran" else ():
        if not status.is_active or status.name not in programs:
            continue
        program = programs[status.name]
        with context.check(f"patch {status.name}") as check:
            before = _failure(program)
            check.require(before, f"the program runs without {status.name}; test whether the patch is still needed")
            check.note(f"without the patch: {before}")
            with patched(status.distribution, device=context.device, patches=[status.name]):
                program()
            check.note("with the patch: ran")
            after = _failure(program)
            check.require(after == before, f"after undoing the patch: {after or 'ran'}; before the patch: {before}")
            check.note("after undoing the patch: the same error")


def _failure(program: Callable[[], object]) -> str:
    try:
        program()
    except AsrlabError:
        raise
    except Exception as error:  # noqa: BLE001 - the error of the package is the result
        return describe_error(error)
    return ""


@attrs.frozen(kw_only=True)
class Speech:
    """A recording of real speech with its reference text."""

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


def measure_numbers(
    check: RunningCheck, numbers: Mapping[str, Any], reference: Mapping[str, Any], *, simulated: bool
) -> None:
    """Measure the difference of each of *numbers* from the CPU's, in float32, and fail if one is too large."""
    for name, values in numbers.items():
        tolerance = _SIMULATED_TOLERANCE if simulated else _HARDWARE_TOLERANCE
        check.measure(difference(name, values, reference[name], tolerance=tolerance))


def difference(name: str, values: Any, reference: Any, *, tolerance: float) -> Figure:
    """Measure the largest difference of two arrays or tensors of one shape."""
    import numpy as np

    ours, theirs = (
        np.asarray(array.detach().float().cpu().numpy() if hasattr(array, "detach") else array, np.float64)
        for array in (values, reference)
    )
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return Figure(name=name, largest=None, tolerance=tolerance)
    largest = float(np.abs(ours - theirs).max(initial=0.0))
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return Figure(name=name, largest=largest, relative=largest / scale, tolerance=tolerance)


def word_time_difference(words: Sequence[Word], reference: Sequence[Word], *, required: bool) -> Figure | None:
    """Measure the largest difference of word times in seconds; return None if the words differ from the CPU's.

    If *required*, the difference must not exceed Whisper's time step.
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
