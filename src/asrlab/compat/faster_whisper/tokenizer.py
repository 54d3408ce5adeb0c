"""The languages of faster-whisper; its tokenizer is passed on from the installed package."""

from asrlab.compat.passed_on import pass_on
from asrlab.compat.whisper.tokenizer import LANGUAGES

_TASKS = ("transcribe", "translate")
_LANGUAGE_CODES = (*sorted(set(LANGUAGES) - {"yue"}), "yue")

__getattr__ = pass_on(__name__)
