"""Recognizer of LFM2.5-Audio, loaded on any device from a folder in Hugging Face's layout."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from liquid_audio import ChatState, LFM2AudioModel, LFM2AudioProcessor
from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig
from liquid_audio.processor import PreprocessorConfig
from safetensors import safe_open
from transformers import Lfm2Config

from asrlab.audio import SAMPLE_RATE, AudioReader
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.pytorch import check_model_size, check_threads, empty_cache
from asrlab.errors import WeightsError
from asrlab.options import Capabilities, TranscribeOptions
from asrlab.transcript import TranscriptWarning
from asrlab.vad import Chunker, ChunkResult, load_vad, transcribe_chunks
from asrlab.weights import explain_failed_load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Source: liquid-audio's README, section ASR: the prompt, greedy decoding, 512 tokens.
_PROMPT = "Perform ASR."
_MAX_TOKENS = 512
# Source: liquid_audio/model/lfm2_audio.py, generate_sequential: <|im_end|> is yielded and ends the text.
_END_TOKEN = 7
# Source: liquid_audio/utils.py, mel2emb_len: the encoder takes at least 9 frames of 10 ms.
_MIN_AUDIO_S = 0.09
_MAX_CHUNK_S = 30.0


class LiquidAudioRecognizer(Recognizer):
    """LFM2.5-Audio on PyTorch with greedy decoding, in chunks of at most 30 s cut at silence; a chunk is a segment.

    Chunks are decoded one at a time, and threads take turns: upstream's ``generate_sequential`` accepts a batch of one
    (``_prefill`` asserts that).
    """

    def __init__(self, info: TranscriberInfo, processor: LFM2AudioProcessor, model: LFM2AudioModel) -> None:
        super().__init__(info)
        self._processor: LFM2AudioProcessor | None = processor
        self._model: LFM2AudioModel | None = model
        self._chunker = Chunker(vad=load_vad(), max_chunk_s=_MAX_CHUNK_S, min_audio_s=_MIN_AUDIO_S)
        self._lock = threading.Lock()

    @property
    def processor(self) -> LFM2AudioProcessor:
        """Tokenizer, features and speech decoder of liquid-audio, for uses that asrlab does not wrap.

        An example is ``processor.decode(codes)``. Raises ``AsrlabError`` once the transcriber is closed.
        """
        if self._processor is None:
            raise self.closed_error()
        return self._processor

    @property
    def model(self) -> LFM2AudioModel:
        """Model of liquid-audio, for the same uses. Raises ``AsrlabError`` once the transcriber is closed."""
        if self._model is None:
            raise self.closed_error()
        return self._model

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Split the audio, transcribe each chunk, and yield its segment as soon as it is decoded."""
        processor, model = self.processor, self.model

        def recognize_chunk(samples: NDArray[np.float32]) -> ChunkResult:
            with self._lock:
                return transcribe_chunk(processor, model, samples)

        warnings: list[TranscriptWarning] = []
        segments = transcribe_chunks(
            audio.blocks(), recognize=recognize_chunk, chunker=self._chunker, warnings=warnings, source=audio.name
        )
        languages = self.info.capabilities.languages or ()
        only_language = languages[0] if len(languages) == 1 else None
        return Recognition(segments=segments, language=options.language or only_language, warnings=warnings)

    def release(self) -> None:
        """Free the model and PyTorch's cache of GPU memory."""
        self._processor = self._model = None
        empty_cache(self.info.device.resolved)


