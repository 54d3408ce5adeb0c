"""faster-whisper's batched pipeline, over asrlab's own batches."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import Audio
from asrlab.compat.faster_whisper.asking import LADDER, options_of
from asrlab.compat.faster_whisper.audio import loaded
from asrlab.compat.faster_whisper.info import info_of
from asrlab.compat.faster_whisper.progress import shown
from asrlab.compat.faster_whisper.records import Segment, TranscriptionInfo, segment_of
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.errors import OptionError
from asrlab.options import Batching, TranscribeOptions

if TYPE_CHECKING:
    from asrlab.compat.faster_whisper.transcribe import WhisperModel

__all__ = ["BatchedInferencePipeline"]

_NATIVE = "faster_whisper.BatchedInferencePipeline(...).transcribe"
_LANGUAGE_S = 30
# Upstream takes these and does nothing with them. asrlab leaves out silence and gives times whatever is asked.
_WITHOUT_EFFECT = (
    *("compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold", "condition_on_previous_text"),
    *("prompt_reset_on_temperature", "prefix", "max_initial_timestamp", "hallucination_silence_threshold"),
    *("vad_filter", "without_timestamps"),
)


class BatchedInferencePipeline:
    """faster-whisper's ``BatchedInferencePipeline``: a recording is cut at silence, and pieces are decoded together.

    The cutting, the batches and the check of what they give are asrlab's (``Transcriber.transcribe_many``), so that
    the texts differ from upstream's: what was in doubt is decoded again by itself.

    Attributes:
        model: The model it was made with.
    """

    def __init__(self, model: WhisperModel) -> None:
        self.model = model

    def transcribe(
        self,
        audio: Any,
        language: str | None = None,
        task: str = "transcribe",
        log_progress: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
        beam_size: int = 5,
        best_of: int = 5,
        patience: float = 1,
        length_penalty: float = 1,
        repetition_penalty: float = 1,
        no_repeat_ngram_size: int = 0,
        temperature: float | Sequence[float] = LADDER,
        compression_ratio_threshold: float | None = 2.4,
        log_prob_threshold: float | None = -1.0,
        no_speech_threshold: float | None = 0.6,
        condition_on_previous_text: bool = True,  # noqa: FBT001, FBT002 - as above
        prompt_reset_on_temperature: float = 0.5,
        initial_prompt: str | None = None,
        prefix: str | None = None,
        suppress_blank: bool = True,  # noqa: FBT001, FBT002 - as above
        suppress_tokens: Sequence[int] | None = (-1,),
        without_timestamps: bool = True,  # noqa: FBT001, FBT002 - as above
        max_initial_timestamp: float = 1.0,
        word_timestamps: bool = False,  # noqa: FBT001, FBT002 - as above
        prepend_punctuations: str = "\"'“¿([{-",
        append_punctuations: str = "\"'.。,，!！?？:：”)]}、",  # noqa: RUF001 - full-width punctuation is meant
        multilingual: bool = False,  # noqa: FBT001, FBT002 - as above
        vad_filter: bool = True,  # noqa: FBT001, FBT002 - as above
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        max_new_tokens: int | None = None,
        chunk_length: int | None = None,
        clip_timestamps: Sequence[Mapping[str, float]] | None = None,
        hallucination_silence_threshold: float | None = None,
        batch_size: int = 8,
        hotwords: str | None = None,
        language_detection_threshold: float | None = 0.5,
        language_detection_segments: int = 1,
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        """The segments, decoded when the first is asked for, and what is known before that.

        Arguments are upstream's, those without effect there included.

        Raises:
            AudioError: The audio cannot be read, is truncated, empty or not finite.
            OptionError: The batches cannot honour an argument; the message names the call that can.
        """
        given = {name: value for name, value in locals().items() if name in _DEFAULTS}
        heeded = {name: value for name, value in given.items() if name not in (*_WITHOUT_EFFECT, "batch_size")}
        options = options_of(heeded, _DEFAULTS, self.model.transcriber, native=_NATIVE)
        if options.engine_options:
            name, _ = options.engine_options[0]
            raise OptionError(f"batches cannot honour {name}; {_NATIVE}(audio, {name}=...) can", option=name)
        heard = loaded(audio)
        opening = self.model.transcriber.stream(_opening(heard), options=options)
        with opening:
            recognition = opening.begin()
        english = self.model.supported_languages == ["en"]
        info = info_of(recognition, given, duration=heard.duration, english=english)
        known = attrs.evolve(options, language=options.language or info.language)
        return shown(self._segments(heard, known, batch_size), heard.duration, on=log_progress), info

    def _segments(self, audio: Audio, options: TranscribeOptions, batch_size: int) -> Iterator[Segment]:
        batching = Batching(batch_size=batch_size)
        (outcome,) = self.model.transcriber.transcribe_many([audio], options=options, batching=batching)
        made = outcome.unwrap()
        for number, segment in enumerate(made.segments, start=1):
            yield segment_of(segment, number, made.language)


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(BatchedInferencePipeline.transcribe).parameters.items()
    if name not in ("self", "audio", "log_progress")
}


def _opening(audio: Audio) -> Audio:
    """As much of it as the language is detected in."""
    return attrs.evolve(audio, samples=audio.samples[: _LANGUAGE_S * audio.sample_rate])
