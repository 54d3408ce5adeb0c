"""A loaded openai-whisper model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import numpy as np
from numpy.typing import NDArray
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from asrlab.audio import AudioReader
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engines.openai_whisper.batch_backend import DEFAULT_BATCHING, OpenAIWhisperBatchBackend
from asrlab.engines.openai_whisper.convert import to_segments
from asrlab.engines.openai_whisper.decode_loop import WindowDecoder
from asrlab.engines.openai_whisper.settings import Settings
from asrlab.engines.option_checks import TokenBudget, refuse_long_texts
from asrlab.engines.pytorch import empty_cache
from asrlab.options import Batching, TranscribeOptions


class OpenAIWhisperRecognizer(Recognizer):
    """Whisper on PyTorch. Windows of several threads take turns."""

    def __init__(self, info: TranscriberInfo, model: Whisper) -> None:
        super().__init__(info)
        self._model: Whisper | None = model
        self._lock = threading.Lock()

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Decode window by window; the language is detected in the first one."""
        windows = self.windows(audio.read(), options)
        return Recognition(
            segments=to_segments(windows.segments()),
            language=options.language or windows.language,
            language_probability=windows.language_probability,
            language_probabilities=windows.language_probabilities,
        )

    def check_options(self, options: TranscribeOptions) -> None:
        """Refuse values that upstream would not take, would take without effect, or would cut off."""
        settings = Settings.of(options)
        model = self._model
        if model is None:
            raise self.closed_error()
        tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        # start of transcript, language, task, no time stamps, and what marks a prompt
        budget = TokenBudget(context=model.dims.n_text_ctx, special=5, new_tokens=("sample_len", settings.sample_len))
        refuse_long_texts(
            {"initial_prompt": options.initial_prompt, "prefix": settings.prefix},
            encode=tokenizer.encode,
            budget=budget,
            model=self.info.model.name,
        )

    def windows(
        self, samples: NDArray[np.float32], options: TranscribeOptions, *, half: bool | None = None
    ) -> WindowDecoder:
        """The loop that `recognize` takes its segments from, for those who want upstream's own dictionaries.

        Args:
            samples: float32, shape (n,), in [-1, 1], at 16 kHz.
            options: Checked.
            half: Compute in float16; None is as the model was loaded.

        Raises:
            OptionError: An engine option's value is out of range.
        """
        if self._model is None:
            raise self.closed_error()
        return WindowDecoder(self._model, self._lock, samples, options, half=self._half if half is None else half)

    @contextmanager
    def using_model(self) -> Iterator[Whisper]:
        """Upstream's model for as long as no other thread decodes with it."""
        with self._lock:
            if self._model is None:
                raise self.closed_error()
            yield self._model

    @property
    def _half(self) -> bool:
        return self.info.compute_type == "float16"

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* completed with the defaults; always one worker, as PyTorch has threads of its own."""
        fixed = attrs.evolve(DEFAULT_BATCHING, threads=self.info.threads or 1)
        return attrs.evolve(given.over(fixed), workers=fixed.workers, threads=fixed.threads)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> OpenAIWhisperBatchBackend | None:
        """Return the batch backend; None for what only the loop over windows can do.

        Those are word timestamps, for which upstream encodes each clip again by itself, sampling from the start, and
        upstream's own options.
        """
        if self._model is None:
            raise self.closed_error()
        first_temperature = (options.temperature_ladder or (0.0,))[0]
        if options.word_timestamps or options.engine_options or first_temperature:
            return None
        return OpenAIWhisperBatchBackend(
            model=self._model, lock=self._lock, options=options, batching=batching, half=self._half
        )

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._model = None
        empty_cache(self.info.device.resolved)
