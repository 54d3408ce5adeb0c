"""The patch of faster-whisper, with the real package and the installed PyAV."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import asrlab
from asrlab.patches.direct import patched

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
decoding = sys.modules["faster_whisper.audio"]

NAME = "faster-whisper-pyav-metadata-errors"
NEW_AV = int(av.__version__.partition(".")[0]) >= 19

needs_new = pytest.mark.skipif(not NEW_AV, reason="PyAV before 19 accepts metadata_errors: upstream works here")


class OlderAv:
    """A stand-in for PyAV 16 to 18, whose ``open`` accepts the argument."""

    __version__ = "18.0"

    def __getattr__(self, name: str) -> Any:
        return getattr(av, name)

    def open(self, *arguments: Any, metadata_errors: str = "strict", **named: Any) -> Any:
        """Open a file as PyAV does."""
        assert metadata_errors in ("strict", "ignore")
        return av.open(*arguments, **named)


@needs_new
def test_a_file_can_be_decoded_only_with_the_patch(clips: tuple[Path, ...]):
    """With PyAV 19 faster-whisper decodes files only while it is patched, and then as asrlab does."""
    expected = asrlab.load_audio(clips[1]).samples
    for _ in range(2):
        with pytest.raises(TypeError, match="unexpected keyword argument 'metadata_errors'"):
            decoding.decode_audio(str(clips[1]))
        with patched("faster-whisper", device="cpu") as scope:
            assert [(status.name, status.status) for status in scope.report] == [(NAME, "applied")]
            samples = decoding.decode_audio(str(clips[1]))
            np.testing.assert_allclose(samples, expected, atol=1e-4)
            assert decoding.av.audio is av.audio
            assert isinstance(decoding.av.error.InvalidDataError(1, "a", "b"), av.error.FFmpegError)
            with pytest.raises(FileNotFoundError):
                decoding.decode_audio("missing.wav")
        assert decoding.av is av
    with pytest.raises(TypeError):
        av.open(str(clips[1]), metadata_errors="ignore")


@needs_new
def test_other_code_uses_the_original_pyav():
    """Only faster-whisper's module for decoding has another ``av``."""
    with patched("faster-whisper", device="cpu"):
        assert decoding.av is not av
        assert sys.modules["av"] is av
        with pytest.raises(TypeError, match="metadata_errors"):
            av.open("missing.wav", metadata_errors="ignore")


def test_an_older_pyav_needs_no_patch():
    """The patch is not needed if ``av.open`` accepts the argument."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "av", older := OlderAv())
        with patched("faster-whisper", device="cpu") as scope:
            assert scope.status(NAME) == "not-needed"
            assert scope.report[0].reason == "PyAV 18.0 accepts metadata_errors"
            assert decoding.av is older


@pytest.mark.parametrize("removed", ["", "av", "decode_audio"])
def test_the_patch_is_retired_if_upstream_is_fixed(clips: tuple[Path, ...], removed: str):
    """A fixed ``decode_audio`` needs no patch, even if ``decode_audio`` or ``av`` is no longer in the module."""
    source = inspect.getsource(decoding.decode_audio)
    assert 'metadata_errors="ignore"' in source
    names = dict(vars(decoding))
    exec(source.replace(', metadata_errors="ignore"', ""), names)  # noqa: S102 - upstream's own code
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "decode_audio", names["decode_audio"])
        if removed:
            patch.delattr(decoding, removed)
        with patched("faster-whisper", device="cpu") as scope:
            assert scope.status(NAME) == "retired"
            assert vars(decoding).get("av") is (None if removed == "av" else av)
            assert removed or len(decoding.decode_audio(str(clips[1]))) == 47_840


@needs_new
def test_the_engine_skips_the_patch_unless_named(use_weights: Path):
    """The engine passes arrays and skips the patch, unless the patch is named."""
    with asrlab.load("faster-whisper/base", device="cpu") as transcriber:
        assert [status.status for status in transcriber.patch_report] == ["skipped"]
        assert "asrlab's engine avoids the fault" in transcriber.patch_report[0].reason
        assert decoding.av is av
    with asrlab.load("faster-whisper/base", device="cpu", patches=NAME) as transcriber:
        assert [status.status for status in transcriber.patch_report] == ["applied"]
        assert decoding.av is not av
    assert decoding.av is av


INSTALL = """
import sys, asrlab
patches = asrlab.patches.install_patches("faster-whisper", device="cpu")
assert "faster_whisper" not in sys.modules
import faster_whisper
assert len(faster_whisper.decode_audio(sys.argv[1])) == 47_840
print([status.status for status in patches.report])
patches.remove()
try:
    faster_whisper.decode_audio(sys.argv[1])
except TypeError as error:
    print(error)
"""


@needs_new
def test_a_process_can_be_patched(clips: tuple[Path, ...]):
    """``install_patches`` before the import patches faster-whisper for the rest of the process."""
    done = subprocess.run([sys.executable, "-c", INSTALL, str(clips[1])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['applied']", "open() got an unexpected keyword argument 'metadata_errors'"]
