"""Loads LFM2.5-Audio from a folder in Hugging Face's layout, on any device."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from liquid_audio import LFM2AudioModel, LFM2AudioProcessor
from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig
from liquid_audio.processor import PreprocessorConfig
from safetensors import safe_open
from transformers import Lfm2Config

from asrlab.audio import SAMPLE_RATE
from asrlab.device import Device
from asrlab.engine.contract import TranscriberInfo
from asrlab.engine.spec import LoadRequest
from asrlab.engines.liquid_audio.recognizer import LiquidAudioRecognizer
from asrlab.engines.pytorch import refuse_oversized, refuse_threads
from asrlab.errors import WeightsError
from asrlab.options import Capabilities
from asrlab.vad import load_vad
from asrlab.weights import explain_failed_load

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
