"""Decoding of any audio source to checked mono float32 blocks at 16 kHz.

libsndfile decodes first. FFmpeg's libraries, through PyAV, decode the files that libsndfile cannot read or would cut
short. Both recognize a file by its content, never by its name, and neither opens a second file or a network address.
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
