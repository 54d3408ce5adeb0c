"""A loaded faster-whisper model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionInfo
from numpy.typing import NDArray

from asrlab.audio import AudioReader
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.faster_whisper.batch_backend import FasterWhisperBatchBackend
from asrlab.engines.faster_whisper.decode import arguments, to_segments
from asrlab.engines.faster_whisper.devices import choose_compute_type, default_batching, default_threads
from asrlab.engines.faster_whisper.settings import ENGINE_OPTIONS, Settings
from asrlab.engines.faster_whisper.skipped_silence import Speech, find_speech
from asrlab.engines.option_checks import MIN_TEXT_TOKENS, TokenBudget, refuse_long_texts
from asrlab.environment import usable_cores
from asrlab.options import Batching, Capabilities, TranscribeOptions
from asrlab.weights import explain_failed_load

_ADVICE = (
    "fetch it again, or give another folder, as ct2-transformers-converter writes with --copy_files tokenizer.json"
)
type Load = Callable[[int, int], WhisperModel]
"""Loads the weights for a number of workers, and of threads for each."""


class FasterWhisperRecognizer(Recognizer):
    """Whisper on CTranslate2. CTranslate2 lets one inference run at a time and queues the calls of other threads.

    Args:
        info: The facts.
        model: Loaded for one worker.
        load: For batches, which want other numbers of workers and threads; these are fixed when a model is loaded.
        default: How recordings go together where nothing else is said.
    """

    def __init__(self, info: TranscriberInfo, model: WhisperModel, load: Load, *, default: Batching) -> None:
        super().__init__(info)
        self._default = default
        self._model: WhisperModel | None = model
        self._load = load
        self._lock = threading.Lock()
        self._batch_recognizers: dict[tuple[int, int], FasterWhisperRecognizer] = {}

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Hand the samples as one float32 array to ``WhisperModel.transcribe``, which yields as it decodes."""
        asked, samples, speech = arguments(options), audio.read(), None
        # with clips upstream filters nothing
        filters = asked["vad_filter"] and asked.get("clip_timestamps", "0") == "0"
        if filters and dict(options.engine_options).get("split_at_silence", True):
            speech = find_speech(samples, asked.pop("vad_parameters", None))
            asked["vad_filter"], samples = False, speech.samples
        segments, info = self.model.transcribe(samples, **asked)
        detected = options.language is None and self.model.model.is_multilingual
        return Recognition(
            segments=to_segments(segments if speech is None else speech.restored(segments)),
            language=options.language or info.language,
            language_probability=float(info.language_probability) if detected else None,
            language_probabilities=_ranked(info.all_language_probs),
            speech_duration=_speech_duration(info, speech, options),
        )

    def check_options(self, options: TranscribeOptions) -> None:
        """Refuse values that faster-whisper would not take, would take without effect, or would cut off."""
        settings = Settings.of(options)
        model = self.model
        # start of transcript, language, task, no time stamps or the first of them, and what marks a prompt
        budget = TokenBudget(
            context=model.max_length, special=5, new_tokens=("max_new_tokens", settings.max_new_tokens)
        )
        refuse_long_texts(
            {"initial_prompt": options.initial_prompt, "hotwords": options.hotwords, "prefix": settings.prefix},
            encode=lambda text: model.hf_tokenizer.encode(text, add_special_tokens=False).ids,
            budget=budget,
            model=self.info.model.name,
        )

    @property
    def model(self) -> WhisperModel:
        """faster-whisper's model. Raises ``AsrlabError`` once the transcriber is closed."""
        model = self._model
        if model is None:
            raise self.closed_error()
        return model

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* completed with the defaults for the device."""
        return given.over(self._default)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> FasterWhisperBatchBackend | None:
        """Return the batch backend; None for what only ``WhisperModel.transcribe`` can do.

        Those are voice activity detection, sampling from the start, and faster-whisper's own options.
        """
        first_temperature = (options.temperatures or (0.0,))[0]
        if options.vad_filter or options.engine_options or first_temperature:
            return None
        return FasterWhisperBatchBackend(
            model=self.model,
            crew=lambda: self.batch_recognizer(batching).model,
            options=options,
            batching=batching,
        )

    def batch_recognizer(self, batching: Batching) -> FasterWhisperRecognizer:
        """Return the same weights loaded for these workers and threads, on the first call.

        On the CPU that takes the memory of the weights once more.
        """
        workers, threads = batching.workers or 1, batching.threads or 1
        if (workers, threads) == (1, self.info.threads):
            return self
        with self._lock:
            if self._model is None:
                raise self.closed_error()
            if (workers, threads) not in self._batch_recognizers:
                info = attrs.evolve(self.info, threads=threads)
                model = self._load(workers, threads)
                loaded = FasterWhisperRecognizer(info, model, self._load, default=batching)
                self._batch_recognizers[workers, threads] = loaded
            return self._batch_recognizers[workers, threads]

    def release(self) -> None:
        """Drop the model; CTranslate2 frees it with the last reference."""
        with self._lock:
            self._model = None
            for recognizer in self._batch_recognizers.values():
                recognizer.release()


def load(request: LoadRequest) -> FasterWhisperRecognizer:
    """Load a folder of CTranslate2 weights.

    Raises:
        OptionError: The compute type is not supported on the device.
        WeightsError: CTranslate2 cannot read the folder.
    """
    kind, _, index = request.device.resolved.partition(":")
    threads = request.threads or default_threads()
    compute_type = choose_compute_type(request.compute_type, request.device)

    def load_for(workers: int, threads: int) -> WhisperModel:
        with explain_failed_load(request.weights, model=request.model.name, advice=_ADVICE):
            return SharedEncodingModel(
                str(request.weights),
                device=kind,
                device_index=int(index or 0),
                compute_type=compute_type,
                cpu_threads=threads,
                num_workers=workers,
            )

    model = load_for(1, threads)
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=model.model.compute_type,
        threads=threads,
        capabilities=_capabilities(model),
        packages=request.packages,
    )
    batching = default_batching(request.device.resolved, threads=request.threads or usable_cores())
    return FasterWhisperRecognizer(info, model, load_for, default=batching)


def _capabilities(model: WhisperModel) -> Capabilities:
    multilingual = model.model.is_multilingual
    return Capabilities(
        tasks=("transcribe", "translate") if multilingual else ("transcribe",),
        languages=tuple(sorted(model.supported_languages)),
        word_timestamps=True,
        beam_size=True,
        temperature=True,
        initial_prompt=True,
        hotwords=True,
        vad_filter=True,
        engine_options=ENGINE_OPTIONS,
    )


def _speech_duration(info: TranscriptionInfo, speech: Speech | None, options: TranscribeOptions) -> float | None:
    if speech is not None:
        return speech.duration
    return float(info.duration_after_vad) if options.vad_filter else None


def _ranked(probabilities: list[tuple[str, float]] | None) -> tuple[tuple[str, float], ...] | None:
    if probabilities is None:
        return None
    return tuple((language, float(probability)) for language, probability in probabilities)


class SharedEncodingModel(WhisperModel):  # type: ignore[misc] # has no type information
    """Encodes the first window once where the language is detected; upstream does it for the language, and again.

    The texts are upstream's. The probability of the language is off by a hair: for a recording shorter than the window
    upstream detects with the half frame behind the audio, and decodes without it.

    Source: faster-whisper 1.2.1, ``transcribe.py``: ``detect_language``, and ``content_frames`` in
    ``generate_segments``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own = threading.local()

    def detect_language(
        self,
        audio: NDArray[np.float32] | None = None,
        features: NDArray[np.float32] | None = None,
        **options: Any,
    ) -> Any:
        """As upstream's; what is encoded last is kept for this thread's next `encode`."""
        self._own.keeps = features is not None
        if features is not None and features.shape[-1] > 1:
            features = features[..., :-1]
        try:
            return super().detect_language(audio, features, **options)
        finally:
            self._own.keeps = False

    def generate_with_fallback(
        self, encoder_output: ctranslate2.StorageView, prompt: list[int], tokenizer: Tokenizer, options: Any
    ) -> Any:
        """As upstream's; where hotwords or ``max_new_tokens`` leave no room, less of the text heard before is given.

        Upstream gives up to 223 tokens of that text whatever else there is, and fails in the middle of a recording.
        """
        wanted = MIN_TEXT_TOKENS if options.max_new_tokens is None else options.max_new_tokens
        excess = len(prompt) + wanted - self.max_length
        if excess > 0 and prompt[0] == tokenizer.sot_prev:
            hotwords = tokenizer.encode(" " + options.hotwords.strip()) if options.hotwords else []
            start = 1 + (len(hotwords) if prompt[1 : 1 + len(hotwords)] == hotwords else 0)
            end = prompt.index(tokenizer.sot)
            prompt = [*prompt[:start], *prompt[min(end, start + excess) :]]
        return super().generate_with_fallback(encoder_output, prompt, tokenizer, options)

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """As upstream's, or what was kept if it is of the same *features*."""
        kept, self._own.kept = getattr(self._own, "kept", None), None
        if kept is not None and np.array_equal(kept[0], features):
            return kept[1]
        encoded = super().encode(features)
        if getattr(self._own, "keeps", False):
            self._own.kept = features, encoded
        return encoded
