"""Quality gates: automatic checks of each outcome for faults that nobody would notice.

A gate has passed only if it had the facts that it needs. Otherwise its result is ``not-checked``, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Literal

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.runs.executor import ItemFinished
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.evaluation.runs.words import count_words, has_words, min_speech_seconds, split_words
from asrlab.transcript import Segment, Transcript
from asrlab.vad import find_repetition

_MIN_SPEECH_S = 0.5
"""Shorter speech may be a cough that a detector takes for speech."""
_WHISPER_ENGINES = ("faster-whisper", "openai-whisper")
_WARNING_ENGINES = ("liquid-audio",)
"""Engines that warn if a text ends at the token limit, so that no warning means a complete text."""
_WHISPER_TOKEN_LIMIT = 220
"""Smallest token limit of a window of Whisper: half of the 448 of its context, less what a full prompt leaves of the
other half.

Source: openai-whisper 20250625, decoding.py, ``sample_len`` and ``_main_loop``; for CTranslate2 4.8.5, measured.
"""
_MIN_TIMESTAMP_TOKEN = 50363
"""Token ``<|0.00|>`` of Whisper's English models, the lowest timestamp of all models; text is below 50,257."""
_EDGE_TOLERANCE_S = 0.25  # the times of a manifest cut off the edges of words

type _Result = tuple[Literal["passed", "failed", "not-checked"], str]


@attrs.frozen(kw_only=True)
class _GateInput:
    """The facts of an outcome that the gates examine.

    Attributes:
        reference: Reference text; None if the data set has none.
        requested_device: Device as the caller named it.
        transcript: The transcript; None if the utterance failed.
        failure: Reason why the utterance failed; None if it did not.
        speech_s: Seconds of speech; None if not measured.
        info: Facts of the loaded model; None if not known.
    """

    reference: str | None
    requested_device: str
    transcript: Transcript | None
    failure: Failure | None
    speech_s: float | None
    info: TranscriberInfo | None

    @property
    def text(self) -> str:
        return self.transcript.text if self.transcript else ""

    @property
    def reason(self) -> str:
        return self.failure.reason if self.failure else ""

    def warning(self, code: str) -> str:
        """Return the message of the first warning with *code*; empty if there is none."""
        warnings = self.transcript.warnings if self.transcript else ()
        return next((warning.message for warning in warnings if warning.code == code), "")

    def describe_speech(self) -> str:
        """Return the measured speech in words."""
        return "speech was not measured" if self.speech_s is None else f"{self.speech_s:.1f} s of speech were found"


def check_gates(
    finished: ItemFinished, *, facts: UtteranceFacts, requested_device: str, info: TranscriberInfo | None = None
) -> tuple[GateResult, ...]:
    """Return the result of each gate for an outcome, in the order of `GATES`.

    Args:
        finished: The outcome.
        facts: Facts of its utterance.
        requested_device: Device as the caller named it, such as ``auto`` or ``cuda``.
        info: Facts of the model; without them the device of a failed utterance is not checked.
    """
    gate_input = _GateInput(
        reference=facts.reference,
        requested_device=requested_device,
        transcript=finished.transcript,
        failure=finished.failure,
        speech_s=finished.speech_s,
        info=info,
    )
    results = ((name, gate(gate_input)) for name, gate in _GATES.items())
    return tuple(GateResult(gate=name, outcome=outcome, detail=detail) for name, (outcome, detail) in results)


def _audio_truncated(given: _GateInput) -> _Result:
    if given.failure and given.reason == "truncated":
        return "failed", given.failure.message.partition("; ")[0]
    if warning := given.warning("truncated"):
        return "failed", warning
    if given.transcript is None:
        return _no_transcript(given)
    return "passed", f"{given.transcript.duration:.2f} s decoded, to the end"


def _output_truncated(given: _GateInput) -> _Result:
    if warning := given.warning("output-truncated"):
        return "failed", warning
    if given.transcript is None:
        return _no_transcript(given)
    if not given.transcript.segments:
        return "not-checked", "no text was recognized"
    engine = given.transcript.model.engine
    if engine in _WHISPER_ENGINES:
        return _check_whisper_windows(given.transcript)
    if engine in _WARNING_ENGINES:
        return "passed", "each text ended before its limit"
    return "not-checked", f"{engine} does not report whether a text reached its limit"


def _check_whisper_windows(transcript: Transcript) -> _Result:
    """Find a window that reached the token limit without a timestamp from which the next window continues.

    After two timestamps in a row, Whisper continues from there and decodes again what was cut off.
    """
    if any(segment.tokens is None or segment.seek is None for segment in transcript.segments):
        return "not-checked", "not every segment has its tokens and its window"
    unfinished = _unfinished_windows(transcript.segments)
    longest = max(unfinished, key=lambda segment: len(segment.tokens or ()), default=None)
    if longest is None:
        return "passed", "each window of 30 s ended with a timestamp"
    n_tokens = len(longest.tokens or ())
    detail = f"the window from {(longest.seek or 0) / 100:.2f} s has {n_tokens} tokens and no timestamp at its end"
    if n_tokens >= _WHISPER_TOKEN_LIMIT:
        return "failed", f"{detail}: it was cut off, and words are missing"
    if transcript.options.hotwords:
        return "not-checked", f"{detail}; hotwords lower its limit by an unknown number of tokens"
    return "passed", f"{detail}; its limit is {_WHISPER_TOKEN_LIMIT}"


