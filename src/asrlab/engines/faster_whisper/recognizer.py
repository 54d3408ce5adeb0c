"""Recognizer of faster-whisper, loaded from a folder of CTranslate2 weights."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from asrlab.audio import AudioReader
from asrlab.device import Device
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.faster_whisper.batch_backend import FasterWhisperBatchBackend
from asrlab.engines.faster_whisper.skipped_silence import find_speech
from asrlab.engines.whisper import to_segments
from asrlab.engines.whisper_settings import MIN_TEXT_TOKENS, FasterWhisperSettings, check_prompt_lengths
from asrlab.environment import usable_cores
from asrlab.errors import OptionError
from asrlab.options import Batching, Capabilities, TranscribeOptions
from asrlab.weights import explain_failed_load

_ADVICE = (
    "download it again, or give another folder, as ct2-transformers-converter writes with --copy_files tokenizer.json"
)
BATCH_SIZE = 8
"""Larger batches gain little on the CPU; smaller batches are slower."""
MARGIN = 6.0
"""Seconds of silence after the longest chunk of a batch, instead of a window of 30 s.

With less, words are lost first, and then loops begin: ``benchmarks.throughput`` has the figures.
"""
_MAX_WORKERS = 8
# In order of preference. CTranslate2's own "auto" would choose float32 on the CPU for the float16 folders of the hub.
_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float16", "float32")}

type LoadModel = Callable[[int, int], WhisperModel]
"""Loader of the weights for a number of workers, and of threads for each."""


class FasterWhisperRecognizer(Recognizer):
    """Whisper on CTranslate2, which runs one inference at a time and queues the calls of other threads.

    *load_model* loads the weights again for batches, which need other numbers of workers and threads than *model* has.
    """

    def __init__(self, info: TranscriberInfo, model: WhisperModel, load_model: LoadModel, *, default: Batching) -> None:
        super().__init__(info)
        self._default = default
        self._model: WhisperModel | None = model
        self._load_model = load_model
        self._lock = threading.Lock()
        self._batch_recognizers: dict[tuple[int, int], FasterWhisperRecognizer] = {}

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Pass the samples as one float32 array to ``WhisperModel.transcribe``, which yields segments as it decodes."""
        arguments, samples, speech = _transcribe_arguments(options), audio.read(), None
        # upstream ignores the filter if there are clips
        has_filter = arguments["vad_filter"] and arguments.get("clip_timestamps", "0") == "0"
        if has_filter and dict(options.engine_options).get("split_at_silence", True):
            speech = find_speech(samples, arguments.pop("vad_parameters", None))
            arguments["vad_filter"], samples = False, speech.samples
        segments, info = self.model.transcribe(samples, **arguments)
        speech_duration = float(info.duration_after_vad) if options.vad_filter else None
        probabilities = info.all_language_probs
        is_detected = options.language is None and self.model.model.is_multilingual
        return Recognition(
            segments=to_segments(map(asdict, segments if speech is None else speech.restore_times(segments))),
            language=options.language or info.language,
            language_probability=float(info.language_probability) if is_detected else None,
            language_probabilities=probabilities and tuple((name, float(value)) for name, value in probabilities),
            speech_duration=speech_duration if speech is None else speech.duration,
        )

    def check_options(self, options: TranscribeOptions) -> None:
        """Raise ``OptionError`` for values that faster-whisper would refuse, ignore or truncate."""
        settings, model = FasterWhisperSettings.from_options(options), self.model
        check_prompt_lengths(
            {"initial_prompt": options.initial_prompt, "hotwords": options.hotwords, "prefix": settings.prefix},
            encode=lambda text: model.hf_tokenizer.encode(text, add_special_tokens=False).ids,
            context=model.max_length,
            new_tokens=("max_new_tokens", settings.max_new_tokens),
            model=self.info.model.name,
        )

    @property
    def model(self) -> WhisperModel:
        """Model of faster-whisper. Raises ``AsrlabError`` once the transcriber is closed."""
        if self._model is None:
            raise self.closed_error()
        return self._model

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* completed with the defaults for the device."""
        return given.over(self._default)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> FasterWhisperBatchBackend | None:
        """Return the batch backend; None for options that only ``WhisperModel.transcribe`` supports.

        Those are voice activity detection, sampling from the start, and faster-whisper's own options.
        """
        first_temperature = (options.temperatures or (0.0,))[0]
        if options.vad_filter or options.engine_options or first_temperature:
            return None
        return FasterWhisperBatchBackend(
            model=self.model,
            batch_model=lambda: self.batch_recognizer(batching).model,
            options=options,
            batching=batching,
        )

    def batch_recognizer(self, batching: Batching) -> FasterWhisperRecognizer:
        """Return the same weights loaded for these workers and threads; on the CPU they take their memory once more."""
        workers, threads = batching.workers or 1, batching.threads or 1
        if (workers, threads) == (1, self.info.threads):
            return self
        with self._lock:
            if self._model is None:
                raise self.closed_error()
            if (workers, threads) not in self._batch_recognizers:
                info = attrs.evolve(self.info, threads=threads)
                model = self._load_model(workers, threads)
                loaded = FasterWhisperRecognizer(info, model, self._load_model, default=batching)
                self._batch_recognizers[workers, threads] = loaded
            return self._batch_recognizers[workers, threads]

    def release(self) -> None:
        """Free the model; CTranslate2 frees its memory with the last reference."""
        with self._lock:
            self._model = None
            for recognizer in self._batch_recognizers.values():
                recognizer.release()


def load(request: LoadRequest) -> FasterWhisperRecognizer:
    """Load a folder of CTranslate2 weights.

    Raises:
        OptionError: If the compute type is not supported on the device.
        WeightsError: If CTranslate2 cannot read the folder.
    """
    kind, _, index = request.device.resolved.partition(":")
    # Source: faster-whisper, ``WhisperModel``, argument ``cpu_threads``: at most 4, as in CTranslate2's default.
    threads = request.threads or min(4, usable_cores())
    compute_type = _choose_compute_type(request.compute_type, request.device)

    def load_model(workers: int, threads: int) -> WhisperModel:
        with explain_failed_load(request.weights, model=request.model.name, advice=_ADVICE):
            return SharedEncodingModel(
                str(request.weights),
                device=kind,
                device_index=int(index or 0),
                compute_type=compute_type,
                cpu_threads=threads,
                num_workers=workers,
            )

    model = load_model(1, threads)
    multilingual = model.model.is_multilingual
    capabilities = Capabilities(
        tasks=("transcribe", "translate") if multilingual else ("transcribe",),
        languages=tuple(sorted(model.supported_languages)),
        word_timestamps=True,
        beam_size=True,
        temperature=True,
        initial_prompt=True,
        hotwords=True,
        vad_filter=True,
        engine_options=FasterWhisperSettings.names(),
    )
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=model.model.compute_type,
        threads=threads,
        capabilities=capabilities,
        packages=request.packages,
    )
    batching = _default_batching(request.device.resolved, threads=request.threads or usable_cores())
    return FasterWhisperRecognizer(info, model, load_model, default=batching)


def _choose_compute_type(requested: str, device: Device) -> str:
    """Return the compute type to load with; raise ``OptionError`` if CTranslate2 does not support *requested*."""
    kind, _, index = device.resolved.partition(":")
    supported = ctranslate2.get_supported_compute_types(kind, int(index or 0))
    if requested == "auto":
        return next((name for name in _AUTO[kind] if name in supported), "default")
    if requested not in supported and requested != "default":  # default: the format of the weights, or the nearest
        raise OptionError(
            f"faster-whisper cannot compute in {requested!r} on {device.resolved}; choose one that CTranslate2 "
            f"supports here: {', '.join(sorted(supported))}",
            option="compute_type",
            supported=sorted(supported),
        )
    return requested


def _default_batching(device: str, *, threads: int) -> Batching:
    """Return the batching for a device without tuned settings, with *threads* for all workers together.

    On the CPU a thread is fastest alone on its batch, but each batch in progress takes memory of its own. A GPU is
    expected to gain from batches in the encoder, too.
    """
    workers = min(threads, _MAX_WORKERS) if device == "cpu" else 1
    return Batching(
        batch_size=BATCH_SIZE,
        workers=workers,
        threads=threads // workers,
        padding_s=MARGIN,
        batch_encoder=device != "cpu",
    )


def _transcribe_arguments(options: TranscribeOptions) -> dict[str, Any]:
    """Return the keyword arguments for ``WhisperModel.transcribe``; options that were not given keep its defaults."""
    arguments: dict[str, Any] = {
        "language": options.primary_language,
        "beam_size": options.beam_size,
        "temperature": options.temperatures,
        "initial_prompt": options.initial_prompt,
        "hotwords": options.hotwords,
    }
    settings, given = FasterWhisperSettings.from_options(options), dict(options.engine_options)
    return {
        **{name: value for name, value in arguments.items() if value is not None},
        "task": options.task,
        "word_timestamps": options.word_timestamps,
        "vad_filter": options.vad_filter,
        **{name: getattr(settings, name) for name in given if name != "split_at_silence"},  # asrlab's own
    }


class SharedEncodingModel(WhisperModel):  # type: ignore[misc] # has no type information
    """Model of faster-whisper that encodes the first window once for both the language and the text.

    The texts are upstream's. The probability of the language differs slightly: for a recording shorter than the window
    upstream detects with the half frame after the audio, and decodes without it.

    Source: faster-whisper 1.2.1, ``transcribe.py``: ``detect_language``, and ``content_frames`` in
    ``generate_segments``.
    """

    def __init__(self, *transcribe_arguments: Any, **options: Any) -> None:
        super().__init__(*transcribe_arguments, **options)
        self._cache = threading.local()

    def detect_language(
        self,
        audio: NDArray[np.float32] | None = None,
        features: NDArray[np.float32] | None = None,
        **options: Any,
    ) -> Any:
        """Detect the language as upstream does, and cache the last encoding for this thread's next `encode`."""
        self._cache.is_active = features is not None
        if features is not None and features.shape[-1] > 1:
            features = features[..., :-1]
        try:
            return super().detect_language(audio, features, **options)
        finally:
            self._cache.is_active = False

    def generate_with_fallback(
        self, encoder_output: ctranslate2.StorageView, prompt: list[int], tokenizer: Tokenizer, options: Any
    ) -> Any:
        """Decode as upstream does, but shorten the previous text if hotwords or ``max_new_tokens`` need its room.

        Upstream passes up to 223 tokens of the previous text in any case, and fails in the middle of a recording.
        """
        text_tokens = MIN_TEXT_TOKENS if options.max_new_tokens is None else options.max_new_tokens
        excess = len(prompt) + text_tokens - self.max_length
        if excess > 0 and prompt[0] == tokenizer.sot_prev:
            hotwords = tokenizer.encode(" " + options.hotwords.strip()) if options.hotwords else []
            start = 1 + (len(hotwords) if prompt[1 : 1 + len(hotwords)] == hotwords else 0)
            end = prompt.index(tokenizer.sot)
            prompt = [*prompt[:start], *prompt[min(end, start + excess) :]]
        return super().generate_with_fallback(encoder_output, prompt, tokenizer, options)

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """Encode *features* as upstream does, or return the cached encoding of the same features."""
        cached, self._cache.encoded = getattr(self._cache, "encoded", None), None
        if cached is not None and np.array_equal(cached[0], features):
            return cached[1]
        encoded = super().encode(features)
        if getattr(self._cache, "is_active", False):
            self._cache.encoded = features, encoded
        return encoded
