"""A loaded LFM2.5-Audio model."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
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
from asrlab.device import Device
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.pytorch import empty_cache, refuse_oversized, refuse_threads
from asrlab.errors import WeightsError
from asrlab.options import Capabilities, TranscribeOptions
from asrlab.transcript import TranscriptWarning
from asrlab.vad import Chunker, ChunkResult, VoiceActivityDetector, load_vad, transcribe_chunks
from asrlab.weights import explain_failed_load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Source: liquid-audio's README, section ASR: the prompt, greedy decoding, 512 tokens.
_PROMPT = "Perform ASR."
_MOST_TOKENS = 512
# Source: liquid_audio/model/lfm2_audio.py, generate_sequential: <|im_end|> is yielded and ends it.
_END = 7
# Source: liquid_audio/utils.py, mel2emb_len: the encoder takes at least 9 frames of 10 ms.
_MINIMUM_S = 0.09
_LONGEST_S = 30.0


class LiquidAudioRecognizer(Recognizer):
    """LFM2.5-Audio on PyTorch, greedy, in pieces of at most 30 s cut at silence; a segment is a piece.

    Pieces are decoded one at a time, and those of several threads take turns: upstream's ``generate_sequential`` takes
    a batch of one (``_prefill`` asserts it).

    Attributes:
        processor: Upstream's tokenizer, features and speech decoder, on the model's device, for what asrlab does not
            wrap, such as ``processor.decode(codes)``.
        model: Upstream's model, likewise.
    """

    def __init__(
        self,
        info: TranscriberInfo,
        processor: LFM2AudioProcessor,
        model: LFM2AudioModel,
        *,
        vad: VoiceActivityDetector,
    ) -> None:
        super().__init__(info)
        self._loaded: tuple[LFM2AudioProcessor, LFM2AudioModel] | None = (processor, model)
        self._chunker = Chunker(vad=vad, max_chunk_s=_LONGEST_S, min_audio_s=_MINIMUM_S)
        self._lock = threading.Lock()

    @property
    def processor(self) -> LFM2AudioProcessor:
        """Upstream's processor. Raises ``AsrlabError`` once the transcriber is closed."""
        return self._parts[0]

    @property
    def model(self) -> LFM2AudioModel:
        """Upstream's model. Raises ``AsrlabError`` once the transcriber is closed."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[LFM2AudioProcessor, LFM2AudioModel]:
        if self._loaded is None:
            raise self.closed_error()
        return self._loaded

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Cut, transcribe each piece, and give a segment as soon as its piece is done."""
        processor, model = self._parts

        def heard(samples: NDArray[np.float32]) -> ChunkResult:
            with self._lock:
                return transcribe_piece(processor, model, samples)

        warnings: list[TranscriptWarning] = []
        segments = transcribe_chunks(
            audio.blocks(), recognize=heard, chunker=self._chunker, warnings=warnings, source=audio.name
        )
        languages = self.info.capabilities.languages or ()
        known = languages[0] if len(languages) == 1 else None
        return Recognition(segments=segments, language=options.language or known, warnings=warnings)

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._loaded = None
        empty_cache(self.info.device.resolved)


