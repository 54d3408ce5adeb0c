"""The original files: real speech in every container that libsndfile and FFmpeg's libraries can write."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs
import av
import numpy as np
import soundfile
import soxr
from av.format import ContainerFormat
from numpy.typing import NDArray

import asrlab

__all__ = ["Original", "written_by_ffmpeg", "written_by_libsndfile"]

_RATES = (16_000, 48_000, 44_100, 8_000)
_USES_NO_FILE = 0x0001  # AVFMT_NOFILE: devices, and muxers that write several files
# Muxers that write checksums or a script, not audio.
_WITHOUT_AUDIO = frozenset({"crc", "framecrc", "framehash", "framemd5", "hash", "md5", "null", "streamhash", "tee"})
_MORE_CODECS = {
    "3g2": ("aac",),
    "3gp": ("aac",),
    "avi": ("pcm_s16le", "ac3"),
    "caf": ("alac",),
    "flv": ("aac",),
    "matroska": ("aac", "flac", "libopus", "libvorbis", "pcm_s16le"),
    "mov": ("alac", "pcm_s16le"),
    "mp4": ("alac", "flac", "libopus"),
    "mpegts": ("aac",),
    "mxf": ("pcm_s16le",),
    "nut": ("pcm_s16le", "libvorbis"),
    "ogg": ("libvorbis", "libopus", "flac"),
    "opus": ("libopus",),
    "wav": ("adpcm_ms", "libmp3lame"),
    "webm": ("libopus", "libvorbis"),
}
_CODEC_NAMES = {"amr_nb": "libopencore_amrnb", "mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis"}


@attrs.frozen(kw_only=True)
class Original:
    """A complete file.

    Attributes:
        container: The writing library and its name for the container, such as ``ffmpeg mp4``.
        codec: The library's name for the codec or the sample type.
        data: The bytes.
    """

    container: str
    codec: str
    data: bytes = attrs.field(repr=False)


def written_by_libsndfile(seconds: float) -> Iterator[Original]:
    """Yield *seconds* of speech in every format and subtype that libsndfile writes."""
    for kind in sorted({*soundfile.available_formats()} - {"SD2"}):  # Sound Designer II writes a second file
        for subtype in soundfile.available_subtypes(kind):
            for rate in _RATES:
                file = io.BytesIO()
                try:
                    soundfile.write(file, _speech(seconds, rate), rate, format=kind, subtype=subtype)
                except (ValueError, soundfile.LibsndfileError):  # unsupported rate or codec
                    continue
                yield Original(container=f"libsndfile {kind}", codec=subtype, data=file.getvalue())
                break


def written_by_ffmpeg(seconds: float) -> Iterator[Original]:
    """Yield *seconds* of speech in every container that FFmpeg's libraries write, with its usual codecs."""
    av.logging.set_level(None)
    for name in sorted(av.formats_available - _WITHOUT_AUDIO):
        for codec in _list_codecs(name):
            for rate in _RATES:
                try:
                    data = _encode(_speech(seconds, rate), rate=rate, container=name, codec=codec)
                except (av.error.FFmpegError, ValueError, NotImplementedError):  # unsupported rate or codec
                    continue
                if data:
                    yield Original(container=f"ffmpeg {name}", codec=codec, data=data)
                    break


def _list_codecs(name: str) -> list[str]:
    """Return the codecs for the container *name*; none if FFmpeg does not write the container to one file."""
    try:
        container = ContainerFormat(name, "w")
    except ValueError:  # FFmpeg cannot write the container
        return []
    if int(container.flags) & _USES_NO_FILE:
        return []
    with av.open(io.BytesIO(), "w", format=name) as file, warnings.catch_warnings():
        usual = getattr(file, "default_audio_codec", None)
    codecs = [] if usual in (None, "none") else [_CODEC_NAMES.get(usual, usual)]
    return list(dict.fromkeys([*codecs, *_MORE_CODECS.get(name, ())]))


def _encode(samples: NDArray[np.float32], *, rate: int, container: str, codec: str) -> bytes:
    """Encode mono *samples* as a file of *container*."""
    output = io.BytesIO()
    with av.open(output, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        context = stream.codec_context
        context.open()
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=context.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
        )
        for resampled in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(resampled))
    return output.getvalue()


@cache
def _speech(seconds: float, rate: int) -> NDArray[np.float32]:
    """Return *seconds* of the first embedded clip at *rate* Hz."""
    utterance = next(iter(asrlab.evaluation.load_dataset("smoke")))
    assert utterance.audio is not None  # noqa: S101 - the embedded clips are files
    samples = asrlab.load_audio(utterance.audio).samples[: round(seconds * asrlab.audio.SAMPLE_RATE)]
    return np.ascontiguousarray(soxr.resample(samples, asrlab.audio.SAMPLE_RATE, rate))
