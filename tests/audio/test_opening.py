"""Damaged and lying headers are refused with a reason, and cost neither memory nor a crash."""

import io
import os
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from asrlab.audio import load_audio, open_audio
from asrlab.audio.pyav_decoder import limited_allocations
from asrlab.errors import AudioError
from asrlab.evaluation.metrics import peak_resident_bytes, resident_bytes


def _assert_refused(data: bytes, **options: Any) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_audio(data, **options)
    return caught.value


def _formats_of_any_rate() -> list[str]:
    """Return the formats of libsndfile that can declare a sample rate of 1 Hz and are known by their content."""
    samples = np.zeros((100, 1), dtype=np.float32)
    kinds = []
    for kind in sorted({*sf.available_formats()} - {"RAW", "SD2", "MP3", "OGG"}):
        try:
            file = io.BytesIO()
            sf.write(file, samples, 1, format=kind, subtype=sf.available_subtypes(kind).popitem()[0])
            file.seek(0)
            if sf.info(file).samplerate == 1:
                kinds.append(kind)
        except sf.LibsndfileError:
            continue
    return kinds


@pytest.mark.parametrize("kind", _formats_of_any_rate())
def test_sample_rate_out_of_range_is_refused_at_opening(kind: str):
    """A rate of 1 Hz, which would turn each sample into 16,000, is refused before allocation in any container."""
    file = io.BytesIO()
    subtype = sf.available_subtypes(kind).popitem()[0]
    sf.write(file, np.zeros((100, 1), dtype=np.float32), 1, format=kind, subtype=subtype)
    with pytest.raises(AudioError, match="out of range") as caught:
        open_audio(file.getvalue())
    assert caught.value.reason == "out-of-range"
    assert "1,000 to 1,000,000" in caught.value.message


@pytest.mark.parametrize("rate", [1, 2, 100, 999, 1_000_001, 2**31 - 1])
def test_wav_that_declares_an_impossible_rate_is_refused(written: Callable[..., bytes], rate: int):
    """Both limits apply, and the message has the rate."""
    data = bytearray(written(np.zeros((16_000, 1), dtype=np.float32)))
    data[24:28] = struct.pack("<I", rate)
    error = _assert_refused(bytes(data))
    assert error.reason == "out-of-range"
    assert f"{rate} Hz" in error.message


@pytest.mark.parametrize("kind", ["matroska", "avi", "mov", "nut"])
@pytest.mark.parametrize("rate", [500, 2_000_000])
def test_rate_out_of_range_is_refused_for_ffmpeg(
    sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str, rate: int
):
    """The same limits apply to FFmpeg's containers."""
    error = _assert_refused(encoded(sound(1.0), sample_rate=rate, kind=kind, codec="pcm_s16le"))
    assert error.reason == "out-of-range"


@pytest.mark.parametrize("rate", [1, 0x01000000, 0x7FFFFFFF])
def test_adx_of_an_impossible_rate_never_reaches_ffmpeg(
    sound: Callable[..., Any], encoded: Callable[..., bytes], rate: int
):
    """FFmpeg would divide by a bit rate that overflows to 0, and the process would end."""
    data = bytearray(encoded(sound(1.0), sample_rate=16_000, kind="adx", codec="adpcm_adx"))
    assert load_audio(bytes(data)).duration == pytest.approx(1.0, abs=0.01)
    data[8:12] = struct.pack(">I", rate)
    assert _assert_refused(bytes(data)).reason == "out-of-range"


@pytest.mark.parametrize("channels", [257, 1000, 1024, 1025, 65_535])
def test_impossible_channel_count_is_refused(written: Callable[..., bytes], channels: int):
    """An impossible number of channels is refused for libsndfile and for FFmpeg."""
    data = bytearray(written(np.zeros((65_535, 1), dtype=np.float32)))
    data[22:24] = struct.pack("<H", channels)
    error = _assert_refused(bytes(data))
    if channels <= 1024 or error.reason != "undecodable":  # more are refused by FFmpeg itself before PyAV 19
        assert error.reason == "out-of-range"
        assert f"{channels} channels" in error.message


@pytest.mark.parametrize("tag", [0x000A, 0x0270, 0x4242, 0xFFFF])
def test_wav_of_an_unknown_codec_is_refused(written: Callable[..., bytes], tag: int):
    """A codec that neither library has, or that cannot be opened (WMA Voice), is an AudioError."""
    data = bytearray(written(np.zeros((16_000, 1), dtype=np.float32)))
    data[20:22] = struct.pack("<H", tag)
    assert _assert_refused(bytes(data)).reason == "undecodable"


class _BrokenDecoder:
    """Decoder that raises an exception no decoder should raise."""

    name, declared, available, tolerance, failure, lost, track = "pyav", None, None, 0.0, "", 0.0, None

    def blocks(self, *, offset: float) -> Any:
        """Raise."""
        raise ValueError(f"cannot decode unknown codec at {offset}")
        yield

    def close(self) -> None:
        """Do nothing."""


def test_any_exception_of_a_decoder_is_an_audio_error(
    sound: Callable[..., Any], written: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
):
    """Exceptions of native code become an AudioError, at opening and while reading."""
    monkeypatch.setattr("asrlab.audio.decoder.open_with_soundfile", lambda _stream: _BrokenDecoder())
    error = _assert_refused(written(sound(0.1)))
    assert error.reason == "undecodable"
    assert "ValueError: cannot decode unknown codec" in error.message

    def fail(_stream: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr("asrlab.audio.decoder.open_with_soundfile", fail)
    assert "RuntimeError: no more" in _assert_refused(written(sound(0.1))).message


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is reset through Linux")  # noqa: PTH110
@pytest.mark.parametrize("codec", [1, 0x55], ids=["pcm", "mp3"])
def test_tag_of_two_gigabytes_takes_no_memory(sound: Callable[..., Any], written: Callable[..., bytes], codec: int):
    """A chunk that declares more than the size of the file is not allocated."""
    data = bytearray(written(sound(1.5)))
    data[20:22] = struct.pack("<H", codec)
    lie = b"LIST" + struct.pack("<I", 0x7FFFFFF0) + b"INFOINAM" + struct.pack("<I", 0x7FFFFFE0)
    with open("/proc/self/clear_refs", "w") as peak:  # noqa: PTH123
        peak.write("5")
    before = resident_bytes()
    assert before is not None
    _assert_refused(bytes(data[:12] + lie + data[12:]))
    assert (peak_resident_bytes() or 0) - before < 200 * 2**20


def test_the_limit_of_allocations_ends_with_its_last_user(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """Two threads share the limit; afterwards FFmpeg allocates as before."""
    import av

    frame = 200 * 2**20
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with limited_allocations():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with limited_allocations():
        pass
    with pytest.raises((MemoryError, av.error.FFmpegError)):
        av.AudioFrame(format="flt", layout="mono", samples=frame // 4)
    leave.set()
    thread.join()
    assert av.AudioFrame(format="flt", layout="mono", samples=frame // 4).samples == frame // 4
