"""The keyword arguments of openai-whisper's ``transcribe``, and what they are in asrlab's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

from asrlab.compat.whisper.tokenizer import language_code
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions

__all__ = ["DEFAULTS", "Arguments", "changed", "options_for"]


class Arguments(TypedDict, total=False):
    """What ``transcribe`` takes besides the audio, by upstream's names."""

    verbose: bool | None
    temperature: float | tuple[float, ...] | list[float]
    compression_ratio_threshold: float | None
    logprob_threshold: float | None
    no_speech_threshold: float | None
    condition_on_previous_text: bool
    initial_prompt: str | None
    carry_initial_prompt: bool
    word_timestamps: bool
    prepend_punctuations: str
    append_punctuations: str
    clip_timestamps: str | Sequence[float]
    hallucination_silence_threshold: float | None
    task: Literal["transcribe", "translate"]
    language: str | None
    sample_len: int | None
    best_of: int | None
    beam_size: int | None
    patience: float | None
    length_penalty: float | None
    prompt: str | Sequence[int] | None
    prefix: str | Sequence[int] | None
    suppress_tokens: str | Iterable[int] | None
    suppress_blank: bool
    without_timestamps: bool
    max_initial_timestamp: float | None
    fp16: bool


# Source: openai-whisper 20250625, `transcribe` and `DecodingOptions`.
DEFAULTS: Mapping[str, Any] = {
    "verbose": None,
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 2.4,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "condition_on_previous_text": True,
    "initial_prompt": None,
    "carry_initial_prompt": False,
    "word_timestamps": False,
    "prepend_punctuations": "\"'“¿([{-",
    "append_punctuations": "\"'.。,，!！?？:：”)]}、",  # noqa: RUF001 - full-width punctuation is meant
    "clip_timestamps": "0",
    "hallucination_silence_threshold": None,
    "task": "transcribe",
    "language": None,
    "sample_len": None,
    "best_of": None,
    "beam_size": None,
    "patience": None,
    "length_penalty": None,
    "prompt": None,
    "prefix": None,
    "suppress_tokens": "-1",
    "suppress_blank": True,
    "without_timestamps": False,
    "max_initial_timestamp": 1.0,
    "fp16": True,
}
_SAME = {"clip_timestamps": ((), (0,)), "suppress_tokens": ((-1,),)}  # what else means the default
_OWN = ("language", "task", "temperature", "word_timestamps", "beam_size", "initial_prompt")
_NOT_DECODING = ("verbose", "fp16")  # see transcription.py
# what faster-whisper calls the same
_OTHER_NAMES = {"logprob_threshold": "log_prob_threshold", "sample_len": "max_new_tokens"}


def changed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of *given* that are not upstream's default.

    Raises:
        OptionError: Upstream has no such argument.
    """
    for name in given:
        if name not in DEFAULTS:
            near = get_close_matches(name, DEFAULTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DEFAULTS)}"
            message = f"whisper's transcribe takes no {name!r}; {hint}"
            raise OptionError(message, option=name, supported=tuple(DEFAULTS))
    return {name: value for name, value in given.items() if not _is_default(name, value)}


def _is_default(name: str, value: Any) -> bool:
    plain = tuple(value) if isinstance(value, list | tuple) else value
    return bool(plain == DEFAULTS[name]) or plain in _SAME.get(name, ())


def options_for(transcriber: Transcriber, given: Mapping[str, Any]) -> TranscribeOptions:
    """What *given* is in asrlab's options. Upstream's defaults are left out: they are the engine's own to choose.

    Raises:
        OptionError: The transcriber cannot honour one of them; naming the call of upstream's that can.
    """
    asked = changed(given)
    if asked.pop("prompt", None) is not None:
        raise OptionError(
            "upstream's transcribe puts its own prompt in the place of prompt=; give initial_prompt=", option="prompt"
        )
    can = transcriber.info.capabilities
    own = {name: asked.pop(name) for name in _OWN if name in asked}
    own["language"] = language_code(own.get("language"))
    if isinstance(own.get("initial_prompt"), str):
        own["initial_prompt"] = TextToShorten(own["initial_prompt"])
    rest = {name: value for name, value in asked.items() if name not in _NOT_DECODING}
    engine = {_named(name, can.engine_options): _value(name, value) for name, value in rest.items()}
    try:
        options = TranscribeOptions.of(None, {**own, "engine_options": engine})
        can.check(options, model=transcriber.info.model.name)
    except OptionError as error:
        option = next((name for name in rest if _named(name, can.engine_options) == error.option), error.option)
        raise OptionError(_pointed(error, option, given), option=option, supported=error.supported) from error
    transcriber.recognizer.check_options(options)
    return options


def _value(name: str, value: Any) -> Any:
    """Token ids as numbers, which all engines take; sequences as tuples."""
    if name == "suppress_tokens" and isinstance(value, str):
        parts = value.split(",") if value else []
        return tuple(map(int, parts)) if all(part.strip("- ").isdigit() for part in parts) else value
    if isinstance(value, str):
        return TextToShorten(value) if name == "prefix" else value
    return tuple(value) if isinstance(value, Iterable) else value


def _named(name: str, known: Sequence[str]) -> str:
    other = _OTHER_NAMES.get(name, name)
    return other if name not in known and other in known else name


def _pointed(error: OptionError, name: str, given: Mapping[str, Any]) -> str:
    if name not in given or name not in DEFAULTS:
        return error.message
    call = f"whisper.load_model('base').transcribe(audio, {name}={given[name]!r})"
    return f"{error.message}; the call of openai-whisper's own that takes it: {call}"
