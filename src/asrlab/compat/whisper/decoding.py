"""openai-whisper's lower level: the language and the text of one spectrogram."""

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
    from asrlab.compat.whisper.model import Model
    from asrlab.engine.transcriber import Transcriber

__all__ = ["DecodingOptions", "DecodingResult", "decode", "detect_language"]


@dataclasses.dataclass(frozen=True)  # as upstream's, for dataclasses.replace and by position
class DecodingOptions:
    """How a spectrogram is decoded, with upstream's names and defaults.

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
    """What a spectrogram was decoded to; not a number, or None, is what the engine does not tell.

    Attributes:
        audio_features: The encoder's, of openai-whisper only.
        language: The language given or detected.
        language_probs: Of all languages, where it was detected by openai-whisper.
        tokens: The model's token ids.
        text: Without surrounding spaces.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        no_speech_prob: In [0, 1].
        temperature: Of the decoding.
        compression_ratio: A measure of repetition.
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


def detect_language(model: Model, mel: Any, tokenizer: Any = None) -> tuple[Any, Any]:
    """The token of the likeliest language, and the probability of each.

    An engine other than openai-whisper has no such token, for which None stands, and may tell only the likeliest
    language; its probability is not a number where the engine does not tell it.

    Args:
        model: Loaded.
        mel: A `Spectrogram`, or for openai-whisper a tensor of one or several.
        tokenizer: openai-whisper's, for openai-whisper.

    Raises:
        OptionError: The model knows one language, does not tell the language, or *mel* has no samples.
    """
    transcriber = model.transcriber
    if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
        with transcriber.recognizer.using_model() as raw:
            if not raw.is_multilingual:
                raise _knows_one(transcriber)
            return raw.detect_language(_tensor(mel), tokenizer)  # type: ignore[no-any-return] # has no types
    known = transcriber.info.capabilities.languages
    if known is not None and len(known) == 1:
        raise _knows_one(transcriber)
    with transcriber.stream(_samples(mel, transcriber)) as stream:
        found = stream.start()
    if found.language is None:
        name = transcriber.info.model.name
        raise OptionError(f"{name} does not tell the language; give it with language=", option="language")
    probability = math.nan if found.language_probability is None else found.language_probability
    return None, dict(found.language_probabilities or ()) or {found.language: probability}


def decode(model: Model, mel: Any, options: DecodingOptions | None = None, **given: Any) -> Any:
    """Decode a spectrogram of at most 30 s, or for openai-whisper a tensor of several, which gives a list.

    Raises:
        OptionError: The model cannot honour an option, or *mel* has no samples.
    """
    chosen = dataclasses.replace(options or DecodingOptions(), **given)
    transcriber = model.transcriber
    if not isinstance(transcriber.recognizer, SupportsUpstreamLoop):
        return _decode_samples(transcriber, _samples(mel, transcriber), chosen)
    from whisper.decoding import DecodingOptions as Upstreams

    with transcriber.recognizer.using_model() as raw:
        try:
            found = raw.decode(_tensor(mel), Upstreams(**vars(chosen)))
        except ValueError as error:  # upstream's word for options that do not go together
            raise OptionError(f"openai-whisper cannot decode with these options: {error}") from error
    if isinstance(found, list):
        return [DecodingResult(**vars(each)) for each in found]
    return DecodingResult(**vars(found))


def _knows_one(transcriber: Transcriber) -> OptionError:
    return OptionError(
        f"{transcriber.info.model.name} knows one language and cannot detect others; load a multilingual model",
        option="language",
    )


def _tensor(mel: Any) -> Any:
    return mel.tensor if isinstance(mel, Spectrogram) else mel


def _samples(mel: Any, transcriber: Transcriber) -> Audio:
    if not isinstance(mel, Spectrogram):
        raise OptionError(
            f"{transcriber.info.model.name} is given samples, and this {type(mel).__name__} does not hold them; give "
            "what asrlab.compat.whisper.log_mel_spectrogram gives",
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
        avg_logprob=_agreed(segments, "avg_logprob"),
        no_speech_prob=_agreed(segments, "no_speech_prob"),
        temperature=_agreed(segments, "temperature"),
        compression_ratio=_agreed(segments, "compression_ratio"),
    )


def _as_arguments(chosen: DecodingOptions) -> Mapping[str, Any]:
    """For ``transcribe``, whose prompt has another name, and whose temperature is a ladder by default."""
    fields = {name: value for name, value in vars(chosen).items() if name not in ("prompt", "temperature")}
    if chosen.temperature:
        fields["temperature"] = chosen.temperature
    return fields if chosen.prompt is None else {**fields, "initial_prompt": chosen.prompt}


def _agreed(segments: Iterable[Segment], name: str) -> float:
    """What all segments say, as those of one window do."""
    said = {getattr(segment, name) for segment in segments}
    value = said.pop() if len(said) == 1 else None
    return math.nan if value is None else float(value)
