"""faster-whisper's model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import attrs

from asrlab import loading
from asrlab.audio import Audio
from asrlab.compat.base import CompatModel
from asrlab.compat.faster_whisper.arguments import ENGINE, LADDER, full_name, to_options
from asrlab.compat.faster_whisper.audio import loaded
from asrlab.compat.faster_whisper.records import (
    Segment,
    TranscriptionInfo,
    info_of,
    segment_of,
    shown,
)
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.engine.transcriber import SegmentStream, Transcriber
from asrlab.errors import OptionError
from asrlab.options import Batching, TranscribeOptions

_NATIVE = "faster_whisper.WhisperModel(...).transcribe"


class WhisperModel(CompatModel):
    """faster-whisper's ``WhisperModel`` over one of asrlab's transcribers.

    Args:
        model_size_or_path: A size, a folder of CTranslate2 weights, ``engine/model``, or a transcriber that is loaded.
        device: ``auto``, ``cpu``, ``cuda``, or what else the engine has, such as ``mps``.
        device_index: Of the GPU.
        compute_type: Number format; ``default`` is as the weights are.
        cpu_threads: 0 leaves them to the engine.
        num_workers: 1; `transcribe_many` of the transcriber has workers.
        download_root: None; ``ASRLAB_CACHE`` says where weights are kept.
        local_files_only: Fetch nothing over the network.
        files: None.
        revision: None; asrlab's catalogue pins one.
        use_auth_token: None.

    Attributes:
        transcriber: What does the work, with all that asrlab knows of it.

    Raises:
        AsrlabError: As ``asrlab.load`` does; also where an argument asks for what asrlab does not have.
    """

    _upstream = "faster_whisper.WhisperModel(...)"

    def __init__(
        self,
        model_size_or_path: str | PathLike[str] | Transcriber,
        device: str = "auto",
        device_index: int | Sequence[int] = 0,
        compute_type: str = "default",
        cpu_threads: int = 0,
        num_workers: int = 1,
        download_root: str | None = None,
        local_files_only: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
        files: Mapping[str, Any] | None = None,
        revision: str | None = None,
        use_auth_token: str | bool | None = None,  # noqa: FBT001 - as above
        **model_kwargs: Any,
    ) -> None:
        others: dict[str, Any] = {"download_root": download_root, "files": files, "revision": revision}
        others |= {"use_auth_token": use_auth_token, "num_workers": None if num_workers == 1 else num_workers}
        others |= {"device_index": None if isinstance(device_index, int) else device_index, **model_kwargs}
        for name, value in others.items():
            if value is not None:
                raise OptionError(
                    f"asrlab has no {name} here; see docs/how-to/from-faster-whisper.md for what there is instead, and "
                    f"faster_whisper.WhisperModel(..., {name}=...) takes it",
                    option=name,
                )
        if isinstance(model_size_or_path, Transcriber):
            self.transcriber = model_size_or_path
            return
        name = full_name(model_size_or_path)
        ours = name.partition("/")[0] == ENGINE
        self.transcriber = loading.load(
            name,
            device=f"{device}:{device_index}" if device == "cuda" and device_index else device,
            compute_type="auto" if compute_type == "default" and not ours else compute_type,
            threads=cpu_threads or None,
            offline=local_files_only,
        )

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
        without_timestamps: bool = False,  # noqa: FBT001, FBT002 - as above
        max_initial_timestamp: float = 1.0,
        word_timestamps: bool = False,  # noqa: FBT001, FBT002 - as above
        prepend_punctuations: str = "\"'“¿([{-",
        append_punctuations: str = "\"'.。,，!！?？:：”)]}、",  # noqa: RUF001 - full-width punctuation is meant
        multilingual: bool = False,  # noqa: FBT001, FBT002 - as above
        vad_filter: bool = False,  # noqa: FBT001, FBT002 - as above
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        max_new_tokens: int | None = None,
        chunk_length: int | None = None,
        clip_timestamps: str | Sequence[float] = "0",
        hallucination_silence_threshold: float | None = None,
        hotwords: str | None = None,
        language_detection_threshold: float | None = 0.5,
        language_detection_segments: int = 1,
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        """The segments, decoded as they are asked for, and what is known before the first of them.

        Arguments are upstream's; ``asrlab.TranscribeOptions`` documents those that all engines share.

        Raises:
            AudioError: The audio cannot be read, is truncated, empty or not finite.
            OptionError: The transcriber cannot honour an argument; the message names the call that can.
        """
        given = {name: value for name, value in locals().items() if name in _DEFAULTS}
        options = to_options(given, _DEFAULTS, self.transcriber, native=_NATIVE)
        heard = loaded(audio)
        stream = self.transcriber.stream(heard, options=options)
        recognition = stream.start()
        info = info_of(recognition, given, duration=heard.duration, english=self.supported_languages == ["en"])
        return shown(_segments(stream, info.language), info.duration, on=log_progress), info

    def detect_language(
        self,
        audio: Any = None,
        features: Any = None,
        vad_filter: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        language_detection_segments: int = 1,
        language_detection_threshold: float = 0.5,
    ) -> tuple[str | None, float, list[tuple[str, float]]]:
        """The likeliest language, its probability, and those of all that were weighed.

        Raises:
            OptionError: *features* were given, which are one engine's own.
        """
        if features is not None or audio is None:
            raise OptionError(
                "the language is detected in audio here; faster_whisper.WhisperModel(...).detect_language(features=...)"
                " takes features",
                option="features",
            )
        _, info = self.transcribe(
            audio,
            vad_filter=vad_filter,
            vad_parameters=vad_parameters,
            language_detection_segments=language_detection_segments,
            language_detection_threshold=language_detection_threshold,
        )
        known = info.all_language_probs
        return info.language, info.language_probability, known or [(info.language or "", info.language_probability)]

    @property
    def supported_languages(self) -> list[str]:
        """The languages that may be asked for; empty where the engine does not say."""
        return list(self.transcriber.info.capabilities.languages or ())


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(WhisperModel.transcribe).parameters.items()
    if name not in ("self", "audio", "log_progress")
}


def _segments(stream: SegmentStream, language: str | None) -> Iterator[Segment]:
    with stream:
        for number, segment in enumerate(stream, start=1):
            yield segment_of(segment, number, language)


_NATIVE_BATCHED = "faster_whisper.BatchedInferencePipeline(...).transcribe"
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
        given = {name: value for name, value in locals().items() if name in _BATCHED_DEFAULTS}
        heeded = {name: value for name, value in given.items() if name not in (*_WITHOUT_EFFECT, "batch_size")}
        options = to_options(heeded, _BATCHED_DEFAULTS, self.model.transcriber, native=_NATIVE_BATCHED)
        if options.engine_options:
            name, _ = options.engine_options[0]
            raise OptionError(f"batches cannot honour {name}; {_NATIVE_BATCHED}(audio, {name}=...) can", option=name)
        heard = loaded(audio)
        opening = self.model.transcriber.stream(_opening(heard), options=options)
        with opening:
            recognition = opening.start()
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


_BATCHED_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(BatchedInferencePipeline.transcribe).parameters.items()
    if name not in ("self", "audio", "log_progress")
}


def _opening(audio: Audio) -> Audio:
    """As much of it as the language is detected in."""
    return attrs.evolve(audio, samples=audio.samples[: _LANGUAGE_S * audio.sample_rate])
