"""The keyword arguments of openai-whisper's ``transcribe``, and their conversion to asrlab's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

from asrlab.compat.whisper.tokenizer import language_code
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions


class Arguments(TypedDict, total=False):
    """The arguments of ``transcribe`` except the audio, by upstream's names."""

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
_OTHER_DEFAULTS = {"clip_timestamps": ((), (0,)), "suppress_tokens": ((-1,),)}
_COMMON = ("language", "task", "temperature", "word_timestamps", "beam_size", "initial_prompt")
_NOT_DECODING = ("verbose", "fp16")  # used by transcription.py
_FASTER_WHISPER_NAMES = {"logprob_threshold": "log_prob_threshold", "sample_len": "max_new_tokens"}


def changed_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that differ from upstream's defaults.

    Raises:
        OptionError: If upstream has no such argument.
    """
    for name in given:
        if name not in DEFAULTS:
            near = get_close_matches(name, DEFAULTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(DEFAULTS)}"
            message = f"whisper's transcribe has no argument {name!r}; {hint}"
            raise OptionError(message, option=name, supported=tuple(DEFAULTS))
    return {name: value for name, value in given.items() if not _is_default(name, value)}


def _is_default(name: str, value: Any) -> bool:
    plain = tuple(value) if isinstance(value, list | tuple) else value
    return bool(plain == DEFAULTS[name]) or plain in _OTHER_DEFAULTS.get(name, ())


def options_for(transcriber: Transcriber, given: Mapping[str, Any]) -> TranscribeOptions:
    """Convert arguments to options. Arguments at upstream's defaults are left to the engine.

    Raises:
        OptionError: If the transcriber cannot honour an argument; the message names upstream's call.
    """
    requested = changed_arguments(given)
    if requested.pop("prompt", None) is not None:
        raise OptionError("upstream's transcribe ignores prompt=; use initial_prompt=", option="prompt")
    capabilities = transcriber.info.capabilities
    common = {name: requested.pop(name) for name in _COMMON if name in requested}
    common["language"] = language_code(common.get("language"))
    if isinstance(common.get("initial_prompt"), str):
        common["initial_prompt"] = TextToShorten(common["initial_prompt"])
    names = {name: _engine_name(name, capabilities.engine_options) for name in requested if name not in _NOT_DECODING}
    engine_options = {names[name]: _convert_value(name, requested[name]) for name in names}
    try:
        options = TranscribeOptions.of(None, {**common, "engine_options": engine_options})
        capabilities.check(options, model=transcriber.info.model.name)
    except OptionError as error:
        option = next((name for name in names if names[name] == error.option), error.option)
        message = _name_upstream_call(error.message, option, given)
        raise OptionError(message, option=option, supported=error.supported) from error
    transcriber.recognizer.check_options(options)
    return options


def _convert_value(name: str, value: Any) -> Any:
    """Return token ids as numbers, which all engines accept, and sequences as tuples."""
    if name == "suppress_tokens" and isinstance(value, str):
        parts = value.split(",") if value else []
        return tuple(map(int, parts)) if all(part.strip("- ").isdigit() for part in parts) else value
    if isinstance(value, str):
        return TextToShorten(value) if name == "prefix" else value
    return tuple(value) if isinstance(value, Iterable) else value


def _engine_name(name: str, known: Sequence[str]) -> str:
    other = _FASTER_WHISPER_NAMES.get(name, name)
    return other if name not in known and other in known else name


def _name_upstream_call(message: str, name: str, given: Mapping[str, Any]) -> str:
    if name not in given or name not in DEFAULTS:
        return message
    return f"{message}; or use openai-whisper: whisper.load_model('base').transcribe(audio, {name}={given[name]!r})"