def transcribe_chunk(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChunkResult:
    """Transcribe *samples*, float32, shape (n,), at 16 kHz, 0.09 to 30 s, as liquid-audio's README does."""
    generated = model.generate_sequential(**create_chat(processor, model, samples), max_new_tokens=_MAX_TOKENS)
    tokens = [int(token) for token in generated if token.numel() == 1]  # others are frames of generated speech
    ended = tokens[-1:] == [_END_TOKEN]
    text = processor.text.decode(tokens, skip_special_tokens=True)
    return ChunkResult(text=str(text), tokens=tuple(tokens[:-1] if ended else tokens), ended=ended)


def create_chat(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChatState:
    """Return the chat that liquid-audio's README prepares for speech recognition of *samples*."""
    chat = ChatState(processor, codebooks=model.codebooks, dtype=model.lfm.embed_tokens.weight.dtype)
    chat.new_turn("system")
    chat.add_text(_PROMPT)
    chat.end_turn()
    chat.new_turn("user")
    chat.add_audio(torch.from_numpy(samples)[None], SAMPLE_RATE)
    chat.end_turn()
    chat.new_turn("assistant")
    return chat


_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(request: LoadRequest) -> LiquidAudioRecognizer:
    """Load a folder with ``config.json``, ``model.safetensors``, a tokenizer and ``audio_detokenizer/``.

    Raises:
        OptionError: If the number of threads is not PyTorch's.
        WeightsError: If the folder is not that of an LFM2-Audio model, or lacks tensors.
    """
    check_threads(request.threads, engine="liquid-audio")
    device, compute_type = request.device.resolved, request.compute_type
    if compute_type == "auto":  # bfloat16 on cuda, as upstream runs it, and the safe float32 elsewhere
        compute_type = "bfloat16" if device.startswith("cuda") else "float32"
    folder = request.weights
    if folder is None:
        raise WeightsError(
            f"{request.model.name} has no weights to load; give their path, or pull the model", model=request.model.name
        )
    # accelerate, with which upstream loads, would prefer this file to model.safetensors
    if (folder / "pytorch_model.bin").exists():
        raise WeightsError(
            f"{folder} contains pytorch_model.bin, a pickle, beside model.safetensors; remove it, because code in a "
            "checkpoint is never run",
            model=request.model.name,
        )
    with explain_failed_load(folder, model=request.model.name, advice="pull it again, or give another folder"):
        config = read_config(folder)
        check_model_size(lambda: LFM2AudioModel(config), folder)
        with _no_root_handler():
            # As a Path, because upstream takes a str for a name on the hub.
            processor = LFM2AudioProcessor.from_pretrained(folder, device=device).eval()
        model = LFM2AudioModel.from_pretrained(folder, device=device, dtype=_DTYPES[compute_type]).eval()
        missing = _missing(model, folder)
    if missing:
        raise WeightsError(
            f"{folder}/model.safetensors lacks {len(missing)} tensors, such as {missing[0]}; pull it again",
            model=request.model.name,
        )
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=compute_type,
        threads=torch.get_num_threads() if device == "cpu" else None,
        capabilities=Capabilities(languages=request.spec.languages if request.spec else None),
        packages=request.packages,
    )
    return LiquidAudioRecognizer(info, processor, model)


@contextmanager
def _no_root_handler() -> Iterator[None]:
    """Prevent upstream from configuring logging for the whole program: its processor calls ``logging.info``.

    Source: liquid_audio/model/conformer/processor.py; ``logging.info`` calls ``basicConfig`` if there is no handler.
    """
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


def _missing(model: LFM2AudioModel, folder: Path) -> list[str]:
    """Return the tensors of the model that are not stored, neither by their name nor by that of a tied tensor.

    Upstream leaves such tensors random without a warning.
    """
    state, present = model.state_dict(keep_vars=True), set[str]()
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, framework="pt") as file:
            present.update(file.keys())
    tied = {id(tensor) for name, tensor in state.items() if name in present}
    return [name for name, tensor in state.items() if name not in present and id(tensor) not in tied]


# Sizes of tables that are computed and not stored, so that the weights do not limit them.
_BOUNDS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("preprocessor", "sample_rate"): (SAMPLE_RATE, SAMPLE_RATE),
    ("preprocessor", "n_fft"): (16, 8192),
    ("preprocessor", "features"): (1, 1024),
    ("preprocessor", "window_size"): (0.001, 0.5),
    ("preprocessor", "window_stride"): (0.001, 0.5),
    ("preprocessor", "frame_splicing"): (1, 16),
    ("preprocessor", "pad_to"): (0, 4096),
    ("encoder", "pos_emb_max_len"): (1, 100_000),
}


def read_config(folder: Path) -> LFM2AudioConfig:
    """Read the configuration in *folder*, as upstream's ``from_pretrained`` does.

    Raises:
        WeightsError: If a setting that decides how much is computed is out of range.
    """
    content: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    for (section, name), (low, high) in _BOUNDS.items():
        value = content[section][name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            expected = f"{low:g}" if low == high else f"between {low:g} and {high:g}"
            raise WeightsError(
                f"{folder}/config.json: its {section}.{name} is {value!r:.60}, not {expected}; pull it again, or give "
                "another folder",
                model=str(folder),
            )
    for name, value in content["lfm"].items():
        if isinstance(value, float) and not math.isfinite(value):
            raise WeightsError(f"{folder}/config.json: its lfm.{name} is not finite; pull it again", model=str(folder))
    classes = {
        "lfm": Lfm2Config,
        "encoder": ConformerEncoderConfig,
        "depthformer": DepthformerConfig,
        "preprocessor": PreprocessorConfig,
    }
    return LFM2AudioConfig(**content | {name: kind(**content[name]) for name, kind in classes.items()})
