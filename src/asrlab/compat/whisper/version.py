"""Version of openai-whisper that `asrlab.compat.whisper` replaces."""

__version__ = "20250625"
