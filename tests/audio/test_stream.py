import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import open_audio
from asrlab.errors import AudioError, OptionError


@pytest.fixture
def wav(sound: Callable[..., Any], written: Callable[..., bytes]) -> bytes:
    """Half a second at 16 kHz."""
    return written(sound(0.5))


def _read(source: Any, **options: Any) -> NDArray[np.float32]:
    with open_audio(source, **options) as reader:
        return reader.read()


def _assert_refused(source: Any, **options: Any) -> AudioError:
    with pytest.raises(AudioError) as caught:
        _read(source, **options)
    return caught.value


def test_path_text_pathlib_bytes_and_file_object_give_the_same(wav: bytes, tmp_path: Path):
    """Every kind of source of a file gives the same samples."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav)
    with path.open("rb") as file:
        results = [_read(source) for source in (str(path), path, wav, bytearray(wav), io.BytesIO(wav), file)]
    assert all(np.array_equal(results[0], result) for result in results)
    assert results[0].shape == (8000,)


def test_unicode_file_name_is_opened(wav: bytes, tmp_path: Path):
    """A name beyond ASCII opens and is shown as it is."""
    path = tmp_path / "Grüße 日本語 🎙.wav"
    path.write_bytes(wav)
    with open_audio(path) as reader:
        assert reader.name == str(path)
        assert len(reader.read()) == 8000


def test_file_object_is_read_from_its_position_and_left_open(wav: bytes):
    """Bytes before the position are ignored, and the file object stays open."""
    file = io.BytesIO(b"something else" + wav)
    file.seek(14)
    assert len(_read(file)) == 8000
    assert not file.closed


def test_ffmpeg_reads_from_the_position_too(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """PyAV reads the stream from the position on."""
    file = io.BytesIO(b"x" * 1000 + encoded(sound(0.5), sample_rate=16_000, kind="ipod", codec="aac"))
    file.seek(1000)
    assert len(_read(file)) == pytest.approx(8000, abs=1300)


def test_pipe_is_read_whole(wav: bytes):
    """A file object that cannot seek is copied first."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reading, os.fdopen(write_end, "wb") as writing:
        thread = threading.Thread(target=lambda: (writing.write(wav), writing.close()))
        thread.start()
        assert len(_read(reading)) == 8000
        thread.join()
        assert not reading.closed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipe_is_read_whole(wav: bytes, tmp_path: Path):
    """A path that cannot seek is copied first, and closed."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=[wav])
    thread.start()
    assert len(_read(path)) == 8000
    thread.join()


def test_text_file_object_is_refused():
    """The error for a file opened without 'b' says so."""
    error = _assert_refused(io.StringIO("RIFF"))
    assert error.reason == "unreadable"
    assert "mode 'rb'" in error.message


def test_closed_file_object_is_refused(wav: bytes):
    """A closed file cannot be read, and the cause is chained."""
    file = io.BytesIO(wav)
    file.close()
    error = _assert_refused(file)
    assert error.reason == "unreadable"
    assert isinstance(error.__cause__, ValueError)


@pytest.mark.parametrize("kind", ["WAV", "MP3"])
@pytest.mark.parametrize("limit", [10, 20_000])
def test_file_object_that_fails_gives_its_own_error(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, limit: int, capfd: pytest.CaptureFixture[str]
):
    """An exception of the caller's file, early or late, is reported with either decoder, and nothing is printed."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = None) -> bytes:
            if self.tell() > limit:
                raise OSError("the disk is gone")
            return super().read(min(size or 0, limit))

    error = _assert_refused(Failing(written(sound(30), kind=kind)))
    assert error.reason == "unreadable"
    assert "the disk is gone" in error.message
    assert isinstance(error.__cause__, OSError)
    assert capfd.readouterr() == ("", "")


def test_missing_file_is_named():
    """The error for a missing path names it."""
    error = _assert_refused("no/such/file.wav")
    assert (error.reason, error.source) == ("missing", "no/such/file.wav")
    assert "check the path" in error.message
    assert isinstance(error.__cause__, FileNotFoundError)


def test_directory_is_refused(tmp_path: Path):
    """The error for a directory says so."""
    assert _assert_refused(tmp_path).reason == "directory"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(wav: bytes, tmp_path: Path):
    """A file without read permission is unreadable, and the cause is chained."""
    path = tmp_path / "secret.wav"
    path.write_bytes(wav)
    path.chmod(0)
    error = _assert_refused(path)
    assert error.reason == "unreadable"
    assert isinstance(error.__cause__, PermissionError)


def test_path_that_the_system_refuses_is_unreadable(tmp_path: Path):
    """Any other failure to open is unreadable, with the system's message."""
    loop = tmp_path / "loop.wav"
    loop.symlink_to(loop)
    error = _assert_refused(loop)
    assert error.reason == "unreadable"
    assert isinstance(error.__cause__, OSError)
    assert _assert_refused("nul\0byte.wav").reason == "unreadable"


@pytest.mark.parametrize("address", ["https://example.org/a.wav", "file:///etc/passwd", "FILE:a.wav", "rtsp://x/y"])
def test_address_is_refused(address: str):
    """Only local paths are opened."""
    error = _assert_refused(address)
    assert error.reason == "unreadable"
    assert "local files only" in error.message


def test_object_of_another_type_is_refused():
    """A list is refused, and the error lists the accepted sources."""
    error = _assert_refused([0.0, 0.1])
    assert error.reason == "unreadable"
    assert "type list" in error.message


@pytest.mark.parametrize("make", [lambda wav: wav, io.BytesIO, lambda _: "a.wav", lambda _: Path("a.wav")])
def test_sample_rate_for_a_file_is_refused(wav: bytes, make: Callable[[bytes], Any]):
    """A file states its own rate."""
    with pytest.raises(OptionError, match="leave it out") as caught:
        open_audio(make(wav), sample_rate=16_000)
    assert caught.value.option == "sample_rate"
