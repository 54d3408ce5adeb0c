"""Drop-in replacement for openai-whisper, over any transcriber: ``import asrlab.compat.whisper as whisper``.

A model name of openai-whisper loads that model through asrlab and returns what openai-whisper returns; ``engine/model``
loads any other model. openai-whisper and torch are imported only when a model needs them. The how-to page "From
openai-whisper" lists the differences.
"""

from __future__ import annotations

from asrlab.compat.delegation import delegate_missing
from asrlab.compat.whisper import audio, decoding, tokenizer, utils
from asrlab.compat.whisper.audio import Spectrogram, load_audio, log_mel_spectrogram, pad_or_trim
from asrlab.compat.whisper.decoding import Arguments, DecodingOptions, DecodingResult, decode, detect_language
from asrlab.compat.whisper.model import (
    Model,
    ModelDimensions,
    TranscriptionResult,
    Whisper,
    available_models,
    load_model,
    transcribe,
)
from asrlab.compat.whisper.version import __version__

__all__ = [
    "Arguments",
    "DecodingOptions",
    "DecodingResult",
    "Model",
    "ModelDimensions",
    "Spectrogram",
    "TranscriptionResult",
    "Whisper",
    "__version__",
    "audio",
    "available_models",
    "decode",
    "decoding",
    "detect_language",
    "load_audio",
    "load_model",
    "log_mel_spectrogram",
    "pad_or_trim",
    "tokenizer",
    "transcribe",
    "utils",
]

__getattr__ = delegate_missing(__name__)
