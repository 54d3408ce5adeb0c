"""Version of faster-whisper that `asrlab.compat.faster_whisper` replaces."""

__version__ = "1.2.1"
