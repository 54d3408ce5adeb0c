"""openai-whisper's arguments and options, and its low-level interface: the language and text of one spectrogram."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, runtime_checkable

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.compat import CompatModel, drop_ignored, warn_ignored
from asrlab.compat.delegation import delegate_missing
from asrlab.compat.whisper.audio import Spectrogram, to_tensor
from asrlab.compat.whisper.tokenizer import language_code
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions
from asrlab.transcript import Transcript
from asrlab.upstream import import_upstream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.engine.contract import Recognition

__all__ = ["DecodingOptions", "DecodingResult", "decode", "detect_language"]


class WindowDecoder(Protocol):
    """One transcription, window by window.

    Attributes:
        language: The language, given or detected.
        frames: Length of the recording in frames of 10 ms.
        seek: The frame up to which the recording has been transcribed.
    """

    language: str
    frames: int
    seek: int

    def segments(self) -> Iterator[dict[str, Any]]:
        """Yield openai-whisper's dictionaries."""

    def to_recognition(self, segments: Iterable[dict[str, Any]]) -> Recognition:
        """Return the language and the segments that are not blanked."""

    @property
    def text(self) -> str:
        """The whole text."""


@runtime_checkable
class SupportsUpstreamLoop(Protocol):
    """A recognizer over openai-whisper itself."""

    @property
    def model(self) -> Any:
        """openai-whisper's model, a ``torch.nn.Module``."""

    def window_decoder(
        self, samples: NDArray[np.float32], options: TranscribeOptions, *, half: bool | None
    ) -> WindowDecoder:
        """Start the loop over the windows of a recording."""

    def using_model(self) -> AbstractContextManager[Any]:
        """Lend openai-whisper's model to this thread alone."""


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


@dataclasses.dataclass(frozen=True)  # as upstream's, for dataclasses.replace and positional arguments
class DecodingOptions:
    """The options for decoding a spectrogram, with upstream's names and defaults.

    Source: openai-whisper 20250625, ``DecodingOptions``.
    """

    task: str = "transcribe"
    language: str | None = None
    temperature: float = 0.0
    sample_len: int | None = None
    best_of: int | None = None
    beam_size: int | None = None
    patience: float | None = None
    length_penalty: float | None = None
    prompt: str | list[int] | None = None
    prefix: str | list[int] | None = None
    suppress_tokens: str | Iterable[int] | None = "-1"
    suppress_blank: bool = True
    without_timestamps: bool = False
    max_initial_timestamp: float | None = 1.0
    fp16: bool = True


# Source: openai-whisper 20250625, `transcribe`.
DEFAULTS: Mapping[str, Any] = {
    "verbose": None,
    **vars(DecodingOptions()),
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
}
_OTHER_DEFAULTS = {"clip_timestamps": ((), (0,)), "suppress_tokens": ((-1,),)}
_COMMON = ("language", "task", "temperature", "word_timestamps", "beam_size", "initial_prompt")
_FASTER_WHISPER_NAMES = {"logprob_threshold": "log_prob_threshold", "sample_len": "max_new_tokens"}


def _changed_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that differ from upstream's defaults; raise ``OptionError`` for those it does not have."""
    changed = {}
    for name, value in given.items():
        if name not in DEFAULTS:
            near = get_close_matches(name, DEFAULTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(DEFAULTS)}"
            message = f"whisper's transcribe has no argument {name!r}; {hint}"
            raise OptionError(message, option=name, supported=tuple(DEFAULTS))
        plain = tuple(value) if isinstance(value, list | tuple) else value
        if plain not in (DEFAULTS[name], *_OTHER_DEFAULTS.get(name, ())):
            changed[name] = value
    return changed


def options_for(transcriber: Transcriber, given: Mapping[str, Any]) -> TranscribeOptions:
    """Convert arguments to options. Arguments at upstream's defaults are left to the engine.

    Raises:
        OptionError: If the transcriber cannot honour an argument; the message names upstream's call.
    """
    requested = _changed_arguments(given)
    if requested.pop("prompt", None) is not None:
        warn_ignored("prompt", "transcribe has initial_prompt=")
    capabilities = transcriber.info.capabilities
    requested["language"] = language_code(requested.get("language"))
    drop_ignored(requested, capabilities.languages)
    common = {name: requested.pop(name) for name in _COMMON if name in requested}
    if isinstance(common.get("initial_prompt"), str):
        common["initial_prompt"] = TextToShorten(common["initial_prompt"])
    known, names = capabilities.engine_options, {}
    for name in (name for name in requested if name not in ("verbose", "fp16")):  # which transcribe itself uses
        other = _FASTER_WHISPER_NAMES.get(name, name)
        names[name] = other if name not in known and other in known else name
    engine_options = {names[name]: _convert_value(name, requested[name]) for name in names}
    try:
        options = TranscribeOptions.of(None, {**common, "engine_options": engine_options})
        capabilities.check(options, model=transcriber.info.model.name)
    except OptionError as error:
        option = next((name for name in names if names[name] == error.option), error.option)
        message = error.message
        if option in given:
            upstream_call = f"whisper.load_model('base').transcribe(audio, {option}={given[option]!r})"
            message = f"{message}; or use openai-whisper: {upstream_call}"
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


