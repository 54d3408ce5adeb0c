"""Loads a folder in Hugging Face's layout, or an id of the hub."""

from __future__ import annotations

import torch

from asrlab import OptionError, TranscriberInfo, WeightsError
from asrlab.audio import SAMPLE_RATE
from asrlab.engines.pytorch import check_threads
from asrlab.plugin import LoadRequest
from asrlab.vad import load_vad
from asrlab_transformers.hub import find_folder
from asrlab_transformers.kinds import capabilities_of
from asrlab_transformers.pipeline import build_pipeline
from asrlab_transformers.recognizer import TransformersRecognizer

__all__ = ["load"]

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def load(request: LoadRequest) -> TransformersRecognizer:
    """Load the model on its device.

    Raises:
        EngineUnavailableError: The model needs a package that is not installed.
        OptionError: The compute type, or a number of threads, cannot be had.
        WeightsError: The weights are not here and cannot be fetched, or are no speech recognition model's.
    """
    device = request.device.resolved
    compute_type = _compute_type(request)
    check_threads(request.threads, engine="transformers")
    folder, model = find_folder(request)
    pipe = build_pipeline(folder, device=device, dtype=_DTYPES[compute_type])
    rate = pipe.feature_extractor.sampling_rate
    if rate != SAMPLE_RATE:
        raise WeightsError(f"{folder} takes audio at {rate} Hz; asrlab gives {SAMPLE_RATE} Hz", model=model.name)
    info = TranscriberInfo(
        model=model,
        device=request.device,
        compute_type=compute_type,
        threads=torch.get_num_threads() if device == "cpu" else None,
        capabilities=capabilities_of(pipe, languages=request.spec.languages if request.spec else None),
        packages=request.packages,
    )
    return TransformersRecognizer(info, pipe, vad=load_vad())


def _compute_type(request: LoadRequest) -> str:
    """Resolve the compute type; ``auto`` is float16 on cuda and float32 elsewhere."""
    device, asked = request.device.resolved, request.compute_type
    if asked == "auto":
        return "float16" if device.startswith("cuda") else "float32"
    if asked == "float16" and device == "cpu":
        raise OptionError(
            "transformers on the cpu is not run in float16; choose float32 or bfloat16",
            option="compute_type",
            supported=("float32", "bfloat16"),
        )
    return asked
