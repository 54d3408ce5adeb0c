"""The configuration of an LFM2-Audio model, checked before anything is built from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig
from liquid_audio.processor import PreprocessorConfig
from transformers import Lfm2Config

from asrlab.audio import SAMPLE_RATE
from asrlab.errors import WeightsError

__all__ = ["read_config"]

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
