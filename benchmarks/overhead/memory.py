"""Memory of reading a long recording in blocks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

__all__ = ["Decoding", "measure_decoding"]

_HERE = Path(__file__).parent
_SUFFIXES = (".flac", ".m4a", ".mp3")


@attrs.frozen(kw_only=True)
class Decoding:
    """The decoding of one file in a separate process.

    Attributes:
        format: Suffix of the file without the dot; the audio is 44.1 kHz, stereo.
        decoder: Name of asrlab's decoder.
        seconds: Duration of the audio.
        decoding_seconds: Time to decode the file.
        interpreter_bytes: Peak resident memory after the start of the interpreter.
        peak_bytes: Peak resident memory at the end, including numpy and the decoders' libraries.
    """

    format: str
    decoder: str
    seconds: float
    decoding_seconds: float
    interpreter_bytes: int
    peak_bytes: int

    @property
    def extra_mib(self) -> float:
        """MiB above the interpreter alone."""
        return (self.peak_bytes - self.interpreter_bytes) / 2**20


def measure_decoding(*, minutes: int) -> tuple[Decoding, ...]:
    """Write a recording of *minutes* in each format, and measure reading the recording in blocks."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_measure(Path(folder) / f"long{suffix}", minutes=minutes) for suffix in _SUFFIXES)


def _measure(path: Path, *, minutes: int) -> Decoding:
    # another process writes the file, so that the figures exclude writing
    subprocess.run([sys.executable, str(_HERE / "long_files.py"), str(path), str(minutes)], check=True)
    command = [sys.executable, str(_HERE / "decode_blocks.py"), str(path)]
    facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    path.unlink()
    return Decoding(format=path.suffix[1:], **facts)
