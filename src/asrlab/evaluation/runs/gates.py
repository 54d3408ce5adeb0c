"""Gates: what can go wrong with an utterance without anybody noticing, checked for each outcome.

A verdict is ``passed`` only where the gate saw what it takes; where it could not, it is ``not-checked`` and says why.
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

_LEAST_SPEECH_S = 0.5
"""Less than this may be a cough that a detector takes for speech."""
_WHISPER_ENGINES = ("faster-whisper", "openai-whisper")
_WARNING_ENGINES = ("liquid-audio",)
"""They warn where a text ends at the limit, so that no warning means that it did not."""
_WHISPER_LIMIT = 220
"""Tokens that a window of Whisper may have at least: half of the 448 of its context, less what a full prompt leaves of
the other half.

Source: openai-whisper 20250625, decoding.py, ``sample_len`` and ``_main_loop``; for CTranslate2 4.8.5, measured.
"""
_WHISPER_STAMPS = 50363
"""The first token of a time, ``<|0.00|>``, of Whisper's English models, the lowest of all; text is below 50,257."""
_CUT_S = 0.25  # a manifest's times cut off the edges of words
type _Seen = tuple[Literal["passed", "failed", "not-checked"], str]


@attrs.frozen(kw_only=True)
class _Case:
    """An outcome, and what it is held against.

    Attributes:
        reference: What was said; None if the data set does not tell.
        asked_device: As the caller named it.
        transcript: None if it failed.
        failure: None if it did not.
        voiced: Seconds of speech; None if not known.
        info: The facts of the loaded model; None if they are not known.
    """

    reference: str | None
    asked_device: str
    transcript: Transcript | None
    failure: Failure | None
    voiced: float | None
    info: TranscriberInfo | None

    @property
    def text(self) -> str:
        return self.transcript.text if self.transcript else ""

    @property
    def reason(self) -> str:
        return self.failure.reason if self.failure else ""

    def warning(self, code: str) -> str:
        """The first message with this code; empty if there is none."""
        warnings = self.transcript.warnings if self.transcript else ()
        return next((warning.message for warning in warnings if warning.code == code), "")

    def heard(self) -> str:
        """What is known of the speech in it, in words."""
        return "speech was not looked for" if self.voiced is None else f"{self.voiced:.1f} s of speech were found"


def check_gates(
    done: ItemFinished, *, facts: UtteranceFacts, asked_device: str, info: TranscriberInfo | None = None
) -> tuple[GateResult, ...]:
    """What each gate says of an outcome, in the order of `GATES`.

    Args:
        done: The outcome.
        facts: Of its utterance.
        asked_device: As the caller named it, such as ``auto`` or ``cuda``.
        info: The facts of the model that it ran with; None leaves the device of a failed utterance unchecked.
    """
    case = _Case(
        reference=facts.reference,
        asked_device=asked_device,
        transcript=done.transcript,
        failure=done.failure,
        voiced=done.voiced,
        info=info,
    )
    seen = ((name, gate(case)) for name, gate in _GATES.items())
    return tuple(GateResult(gate=name, outcome=outcome, detail=detail) for name, (outcome, detail) in seen)


def _audio_truncated(case: _Case) -> _Seen:
    if case.failure and case.reason == "truncated":
        return "failed", case.failure.message.partition("; ")[0]
    if accepted := case.warning("truncated"):
        return "failed", accepted
    if case.transcript is None:
        return _without_transcript(case)
    return "passed", f"{case.transcript.duration:.2f} s decoded, to the end"


def _output_truncated(case: _Case) -> _Seen:
    if warned := case.warning("output-truncated"):
        return "failed", warned
    if case.transcript is None:
        return _without_transcript(case)
    if not case.transcript.segments:
        return "not-checked", "nothing was written"
    engine = case.transcript.model.engine
    if engine in _WHISPER_ENGINES:
        return _whisper_windows(case.transcript)
    if engine in _WARNING_ENGINES:
        return "passed", "each text ended by itself"
    return "not-checked", f"{engine} does not tell whether a text reached its limit"


def _whisper_windows(transcript: Transcript) -> _Seen:
    """Whether a window reached the limit with nothing in it from which the next could go on.

    Where there are two times in a row, Whisper goes on from there, and what was cut off is decoded anew.
    """
    unfinished = list(_unfinished(transcript.segments))
    if any(segment.tokens is None or segment.seek is None for segment in transcript.segments):
        return "not-checked", "not every segment has its tokens and its window"
    longest = max(unfinished, key=lambda segment: len(segment.tokens or ()), default=None)
    if longest is None:
        return "passed", "each window of 30 s ended with a time"
    tokens = len(longest.tokens or ())
    seen = f"the window from {(longest.seek or 0) / 100:.2f} s has {tokens} tokens and no time at its end"
    if tokens >= _WHISPER_LIMIT:
        return "failed", f"{seen}: it was cut off, and words are missing"
    if transcript.options.hotwords:
        return "not-checked", f"{seen}; hotwords take tokens from it, and how many is not told"
    return "passed", f"{seen}; it may have {_WHISPER_LIMIT}"


