"""A data set of short tones with different texts of the echo engine."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_clips"]

_SAMPLE_RATE = 16_000
_LOUDNESS = (("silence", 0.0), ("quiet", 0.003), ("loud", 0.3))
_SECONDS = (1.0, 1.0, 0.1)


def write_clips(folder: Path, count: int) -> Path:
    """Write *count* clips of 2.1 s as WAV, each with its text; a text is repeated after 27 clips at the earliest."""
    import numpy as np
    import soundfile

    folder.mkdir(parents=True)
    for number in range(count):
        words = [_LOUDNESS[number // 3**position % 3] for position in range(len(_SECONDS))]
        parts = [
            scale * np.sin(np.arange(int(seconds * _SAMPLE_RATE)) / 5)
            for (_, scale), seconds in zip(words, _SECONDS, strict=True)
        ]
        name = f"clip-{number:04}"
        soundfile.write(folder / f"{name}.wav", np.concatenate(parts), _SAMPLE_RATE)
        (folder / f"{name}.txt").write_text(" ".join(word for word, _ in words) + "\n", encoding="utf-8")
    return folder
