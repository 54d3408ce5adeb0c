"""The text normalizers of openai-whisper, passed on from the installed package."""

from asrlab.compat.passed_on import pass_on

__getattr__ = pass_on(__name__)
