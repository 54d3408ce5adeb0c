"""The languages of faster-whisper; its tokenizer is passed on from the installed package."""

from asrlab.compat.delegation import delegate_missing
from asrlab.compat.whisper.tokenizer import LANGUAGES

_TASKS = ("transcribe", "translate")
_LANGUAGE_CODES = (*sorted(set(LANGUAGES) - {"yue"}), "yue")

__getattr__ = delegate_missing(__name__)
