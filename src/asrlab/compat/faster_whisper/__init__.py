"""What ``import faster_whisper`` gives, over any transcriber.

::

    from asrlab.compat.faster_whisper import WhisperModel

    segments, info = WhisperModel("base").transcribe("speech.wav", beam_size=5)

A size means faster-whisper's model of that size; ``engine/model`` is any model that asrlab knows. The modules are named
as upstream's, so that ``from faster_whisper.vad import VadOptions`` changes in the same way. Importing this imports no
engine.

Source: faster-whisper 1.2.1, whose names, arguments, defaults and records these are.
"""

from asrlab.compat.faster_whisper.audio import decode_audio
from asrlab.compat.faster_whisper.records import Segment, TranscriptionInfo, TranscriptionOptions, Word
from asrlab.compat.faster_whisper.transcribe import BatchedInferencePipeline, WhisperModel
from asrlab.compat.faster_whisper.utils import available_models, download_model, format_timestamp
from asrlab.compat.faster_whisper.vad import VadOptions

__all__ = [
    "BatchedInferencePipeline",
    "Segment",
    "TranscriptionInfo",
    "TranscriptionOptions",
    "VadOptions",
    "WhisperModel",
    "Word",
    "available_models",
    "decode_audio",
    "download_model",
    "format_timestamp",
]
