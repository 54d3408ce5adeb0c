"""Recognizer of openai-whisper, loaded from its own checkpoints or from CTranslate2 folders converted without loss."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

from asrlab.audio import AudioReader
from asrlab.device import Device
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.openai_whisper.batch_backend import DEFAULT_BATCHING, OpenAIWhisperBatchBackend
from asrlab.engines.openai_whisper.decode_loop import WindowDecoder
from asrlab.engines.pytorch import check_threads, empty_cache
from asrlab.engines.whisper_settings import OpenAIWhisperSettings, check_prompt_lengths
from asrlab.errors import OptionError, WeightsError
from asrlab.options import Batching, Capabilities, TranscribeOptions
from asrlab.patches.openai_whisper import FLOAT64_ALIGNMENT
from asrlab.weights import convert, explain_failed_load, why_not_whisper


class OpenAIWhisperRecognizer(Recognizer):
    """Whisper on PyTorch. Threads decode their windows in turn."""

    def __init__(self, info: TranscriberInfo, model: Whisper) -> None:
        super().__init__(info)
        self._model: Whisper | None = model
        self._lock = threading.Lock()

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Decode window by window; the language is detected in the first window."""
        decoder = self.window_decoder(audio.read(), options)
        return decoder.to_recognition(decoder.segments())

    def check_options(self, options: TranscribeOptions) -> None:
        """Raise ``OptionError`` for values that upstream would refuse, ignore or truncate."""
        settings, model = OpenAIWhisperSettings.from_options(options), self.model
        check_prompt_lengths(
            {"initial_prompt": options.initial_prompt, "prefix": settings.prefix},
            encode=get_tokenizer(model.is_multilingual, num_languages=model.num_languages).encode,
            context=model.dims.n_text_ctx,
            new_tokens=("sample_len", settings.sample_len),
            model=self.info.model.name,
        )

    def window_decoder(
        self, samples: NDArray[np.float32], options: TranscribeOptions, *, half: bool | None = None
    ) -> WindowDecoder:
        """Return the decoder behind `recognize`, for callers who need upstream's own dictionaries.

        *half* is True to compute in float16; None computes as the model was loaded.

        Raises:
            OptionError: If the value of an engine option is out of range.
        """
        half = self._half if half is None else half
        return WindowDecoder(self.model, self._lock, samples, options, half=half)

    @contextmanager
    def using_model(self) -> Iterator[Whisper]:
        """Yield upstream's model while no other thread decodes with it."""
        with self._lock:
            yield self.model

    @property
    def model(self) -> Whisper:
        """Model of openai-whisper. Raises ``AsrlabError`` once the transcriber is closed."""
        if self._model is None:
            raise self.closed_error()
        return self._model

    @property
    def _half(self) -> bool:
        return self.info.compute_type == "float16"

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* completed with the defaults; always one worker, as PyTorch has threads of its own."""
        fixed = attrs.evolve(DEFAULT_BATCHING, threads=self.info.threads or 1)
        return attrs.evolve(given.over(fixed), workers=fixed.workers, threads=fixed.threads)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> OpenAIWhisperBatchBackend | None:
        """Return the batch backend; None for options that only the loop over windows supports.

        Those are word timestamps, for which upstream encodes each clip again by itself, sampling from the start, and
        upstream's own options.
        """
        model = self.model
        first_temperature = (options.temperatures or (0.0,))[0]
        if options.word_timestamps or options.engine_options or first_temperature:
            return None
        return OpenAIWhisperBatchBackend(
            model=model, lock=self._lock, options=options, batching=batching, half=self._half
        )

    def release(self) -> None:
        """Free the model and PyTorch's cache of GPU memory."""
        self._model = None
        empty_cache(self.info.device.resolved)


def load(request: LoadRequest) -> OpenAIWhisperRecognizer:
    """Load a ``.pt`` file or a float16 CTranslate2 folder.

    Raises:
        OptionError: If the compute type or the number of threads is not supported.
        WeightsError: If the weights cannot be read, or are not Whisper's.
    """
    compute_type = _compute_type(request.compute_type, request.device)
    check_threads(request.threads, engine="openai-whisper")
    path = request.weights
    if path is None:
        raise WeightsError(
            f"{request.model.name} has no weights to load; give their path, or pull the model", model=request.model.name
        )
    advice = "download it again, or give another file; code in a checkpoint is never run"
    with explain_failed_load(path, model=request.model.name, advice=advice):
        if request.weights_format == "ctranslate2":
            converted = convert(path)
            model = _build(path, converted.dims.as_dict(), converted.state_dict)
        else:
            checkpoint: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
            model = _build(path, checkpoint["dims"], checkpoint["model_state_dict"])
    _set_alignment_heads(model, request, path)
    device = request.device.resolved
    model.to(device).eval()
    multilingual = model.is_multilingual
    capabilities = Capabilities(
        tasks=("transcribe", "translate") if multilingual else ("transcribe",),
        languages=tuple(sorted(whisper.tokenizer.LANGUAGES)) if multilingual else ("en",),
        word_timestamps=device != "mps" or request.is_fixed(FLOAT64_ALIGNMENT.name),
        beam_size=True,
        temperature=True,
        initial_prompt=True,
        engine_options=OpenAIWhisperSettings.names(),
    )
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=compute_type,
        threads=torch.get_num_threads() if device == "cpu" else None,
        capabilities=capabilities,
        packages=request.packages,
    )
    return OpenAIWhisperRecognizer(info, model)


def _compute_type(requested: str, device: Device) -> str:
    if requested == "auto":
        return "float16" if device.resolved.startswith("cuda") else "float32"
    if requested == "float16" and device.resolved == "cpu":
        raise OptionError(
            "openai-whisper cannot compute in float16 on the cpu; choose float32",
            option="compute_type",
            supported=("float32",),
        )
    return requested


def _build(path: Path, dimensions: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> Whisper:
    # Repeats the check from before the file was opened: nothing is allocated for tensors that are only declared.
    reason = why_not_whisper(dimensions, {name: tuple(tensor.shape) for name, tensor in state.items()})
    if reason is not None:
        raise WeightsError(f"{path} is not a Whisper model that can run: {reason}", model=str(path))
    model = Whisper(ModelDimensions(**dimensions))
    model.load_state_dict(state)
    return model


def _set_alignment_heads(model: Whisper, request: LoadRequest, path: Path) -> None:
    """Set the attention heads that the model's authors chose for word times; upstream sets only those of its downloads.

    A model without chosen heads keeps upstream's default, the later half of all heads.
    """
    heads_by_name, addresses = whisper._ALIGNMENT_HEADS, whisper._MODELS  # noqa: SLF001 - upstream keeps them nowhere else
    sha256 = request.model.weights_sha256
    official = next((name for name, url in addresses.items() if sha256 and sha256 in url), None)
    name = request.spec.name if request.spec else official
    if name in heads_by_name:
        model.set_alignment_heads(heads_by_name[name])
    elif request.weights_format == "ctranslate2":
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        heads = [(int(layer), int(head)) for layer, head in config.get("alignment_heads", ())]
        if heads:
            mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
            mask[tuple(zip(*heads, strict=True))] = True
            model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
