"""Sounds and files made on the spot."""

import io
from collections.abc import Callable

import av
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray


def _sound(seconds: float, *, sample_rate: int = 16_000, channels: int = 1) -> NDArray[np.float32]:
    """Return a sweep under noise: no two parts are alike, and nothing lies above 3 kHz."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    mono = 0.3 * np.sin(2 * np.pi * (200 * time + 100 * np.sin(3 * time)))
    mono += 0.1 * np.sin(2 * np.pi * 1700 * time + 5 * np.sin(time))
    return np.stack([mono / (1 + index) for index in range(channels)], axis=1).astype(np.float32)


def _written(
    samples: NDArray[np.float32], *, sample_rate: int = 16_000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """Return *samples* as a file that libsndfile writes."""
    file = io.BytesIO()
    sf.write(file, samples, sample_rate, format=kind, subtype=subtype)
    return file.getvalue()


def _encoded(
    samples: NDArray[np.float32],
    *,
    sample_rate: int,
    kind: str,
    codec: str,
    options: dict[str, str] | None = None,
    file: io.BytesIO | None = None,
) -> bytes:
    """Return *samples*, shape (n, channels), as a file that FFmpeg's libraries write; *file* may be unseekable."""
    file = io.BytesIO() if file is None else file
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(file, "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        stream.bit_rate = 96_000
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate = sample_rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=sample_rate, frame_size=stream.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    return file.getvalue()


@pytest.fixture(scope="session")
def sound() -> Callable[..., NDArray[np.float32]]:
    """Return `_sound`: float32, shape (n, channels)."""
    return _sound


@pytest.fixture(scope="session")
def written() -> Callable[..., bytes]:
    """Return `_written`, which writes a WAV by default."""
    return _written


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """Return `_encoded`, for formats that libsndfile does not write."""
    return _encoded
