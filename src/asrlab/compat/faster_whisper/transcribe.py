"""faster-whisper's ``WhisperModel`` and ``BatchedInferencePipeline``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import attrs

from asrlab.audio import Audio
from asrlab.compat import CompatModel, load_transcriber, warn_ignored, weights_in
from asrlab.compat.delegation import delegate_missing
from asrlab.compat.faster_whisper.audio import load_input
from asrlab.compat.faster_whisper.conversion import (
    TEMPERATURES,
    Segment,
    TranscriptionInfo,
    TranscriptionOptions,
    Word,
    convert_info,
    convert_segment,
    to_options,
    with_batched_filter,
    with_progress,
)
from asrlab.compat.faster_whisper.utils import ENGINE, resolve_model_name
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.engine.transcriber import SegmentStream, Transcriber
from asrlab.errors import OptionError
from asrlab.options import Batching, TranscribeOptions

__all__ = [
    "BatchedInferencePipeline",
    "Segment",
    "TranscriptionInfo",
    "TranscriptionOptions",
    "WhisperModel",
    "Word",
]

_UPSTREAM_CALL = "faster_whisper.WhisperModel(...).transcribe"
_UPSTREAM_BATCHED_CALL = "faster_whisper.BatchedInferencePipeline(...).transcribe"
_IGNORED_AT_LOADING = "asrlab chooses threads, batches and kernels itself; its weights need no token"
_LANGUAGE_DETECTION_S = 30
# Arguments that upstream ignores. asrlab removes silence and returns times in any case.
_IGNORED = (
    *("compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold", "condition_on_previous_text"),
    *("prompt_reset_on_temperature", "prefix", "max_initial_timestamp", "hallucination_silence_threshold"),
    *("vad_filter", "vad_parameters", "without_timestamps"),
)


class WhisperModel(CompatModel):
    """A transcriber with the interface of faster-whisper's ``WhisperModel``.

    Args:
        model_size_or_path: A size, a folder of CTranslate2 weights, ``engine/model``, or a loaded transcriber.
        device: ``auto``, ``cpu``, ``cuda``, or another device of the engine, such as ``mps``.
        device_index: Index of the GPU, or a list of one.
        compute_type: Number format; ``default`` is the format of the weights.
        cpu_threads: CPU threads; 0 lets the engine choose.
        num_workers: Ignored; ``transcribe_many`` of the transcriber has workers.
        download_root: Folder of the weights, also for downloads; None is asrlab's store.
        local_files_only: Never use the network.
        files: Must be None.
        revision: Must be None; asrlab's catalogue pins a revision.
        use_auth_token: Ignored; the catalogue's weights are public.

    Attributes:
        transcriber: The transcriber that does the work.

    Raises:
        AsrlabError: As ``asrlab.load`` raises it; also if an argument requests a feature that asrlab does not have.
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
        index, *other_indices = (device_index,) if isinstance(device_index, int) else device_index
        advice = {"num_workers": num_workers - 1, "use_auth_token": use_auth_token}
        advice |= {name: model_kwargs.pop(name, None) for name in ("flash_attention", "max_queued_batches")}
        for name in (name for name, value in advice.items() if value):
            warn_ignored(name, _IGNORED_AT_LOADING)
        unsupported = {"files": files, "revision": revision, "device_index": other_indices, **model_kwargs}
        for name, value in unsupported.items():
            if value:
                raise OptionError(
                    f"asrlab has no {name} here; see docs/how-to/from-faster-whisper.md for its equivalent, or use "
                    f"faster_whisper.WhisperModel(..., {name}=...)",
                    option=name,
                )
        if isinstance(model_size_or_path, Transcriber):
            self.transcriber = model_size_or_path
            return
        name = resolve_model_name(model_size_or_path)
        is_other_engine = name.partition("/")[0] != ENGINE
        self.transcriber = load_transcriber(
            name,
            device=f"{device}:{index}" if device == "cuda" and index else device,
            compute_type="auto" if compute_type == "default" and is_other_engine else compute_type,
            weights=weights_in(download_root, name, offline=local_files_only) if download_root else None,
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
        temperature: float | Sequence[float] = TEMPERATURES,
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
        """Return the segments, decoded as they are iterated over, and the facts known before the first of them.

        Arguments are upstream's; ``asrlab.TranscribeOptions`` documents those that all engines share.

        Raises:
            AudioError: If the audio cannot be read, is truncated, empty or not finite.
            OptionError: If the transcriber cannot honour an argument; the message names upstream's call.
        """
        given = {name: value for name, value in locals().items() if name in _DEFAULTS}
        options = to_options(given, _DEFAULTS, self.transcriber, upstream_call=_UPSTREAM_CALL)
        loaded = load_input(audio)
        stream = self.transcriber.stream(loaded, options=options)
        info = convert_info(
            stream.start(), given, duration=loaded.duration, english_only=self.supported_languages == ["en"]
        )
        segments = _convert_segments(stream, info.language)
        return (with_progress(segments, info.duration) if log_progress else segments), info

    def detect_language(
        self,
        audio: Any = None,
        features: Any = None,
        vad_filter: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
        vad_parameters: Mapping[str, Any] | VadOptions | None = None,
        language_detection_segments: int = 1,
        language_detection_threshold: float = 0.5,
    ) -> tuple[str | None, float, list[tuple[str, float]]]:
        """Return the likeliest language, its probability, and the probabilities of all candidates.

        Raises:
            OptionError: If *features* are given, which only one engine has.
        """
        if features is not None or audio is None:
            raise OptionError(
                "asrlab detects the language in audio, not in features; give audio=, or use "
                "faster_whisper.WhisperModel(...).detect_language(features=...)",
                option="features",
            )
        _, info = self.transcribe(
            audio,
            vad_filter=vad_filter,
            vad_parameters=vad_parameters,
            language_detection_segments=language_detection_segments,
            language_detection_threshold=language_detection_threshold,
        )
        probabilities = info.all_language_probs or [(info.language or "", info.language_probability)]
        return info.language, info.language_probability, probabilities

    @property
    def supported_languages(self) -> list[str]:
        """The languages that the model can transcribe; empty if the engine does not report them."""
        return list(self.transcriber.info.capabilities.languages or ())


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {item.name: item.default for item in parameters if item.name not in ("self", "audio", "log_progress")}


_DEFAULTS = _defaults(WhisperModel.transcribe)


def _convert_segments(stream: SegmentStream, language: str | None) -> Iterator[Segment]:
    with stream:
        for number, segment in enumerate(stream, start=1):
            yield convert_segment(segment, number, language)


class BatchedInferencePipeline:
    """faster-whisper's ``BatchedInferencePipeline``: a recording is split at silence, and its chunks are batched.

    Chunking, batches and quality checks are asrlab's (``Transcriber.transcribe_many``), so that the texts differ from
    upstream's: a chunk that fails a check is decoded again alone.

    Attributes:
        model: The model that decodes.
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
        temperature: float | Sequence[float] = TEMPERATURES,
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
        """Return the segments, decoded when the first is requested, and the facts known before that.

        Arguments are upstream's, including those that upstream ignores.

        Raises:
            AudioError: If the audio cannot be read, is truncated, empty or not finite.
            OptionError: If batches cannot honour an argument; the message names upstream's call.
        """
        given = {name: value for name, value in locals().items() if name in _BATCHED_DEFAULTS}
        options = self._options(given)
        loaded = load_input(audio)
        opening = attrs.evolve(loaded, samples=loaded.samples[: _LANGUAGE_DETECTION_S * loaded.sample_rate])
        with self.model.transcriber.stream(opening, options=options) as stream:
            recognition = stream.start()
        english_only = self.model.supported_languages == ["en"]
        info = convert_info(recognition, given, duration=loaded.duration, english_only=english_only)
        info = with_batched_filter(info, loaded, given)
        options = attrs.evolve(options, language=options.language or info.language)
        segments = self._transcribe(loaded, options, batch_size)
        return (with_progress(segments, loaded.duration) if log_progress else segments), info

    def _options(self, given: Mapping[str, Any]) -> TranscribeOptions:
        if given["vad_filter"] and given["vad_parameters"]:
            warn_ignored("vad_parameters", "asrlab finds the silences between chunks itself; only the info follows it")
        honoured = {name: value for name, value in given.items() if name not in (*_IGNORED, "batch_size")}
        transcriber = self.model.transcriber
        options = to_options(honoured, _BATCHED_DEFAULTS, transcriber, upstream_call=_UPSTREAM_BATCHED_CALL)
        if options.engine_options:
            name, _ = options.engine_options[0]
            message = f"batches cannot honour {name}; use {_UPSTREAM_BATCHED_CALL}(audio, {name}=...)"
            raise OptionError(message, option=name)
        return options

    def _transcribe(self, audio: Audio, options: TranscribeOptions, batch_size: int) -> Iterator[Segment]:
        batching = Batching(batch_size=batch_size)
        (outcome,) = self.model.transcriber.transcribe_many([audio], options=options, batching=batching)
        transcript = outcome.unwrap()
        for number, segment in enumerate(transcript.segments, start=1):
            yield convert_segment(segment, number, transcript.language)


_BATCHED_DEFAULTS = _defaults(BatchedInferencePipeline.transcribe)

__getattr__ = delegate_missing(__name__)
