"""Sounds and files made on the spot."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray


def _sound(seconds: float, *, sample_rate: int = 16_000, channels: int = 1) -> NDArray[np.float32]:
    """A sweep under noise: no two stretches are alike, and nothing lies above 3 kHz."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    mono = 0.3 * np.sin(2 * np.pi * (200 * time + 100 * np.sin(3 * time)))
    mono += 0.1 * np.sin(2 * np.pi * 1700 * time + 5 * np.sin(time))
    return np.stack([mono / (1 + index) for index in range(channels)], axis=1).astype(np.float32)


def _written(
    samples: NDArray[np.float32], *, sample_rate: int = 16_000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """*samples* as a file that libsndfile writes."""
    file = io.BytesIO()
    sf.write(file, samples, sample_rate, format=kind, subtype=subtype)
    return file.getvalue()


def _encoded(
    samples: NDArray[np.float32], *, sample_rate: int, kind: str, codec: str, options: dict[str, str] | None = None
) -> bytes:
    """*samples*, shape (n, channels), as a file that FFmpeg's libraries write."""
    file = io.BytesIO()
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
    """`_sound`: float32, shape (n, channels)."""
    return _sound


@pytest.fixture(scope="session")
def written() -> Callable[..., bytes]:
    """`_written`: a WAV unless told otherwise."""
    return _written


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """`_encoded`: what libsndfile does not write."""
    return _encoded


def _film(
    tracks: Sequence[NDArray[np.float32]],
    *,
    sample_rate: int,
    kind: str,
    codec: str,
    place: Callable[[float], float | None] = float,
    picture: str | None = None,
    film_s: float = 0.0,
    tags: Sequence[dict[str, str]] = (),
) -> bytes:
    """Several tracks, each of shape (n, channels), in one file.

    Args:
        tracks: The sound of each track.
        sample_rate: Hz.
        kind: FFmpeg's name of the container.
        codec: Of the sound.
        place: From the second at which a packet begins to that at which it is to be heard; None drops the packet.
        picture: Codec of a track of pictures; None for none.
        film_s: Seconds that the pictures last.
        tags: The tags of each track of sound.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        packets = []
        if picture is not None:
            packets += _pictures(container, picture, film_s)
        streams = [_audio_stream(container, samples, sample_rate=sample_rate, codec=codec) for samples in tracks]
        for (stream, _), metadata in zip(streams, tags, strict=False):
            stream.metadata.update(metadata)
        for stream, frames in streams:
            for packet in (packet for frame in frames for packet in stream.encode(frame)):
                then = place(float(packet.pts * packet.time_base))
                if then is not None:
                    packet.pts = packet.dts = round(then / packet.time_base)
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return file.getvalue()


def _audio_stream(
    container: Any, samples: NDArray[np.float32], *, sample_rate: int, codec: str
) -> tuple[Any, list[Any]]:
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    stream = container.add_stream(codec, rate=sample_rate, layout=layout)
    stream.bit_rate = 96_000
    stream.codec_context.open()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout=layout, rate=sample_rate, frame_size=stream.frame_size or 1024
    )
    return stream, [*resampler.resample(frame), *resampler.resample(None), None]


def _pictures(container: Any, codec: str, seconds: float) -> list[Any]:
    stream = container.add_stream(codec, rate=2, width=16, height=16)
    stream.pix_fmt = "yuv420p"
    packets = []
    for index in range(round(2 * seconds)):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 80 + index, dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 2)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


@pytest.fixture(scope="session")
def film() -> Callable[..., bytes]:
    """`_film`: sound whose packets lie where the test puts them, with pictures beside it if wanted."""
    return _film
