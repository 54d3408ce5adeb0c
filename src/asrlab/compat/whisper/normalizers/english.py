"""The English text normalizer of openai-whisper, passed on from the installed package."""

from asrlab.compat.delegation import delegate_missing

__getattr__ = delegate_missing(__name__)
