"""openai-whisper's ``whisper.transcribe``, which is a function of the package and this module."""

from asrlab.compat.delegation import delegate_missing
from asrlab.compat.whisper.__main__ import main as cli
from asrlab.compat.whisper.model import transcribe

__all__ = ["cli", "transcribe"]

__getattr__ = delegate_missing(__name__)