@dataclasses.dataclass(frozen=True)
class DecodingResult:
    """The decoded text of a spectrogram. Values that the engine does not report are NaN or None.

    Attributes:
        audio_features: Output of the encoder, of openai-whisper only.
        language: The language, given or detected.
        language_probs: Probabilities of all languages, if openai-whisper detected the language.
        tokens: The model's token ids.
        text: The text, stripped of surrounding spaces.
        avg_logprob: Mean natural logarithm of the token probabilities.
        no_speech_prob: Probability that there is no speech, in [0, 1].
        temperature: Sampling temperature.
        compression_ratio: Length of the text over its compressed length, a measure of repetition.
    """

    audio_features: Any
    language: str | None
    language_probs: Mapping[str, float] | None = None
    tokens: list[int] = dataclasses.field(default_factory=list)
    text: str = ""
    avg_logprob: float = math.nan
    no_speech_prob: float = math.nan
    temperature: float = math.nan
    compression_ratio: float = math.nan


def detect_language(model: CompatModel, mel: Any, tokenizer: Any = None) -> tuple[Any, Any]:
    """Return the token of the likeliest language, and the probability of each language.

    The token is None for an engine other than openai-whisper. Such an engine may report only the likeliest language;
    its probability is NaN if the engine does not report it.

    Args:
        model: The loaded model.
        mel: A `Spectrogram`, or for openai-whisper a tensor of one or several.
        tokenizer: A tokenizer of openai-whisper, for openai-whisper.

    Raises:
        OptionError: If the model knows one language, does not report the language, or *mel* has no samples.
    """
    transcriber = model.transcriber
    name, languages = transcriber.info.model.name, transcriber.info.capabilities.languages
    if languages is not None and len(languages) == 1:
        message = f"{name} knows one language and cannot detect languages; load a multilingual model"
        raise OptionError(message, option="language")
    if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
        with transcriber.recognizer.using_model() as raw:
            return raw.detect_language(to_tensor(mel), tokenizer)  # type: ignore[no-any-return] # untyped
    with transcriber.stream(_samples(mel, transcriber)) as stream:
        recognition = stream.start()
    if recognition.language is None:
        raise OptionError(f"{name} does not report the language; set it with language=", option="language")
    probability = math.nan if recognition.language_probability is None else recognition.language_probability
    return None, dict(recognition.language_probabilities or ()) or {recognition.language: probability}


def decode(model: CompatModel, mel: Any, options: DecodingOptions | None = None, **given: Any) -> Any:
    """Decode a spectrogram of at most 30 s, or for openai-whisper a tensor of several, into a list.

    Raises:
        OptionError: If the model cannot honour an option, or *mel* has no samples.
    """
    chosen = dataclasses.replace(options or DecodingOptions(), **given)
    transcriber = model.transcriber
    if not isinstance(transcriber.recognizer, SupportsUpstreamLoop):
        samples = _samples(mel, transcriber)
        return _join(transcriber.transcribe(samples, options=options_for(transcriber, _as_arguments(chosen))))
    with transcriber.recognizer.using_model() as raw:
        try:
            decoded = raw.decode(to_tensor(mel), import_upstream("whisper.decoding").DecodingOptions(**vars(chosen)))
        except ValueError as error:  # upstream refuses this combination of options
            raise OptionError(f"openai-whisper cannot decode with these options: {error}") from error
    if isinstance(decoded, list):
        return [DecodingResult(**vars(result)) for result in decoded]
    return DecodingResult(**vars(decoded))


def _samples(mel: Any, transcriber: Transcriber) -> Audio:
    if not isinstance(mel, Spectrogram):
        raise OptionError(
            f"{transcriber.info.model.name} needs samples, which this {type(mel).__name__} does not contain; give the "
            "result of asrlab.compat.whisper.log_mel_spectrogram",
            option="mel",
        )
    return Audio(samples=mel.samples, sample_rate=SAMPLE_RATE)


def _as_arguments(chosen: DecodingOptions) -> Mapping[str, Any]:
    """Return the arguments of ``transcribe``, which has another name for the prompt, and retries by default."""
    fields = {name: value for name, value in vars(chosen).items() if name not in ("prompt", "temperature")}
    if chosen.temperature:
        fields["temperature"] = chosen.temperature
    return fields if chosen.prompt is None else {**fields, "initial_prompt": chosen.prompt}


def _join(transcript: Transcript) -> DecodingResult:
    """Join the segments; scores on which they differ, unlike those of one window, are NaN."""
    scores: dict[str, Any] = {}
    for name in ("avg_logprob", "no_speech_prob", "temperature", "compression_ratio"):
        values = {getattr(segment, name) for segment in transcript.segments}
        if len(values) == 1 and None not in values:
            scores[name] = float(values.pop())
    tokens = [token for segment in transcript.segments for token in segment.tokens or ()]
    return DecodingResult(None, transcript.language, tokens=tokens, text=transcript.text.strip(), **scores)


__getattr__ = delegate_missing(__name__)
