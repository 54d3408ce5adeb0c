"""``import asrlab.compat.whisper as whisper``: openai-whisper's interface over any transcriber.

A name of openai-whisper's loads its model through asrlab, and gives what openai-whisper gives; ``engine/model`` loads
any other. Nothing of openai-whisper or torch is imported before a model needs it. What differs stands in the how-to
page "From openai-whisper".
"""

from __future__ import annotations

from asrlab.compat.whisper import audio, decoding, tokenizer, utils
from asrlab.compat.whisper.arguments import Arguments
from asrlab.compat.whisper.audio import Spectrogram, load_audio, log_mel_spectrogram, pad_or_trim
from asrlab.compat.whisper.decoding import DecodingOptions, DecodingResult, decode, detect_language
from asrlab.compat.whisper.model import Model, ModelDimensions, Whisper, available_models, load_model
from asrlab.compat.whisper.transcription import Result, transcribe

__all__ = [
    "Arguments",
    "DecodingOptions",
    "DecodingResult",
    "Model",
    "ModelDimensions",
    "Result",
    "Spectrogram",
    "Whisper",
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

__version__ = "20250625"
"""The openai-whisper whose interface this is."""
