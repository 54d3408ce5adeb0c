"""Drop-in replacement for ``faster_whisper``, over any transcriber.

::

    from asrlab.compat.faster_whisper import WhisperModel

    segments, info = WhisperModel("base").transcribe("speech.wav", beam_size=5)

A size selects faster-whisper's model of that size; ``engine/model`` selects any model of asrlab. The modules have
upstream's names, so that ``from faster_whisper.vad import VadOptions`` changes in the same way. The import loads no
engine.

Source: faster-whisper 1.2.1 for names, arguments, defaults and records.
"""

from asrlab.compat.delegation import delegate_missing
from asrlab.compat.faster_whisper.audio import decode_audio
from asrlab.compat.faster_whisper.conversion import Segment, TranscriptionInfo, TranscriptionOptions, Word
from asrlab.compat.faster_whisper.transcribe import BatchedInferencePipeline, WhisperModel
from asrlab.compat.faster_whisper.utils import available_models, download_model, format_timestamp
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.compat.faster_whisper.version import __version__

__all__ = [
    "BatchedInferencePipeline",
    "Segment",
    "TranscriptionInfo",
    "TranscriptionOptions",
    "VadOptions",
    "WhisperModel",
    "Word",
    "__version__",
    "available_models",
    "decode_audio",
    "download_model",
    "format_timestamp",
]

__getattr__ = delegate_missing(__name__)
