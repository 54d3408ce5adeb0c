"""Audio in: anything decoded to mono float32 at 16 kHz, in blocks, and checked.

libsndfile decodes first; FFmpeg's libraries (through PyAV) decode what it cannot, or what it would cut short. Both go
by content, never by a file's name, and neither ever opens a second file or a network address.
"""

from __future__ import annotations

from asrlab.audio.reader import AudioReader, load_audio, load_samples, log_warnings, open_audio
from asrlab.audio.types import SAMPLE_RATE, Audio, AudioFile, AudioSource, AudioTrack, AudioWarning

__all__ = [
    "SAMPLE_RATE",
    "Audio",
    "AudioFile",
    "AudioReader",
    "AudioSource",
    "AudioTrack",
    "AudioWarning",
    "load_audio",
    "load_samples",
    "log_warnings",
    "open_audio",
]
