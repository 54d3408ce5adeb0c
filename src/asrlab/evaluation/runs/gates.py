"""Quality gates: automatic checks of each outcome for faults that nobody would notice.

A gate has passed only if it had the facts that it needs. Otherwise its result is ``not-checked``, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Literal

import attrs

from asrlab.device import Device
from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics.normalizers import remove_brackets, visible_text
from asrlab.evaluation.runs.executor import ItemFinished
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.languages import HAN_OR_KANA, SOUTHEAST_ASIAN
from asrlab.transcript import Transcript
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
MAX_WORDS_PER_S = 11.0
"""Source: 655 words a minute, Sean Shannon in 1995, the fastest in the Guinness World Records."""
MAX_SYLLABLES_PER_S = 20.0
"""For scripts without spaces. Source: the fastest rap that is claimed, 852 syllables in 42 s."""
_LETTERS_PER_SYLLABLE = 4

type _Result = tuple[Literal["passed", "failed", "not-checked"], str]


@attrs.frozen(kw_only=True)
class _GateInput:
    """The facts of a transcribed utterance that the gates examine; *speech_s* is None if speech was not measured."""

    transcript: Transcript
    reference: str | None
    speech_s: float | None
    requested_device: str

    @property
    def text(self) -> str:
        return self.transcript.text

    def warning(self, code: str) -> str:
        """Return the message of the first warning with *code*; empty if there is none."""
        return next((warning.message for warning in self.transcript.warnings if warning.code == code), "")

    @property
    def speech(self) -> str:
        """The measured speech in words."""
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
    if finished.transcript is None:
        device = info and info.device
        results = {name: _check_failed(name, finished.failure, facts.reference) for name in _GATES}
        results |= {"device": _check_device(requested_device, device)} if device else {}
    else:
        given = _GateInput(
            transcript=finished.transcript,
            reference=facts.reference,
            speech_s=finished.speech_s,
            requested_device=requested_device,
        )
        results = {name: gate(given) for name, gate in _GATES.items()}
    return tuple(GateResult(gate=name, outcome=outcome, detail=detail) for name, (outcome, detail) in results.items())


def _check_failed(name: str, failure: Failure | None, reference: str | None) -> _Result:
    """Return the result of a gate for an utterance without a transcript."""
    if failure and failure.reason == _FAILURE_REASONS.get(name):
        return "failed", failure.message.partition("; ")[0]
    if name == "reference-suspect" and reference is None:
        return "not-checked", "there is no reference"
    return "not-checked", "there is no transcript" + (f" ({failure.kind})" if failure else "")


def _audio_truncated(given: _GateInput) -> _Result:
    if warning := given.warning("truncated"):
        return "failed", warning
    return "passed", f"{given.transcript.duration:.2f} s decoded, to the end"


def _output_truncated(given: _GateInput) -> _Result:
    if warning := given.warning("output-truncated"):
        return "failed", warning
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
    longest, longest_seek = 0, 0
    for seek, window in groupby(transcript.segments, key=lambda segment: segment.seek):
        first, *others = window
        # a segment that fills its window and does not end with a timestamp
        if not others and first.tokens and first.tokens[-1] < _MIN_TIMESTAMP_TOKEN and len(first.tokens) > longest:
            longest, longest_seek = len(first.tokens), seek or 0
    if not longest:
        return "passed", "each window of 30 s ended with a timestamp"
    detail = f"the window from {longest_seek / 100:.2f} s has {longest} tokens and no timestamp at its end"
    if longest >= _WHISPER_TOKEN_LIMIT:
        return "failed", f"{detail}: it was cut off, and words are missing"
    if transcript.options.hotwords:
        return "not-checked", f"{detail}; hotwords lower its limit by an unknown number of tokens"
    return "passed", f"{detail}; its limit is {_WHISPER_TOKEN_LIMIT}"


def _repetition_loop(given: _GateInput) -> _Result:
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
    if n_words := count_words(given.text):
        return "passed", f"{n_words} words were recognized"
    if n_words := count_words(given.reference):
        return "failed", f"no words were recognized; the reference has {n_words} words, and {given.speech}"
    if given.reference is not None:
        return "passed", "no words were recognized, and the reference is empty"
    if given.speech_s is None:
        return "not-checked", "no words were recognized; there is no reference, and speech was not measured"
    return _fail_if(given.speech_s >= _MIN_SPEECH_S), f"no words were recognized, and {given.speech}"


def _text_on_silence(given: _GateInput) -> _Result:
    n_words = count_words(given.text)
    if not n_words:
        return "passed", "no words were recognized"
    if silent := given.warning("silent"):
        return "failed", f"{n_words} words were recognized: {silent}"
    if given.reference is not None and not has_words(given.reference):
        if (given.speech_s or 0.0) >= _MIN_SPEECH_S:
            return "not-checked", f"the reference is empty, but {given.speech}"
        return "failed", f"{n_words} words were recognized, the reference is empty, and {given.speech}"
    if n_shared := len(set(split_words(given.text)) & set(split_words(given.reference or ""))):
        return "passed", f"{n_shared} different words are also in the reference"
    detail = f"{n_words} words were recognized, and {given.speech}"
    return "not-checked" if given.speech_s is None else _fail_if(not given.speech_s), detail


def _device(given: _GateInput) -> _Result:
    return _check_device(given.requested_device, given.transcript.device)


def _check_device(requested: str, used: Device) -> _Result:
    resolved = "cuda:0" if used.resolved == "cuda" else used.resolved
    differs = requested != "auto" and ("cuda:0" if requested == "cuda" else requested) != resolved
    return _fail_if(differs), f"asked for {requested}, ran on {used}"


def _non_finite_input(_given: _GateInput) -> _Result:
    return "passed", "every sample is finite"


def _reference_suspect(given: _GateInput) -> _Result:
    if given.reference is None:
        return "not-checked", "there is no reference"
    n_words, duration = count_words(given.reference), given.transcript.duration
    if not n_words:
        n_words = count_words(given.text)
        if not n_words:
            return "passed", "the reference is empty, and no words were recognized"
        detail = f"the reference is empty, but {n_words} words were recognized, and {given.speech}"
        return "not-checked" if given.speech_s is None else _fail_if(given.speech_s >= _MIN_SPEECH_S), detail
    if silent := given.warning("silent"):
        return "failed", f"the reference has {n_words} words, but {silent}"
    min_s = min_speech_seconds(given.reference)
    rate = f"{n_words} words in {duration:.2f} s"
    if min_s > duration + _EDGE_TOLERANCE_S:
        return "failed", f"{rate}: the fastest speaker on record takes {min_s:.2f} s"
    return "passed", f"{rate} can be spoken"


def _fail_if(condition: bool) -> Literal["passed", "failed"]:  # noqa: FBT001 - reads as a sentence
    return "failed" if condition else "passed"


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
_FAILURE_REASONS = {"audio-truncated": "truncated", "non-finite-input": "not-finite"}
"""Reason of an ``AudioError`` that fails a gate."""
GATES = tuple(_GATES)
"""Names of the gates, in order."""


def split_words(text: str) -> Iterator[str]:
    """Yield the words of *text*, and each character of Han and kana; skip pure punctuation and bracketed text."""
    for token in remove_brackets(visible_text(text)).casefold().split():
        if HAN_OR_KANA.search(token):
            yield from (character for character in token if character.isalnum())
        elif word := "".join(character for character in token if character.isalnum()):
            yield word


def has_words(text: str | None) -> bool:
    """Return whether *text* has a word outside of brackets."""
    return next(split_words(text or ""), None) is not None


def count_words(text: str | None) -> int:
    """Return the number of words in *text*; 0 for None."""
    return sum(1 for _ in split_words(text or ""))


def min_speech_seconds(text: str) -> float:
    """Return the seconds that the fastest speaker on record needs for *text*."""
    seconds = 0.0
    for word in split_words(text):
        if SOUTHEAST_ASIAN.search(word):
            seconds += len(word) / _LETTERS_PER_SYLLABLE / MAX_SYLLABLES_PER_S
        else:
            seconds += 1 / (MAX_SYLLABLES_PER_S if HAN_OR_KANA.search(word) else MAX_WORDS_PER_S)
    return seconds
