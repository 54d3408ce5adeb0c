"""openai-whisper's low-level interface: the language and the text of one spectrogram."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.compat.whisper.arguments import options_for
from asrlab.compat.whisper.audio import Spectrogram
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop
from asrlab.errors import OptionError
from asrlab.transcript import Segment

if TYPE_CHECKING:
    from asrlab.compat.base import CompatModel
    from asrlab.engine.transcriber import Transcriber

__all__ = ["DecodingOptions", "DecodingResult", "decode", "detect_language"]


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
    if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
        with transcriber.recognizer.using_model() as raw:
            if not raw.is_multilingual:
                raise _monolingual_error(transcriber)
            return raw.detect_language(_tensor(mel), tokenizer)  # type: ignore[no-any-return] # untyped
    languages = transcriber.info.capabilities.languages
    if languages is not None and len(languages) == 1:
        raise _monolingual_error(transcriber)
    with transcriber.stream(_samples(mel, transcriber)) as stream:
        recognition = stream.start()
    if recognition.language is None:
        name = transcriber.info.model.name
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
        return _decode_samples(transcriber, _samples(mel, transcriber), chosen)
    from whisper.decoding import DecodingOptions as UpstreamOptions

    with transcriber.recognizer.using_model() as raw:
        try:
            decoded = raw.decode(_tensor(mel), UpstreamOptions(**vars(chosen)))
        except ValueError as error:  # upstream refuses this combination of options
            raise OptionError(f"openai-whisper cannot decode with these options: {error}") from error
    if isinstance(decoded, list):
        return [DecodingResult(**vars(result)) for result in decoded]
    return DecodingResult(**vars(decoded))


def _monolingual_error(transcriber: Transcriber) -> OptionError:
    return OptionError(
        f"{transcriber.info.model.name} knows one language and cannot detect languages; load a multilingual model",
        option="language",
    )


def _tensor(mel: Any) -> Any:
    return mel.tensor if isinstance(mel, Spectrogram) else mel


def _samples(mel: Any, transcriber: Transcriber) -> Audio:
    if not isinstance(mel, Spectrogram):
        raise OptionError(
            f"{transcriber.info.model.name} needs samples, which this {type(mel).__name__} does not contain; give the "
            "result of asrlab.compat.whisper.log_mel_spectrogram",
            option="mel",
        )
    return Audio(samples=mel.samples, sample_rate=SAMPLE_RATE)


def _decode_samples(transcriber: Transcriber, samples: Audio, chosen: DecodingOptions) -> DecodingResult:
    transcript = transcriber.transcribe(samples, options=options_for(transcriber, _as_arguments(chosen)))
    segments = transcript.segments
    return DecodingResult(
        audio_features=None,
        language=transcript.language,
        tokens=[token for segment in segments for token in segment.tokens or ()],
        text=transcript.text.strip(),
        avg_logprob=_common_value(segments, "avg_logprob"),
        no_speech_prob=_common_value(segments, "no_speech_prob"),
        temperature=_common_value(segments, "temperature"),
        compression_ratio=_common_value(segments, "compression_ratio"),
    )


def _as_arguments(chosen: DecodingOptions) -> Mapping[str, Any]:
    """Return the arguments of ``transcribe``, which has another name for the prompt, and retries by default."""
    fields = {name: value for name, value in vars(chosen).items() if name not in ("prompt", "temperature")}
    if chosen.temperature:
        fields["temperature"] = chosen.temperature
    return fields if chosen.prompt is None else {**fields, "initial_prompt": chosen.prompt}


def _common_value(segments: Iterable[Segment], name: str) -> float:
    """Return the value that all segments share, as segments of one window do; NaN if they differ."""
    values = {getattr(segment, name) for segment in segments}
    value = values.pop() if len(values) == 1 else None
    return math.nan if value is None else float(value)