def transcribe_piece(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChunkResult:
    """What upstream's README does for speech recognition.

    Args:
        processor: Upstream's, on the model's device.
        model: Upstream's.
        samples: float32, shape (n,), at 16 kHz; 0.09 to 30 s.
    """
    tokens: list[int] = []
    for token in model.generate_sequential(**asr_chat(processor, model, samples), max_new_tokens=_MOST_TOKENS):
        if token.numel() > 1:  # a frame of speech, which no transcript has a use for
            continue
        tokens.append(int(token))
    ended = tokens[-1:] == [_END]
    text = processor.text.decode(tokens, skip_special_tokens=True)
    return ChunkResult(text=str(text), tokens=tuple(tokens[:-1] if ended else tokens), ended=ended)


def asr_chat(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChatState:
    """What upstream's README puts before the model for speech recognition; takes what `transcribe_piece` does."""
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
        OptionError: A number of threads cannot be had.
        WeightsError: The folder is not that of an LFM2-Audio model, or lacks tensors.
    """
    refuse_threads(request.threads, engine="liquid-audio")
    compute_type = _compute_type(request.compute_type, request.device)
    folder = _folder(request)
    device = request.device.resolved
    with explain_failed_load(folder, model=request.model.name, advice="pull it again, or give another folder"):
        config = read_config(folder)
        refuse_oversized(lambda: LFM2AudioModel(config), folder)
        with _no_root_handler():
            # as a Path: upstream takes a str for a name on the hub
            processor = LFM2AudioProcessor.from_pretrained(folder, device=device).eval()
        model = LFM2AudioModel.from_pretrained(folder, device=device, dtype=_DTYPES[compute_type]).eval()
        missing = _missing(model, _stored_names(folder))
    if missing:
        raise WeightsError(
            f"{folder}/model.safetensors lacks {len(missing)} tensors, such as {missing[0]}; pull it again",
            model=request.model.name,
        )
    languages = request.spec.languages if request.spec else None
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=compute_type,
        threads=torch.get_num_threads() if device == "cpu" else None,
        capabilities=Capabilities(languages=languages),
        packages=request.packages,
    )
    return LiquidAudioRecognizer(info, processor, model, vad=load_vad())


@contextmanager
def _no_root_handler() -> Iterator[None]:
    """Keep upstream from setting up logging for the whole program: its processor calls ``logging.info``.

    Source: liquid_audio/model/conformer/processor.py; ``logging.info`` calls ``basicConfig`` where there is no handler.
    """
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


def _compute_type(asked: str, device: Device) -> str:
    """As asked; ``auto`` is bfloat16 on cuda, where upstream runs it, and the safe float32 elsewhere."""
    if asked != "auto":
        return asked
    return "bfloat16" if device.resolved.startswith("cuda") else "float32"


def _folder(request: LoadRequest) -> Path:
    folder = request.weights
    if folder is None:
        raise WeightsError(f"{request.model.name} was given no weights to load", model=request.model.name)
    # accelerate, which upstream loads with, would take it instead of model.safetensors
    if (folder / "pytorch_model.bin").exists():
        raise WeightsError(
            f"{folder} holds pytorch_model.bin, a pickle, beside model.safetensors; remove it: code in a checkpoint is "
            "never run",
            model=request.model.name,
        )
    return folder


def _stored_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names.update(file.keys())
    return names


def _missing(model: LFM2AudioModel, stored: Iterable[str]) -> list[str]:
    """Tensors of the model that were not stored, under their name or that of one they are tied to.

    Upstream leaves such tensors random, and says nothing.
    """
    state = model.state_dict(keep_vars=True)
    present = set(stored)
    tied = {id(tensor) for name, tensor in state.items() if name in present}
    return [name for name, tensor in state.items() if name not in present and id(tensor) not in tied]


# Tables that are computed and not stored: nothing in the weights bounds them.
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
    """Return the configuration in *folder*, as upstream's ``from_pretrained`` reads it.

    Raises:
        WeightsError: If a setting that decides how much is computed is out of range.
    """
    content: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    for (section, name), (low, high) in _BOUNDS.items():
        value = content[section][name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            wanted = f"{low:g}" if low == high else f"between {low:g} and {high:g}"
            raise WeightsError(
                f"{folder}/config.json: its {section}.{name} is {value!r:.60}, not {wanted}; pull it again, or give "
                "another folder",
                model=str(folder),
            )
    for name, value in content["lfm"].items():
        if isinstance(value, float) and not math.isfinite(value):
            raise WeightsError(f"{folder}/config.json: its lfm.{name} is not finite; pull it again", model=str(folder))
    parts: dict[str, Any] = {
        "lfm": Lfm2Config(**content.pop("lfm")),
        "encoder": ConformerEncoderConfig(**content.pop("encoder")),
        "depthformer": DepthformerConfig(**content.pop("depthformer")),
        "preprocessor": PreprocessorConfig(**content.pop("preprocessor")),
    }
    return LFM2AudioConfig(**parts, **content)
