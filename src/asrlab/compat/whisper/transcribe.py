"""openai-whisper's ``whisper.transcribe``, which is a function of the package and this module."""

from asrlab.compat.passed_on import pass_on
from asrlab.compat.whisper.__main__ import main as cli
from asrlab.compat.whisper.model import transcribe

__all__ = ["cli", "transcribe"]

__getattr__ = pass_on(__name__)