def _unfinished(segments: tuple[Segment, ...]) -> Iterator[Segment]:
    """The segments that are a whole window and do not end with a time."""
    for _, window in groupby(segments, key=lambda segment: segment.seek):
        first, *others = window
        if not others and first.tokens and first.tokens[-1] < _WHISPER_STAMPS:
            yield first


def _repetition_loop(case: _Case) -> _Seen:
    if case.transcript is None:
        return _without_transcript(case)
    loop = find_repetition(case.text)
    if loop is None:
        warned = case.warning("repetition")
        return ("failed", warned) if warned else ("passed", "no loop")
    detail = f'"{loop.phrase[:60]}" is there {loop.count} times in a row'
    said = find_repetition(case.reference or "")
    if said is not None and said.count >= loop.count:
        return "passed", f"{detail}, and in the reference {said.count} times"
    return "failed", detail


def _empty_on_speech(case: _Case) -> _Seen:
    if case.transcript is None:
        return _without_transcript(case)
    if has_words(case.text):
        return "passed", f"{count_words(case.text)} words were written"
    if words := count_words(case.reference):
        return "failed", f"nothing was written; the reference has {words} words, and {case.heard()}"
    if case.reference is not None:
        return "passed", "nothing was written, and the reference is empty"
    if case.voiced is None:
        return "not-checked", "nothing was written; there is no reference, and speech was not looked for"
    return "failed" if case.voiced >= _LEAST_SPEECH_S else "passed", f"nothing was written, and {case.heard()}"


def _text_on_silence(case: _Case) -> _Seen:
    if case.transcript is None:
        return _without_transcript(case)
    words = count_words(case.text)
    if not words:
        return "passed", "nothing was written"
    if silent := case.warning("silent"):
        return "failed", f"{words} words were written: {silent}"
    if case.reference is not None and not has_words(case.reference):
        if (case.voiced or 0.0) >= _LEAST_SPEECH_S:
            return "not-checked", f"the reference is empty, but {case.heard()}"
        return "failed", f"{words} words were written, the reference is empty, and {case.heard()}"
    if shared := len(set(split_words(case.text)) & set(split_words(case.reference or ""))):
        return "passed", f"{shared} different words are in the reference too"
    if case.voiced is None:
        return "not-checked", f"{words} words were written; {case.heard()}"
    return "passed" if case.voiced else "failed", f"{words} words were written, and {case.heard()}"


def _device(case: _Case) -> _Seen:
    used = case.transcript.device if case.transcript else case.info.device if case.info else None
    if used is None:
        return _without_transcript(case)
    detail = f"asked for {case.asked_device}, ran on {used}"
    same = case.asked_device == "auto" or _numbered(case.asked_device) == _numbered(used.resolved)
    return "passed" if same else "failed", detail


def _numbered(device: str) -> str:
    return "cuda:0" if device == "cuda" else device


def _non_finite_input(case: _Case) -> _Seen:
    if case.failure and case.reason == "not-finite":
        return "failed", case.failure.message.partition("; ")[0]
    if case.transcript is None:
        return _without_transcript(case)
    return "passed", "every sample is finite"


def _reference_suspect(case: _Case) -> _Seen:
    if case.reference is None:
        return "not-checked", "there is no reference"
    if case.transcript is None:
        return _without_transcript(case)
    words, duration = count_words(case.reference), case.transcript.duration
    if not words:
        return _empty_reference(case)
    if silent := case.warning("silent"):
        return "failed", f"the reference has {words} words, but {silent}"
    least = min_speech_seconds(case.reference)
    rate = f"{words} words in {duration:.2f} s"
    if least > duration + _CUT_S:
        return "failed", f"{rate}: the fastest speaker on record takes {least:.2f} s"
    return "passed", f"{rate} can be said"


def _empty_reference(case: _Case) -> _Seen:
    if not has_words(case.text):
        return "passed", "the reference is empty, and nothing was written"
    detail = f"the reference is empty, but {count_words(case.text)} words were written, and {case.heard()}"
    if case.voiced is None:
        return "not-checked", detail
    return "failed" if case.voiced >= _LEAST_SPEECH_S else "passed", detail


def _without_transcript(case: _Case) -> _Seen:
    return "not-checked", f"there is no transcript ({case.failure.kind})" if case.failure else "there is no transcript"


_GATES: dict[str, Callable[[_Case], _Seen]] = {
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
"""The names of the gates, in order."""