def _unfinished_windows(segments: tuple[Segment, ...]) -> Iterator[Segment]:
    """Yield the segments that fill a whole window and do not end with a timestamp."""
    for _, window in groupby(segments, key=lambda segment: segment.seek):
        first, *others = window
        if not others and first.tokens and first.tokens[-1] < _MIN_TIMESTAMP_TOKEN:
            yield first


def _repetition_loop(given: _GateInput) -> _Result:
    if given.transcript is None:
        return _no_transcript(given)
    loop = find_repetition(given.text)
    if loop is None:
        warning = given.warning("repetition")
        return ("failed", warning) if warning else ("passed", "no repetition")
    detail = f'"{loop.phrase[:60]}" occurs {loop.count} times in a row'
    spoken = find_repetition(given.reference or "")
    if spoken is not None and spoken.count >= loop.count:
        return "passed", f"{detail}, and {spoken.count} times in the reference"
    return "failed", detail


def _empty_on_speech(given: _GateInput) -> _Result:
    if given.transcript is None:
        return _no_transcript(given)
    if has_words(given.text):
        return "passed", f"{count_words(given.text)} words were recognized"
    if n_words := count_words(given.reference):
        return "failed", f"no words were recognized; the reference has {n_words} words, and {given.describe_speech()}"
    if given.reference is not None:
        return "passed", "no words were recognized, and the reference is empty"
    if given.speech_s is None:
        return "not-checked", "no words were recognized; there is no reference, and speech was not measured"
    outcome: Literal["passed", "failed"] = "failed" if given.speech_s >= _MIN_SPEECH_S else "passed"
    return outcome, f"no words were recognized, and {given.describe_speech()}"


def _text_on_silence(given: _GateInput) -> _Result:
    if given.transcript is None:
        return _no_transcript(given)
    n_words = count_words(given.text)
    if not n_words:
        return "passed", "no words were recognized"
    if silent := given.warning("silent"):
        return "failed", f"{n_words} words were recognized: {silent}"
    if given.reference is not None and not has_words(given.reference):
        if (given.speech_s or 0.0) >= _MIN_SPEECH_S:
            return "not-checked", f"the reference is empty, but {given.describe_speech()}"
        return "failed", f"{n_words} words were recognized, the reference is empty, and {given.describe_speech()}"
    if n_shared := len(set(split_words(given.text)) & set(split_words(given.reference or ""))):
        return "passed", f"{n_shared} different words are also in the reference"
    detail = f"{n_words} words were recognized, and {given.describe_speech()}"
    if given.speech_s is None:
        return "not-checked", detail
    return "passed" if given.speech_s else "failed", detail


def _device(given: _GateInput) -> _Result:
    used = given.transcript.device if given.transcript else given.info.device if given.info else None
    if used is None:
        return _no_transcript(given)
    detail = f"asked for {given.requested_device}, ran on {used}"
    is_same = given.requested_device == "auto" or _with_index(given.requested_device) == _with_index(used.resolved)
    return "passed" if is_same else "failed", detail


def _with_index(device: str) -> str:
    return "cuda:0" if device == "cuda" else device


def _non_finite_input(given: _GateInput) -> _Result:
    if given.failure and given.reason == "not-finite":
        return "failed", given.failure.message.partition("; ")[0]
    if given.transcript is None:
        return _no_transcript(given)
    return "passed", "every sample is finite"


def _reference_suspect(given: _GateInput) -> _Result:
    if given.reference is None:
        return "not-checked", "there is no reference"
    if given.transcript is None:
        return _no_transcript(given)
    n_words, duration = count_words(given.reference), given.transcript.duration
    if not n_words:
        return _check_empty_reference(given)
    if silent := given.warning("silent"):
        return "failed", f"the reference has {n_words} words, but {silent}"
    min_s = min_speech_seconds(given.reference)
    rate = f"{n_words} words in {duration:.2f} s"
    if min_s > duration + _EDGE_TOLERANCE_S:
        return "failed", f"{rate}: the fastest speaker on record takes {min_s:.2f} s"
    return "passed", f"{rate} can be spoken"


def _check_empty_reference(given: _GateInput) -> _Result:
    if not has_words(given.text):
        return "passed", "the reference is empty, and no words were recognized"
    n_words = count_words(given.text)
    detail = f"the reference is empty, but {n_words} words were recognized, and {given.describe_speech()}"
    if given.speech_s is None:
        return "not-checked", detail
    return "failed" if given.speech_s >= _MIN_SPEECH_S else "passed", detail


def _no_transcript(given: _GateInput) -> _Result:
    reason = f" ({given.failure.kind})" if given.failure else ""
    return "not-checked", f"there is no transcript{reason}"


_GATES: dict[str, Callable[[_GateInput], _Result]] = {
    "audio-truncated": _audio_truncated,
    "output-truncated": _output_truncated,
    "repetition-loop": _repetition_loop,
    "empty-on-speech": _empty_on_speech,
    "text-on-silence": _text_on_silence,
    "device": _device,
    "non-finite-input": _non_finite_input,
    "reference-suspect": _reference_suspect,
}

GATES = tuple(_GATES)
"""Names of the gates, in order."""
