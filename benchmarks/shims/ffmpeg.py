"""A replacement for the program ``ffmpeg`` as openai-whisper calls it, for machines without the program."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

__all__ = ["path_with_ffmpeg"]


def path_with_ffmpeg(folder: Path) -> str:
    """Return a ``PATH`` with an ``ffmpeg``: the machine's, or this module, linked into *folder*."""
    path = os.environ.get("PATH", "")
    if shutil.which("ffmpeg"):
        return path
    program = folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{path}"


def _main(arguments: list[str]) -> None:
    """Write *-i FILE* to standard output as 16 bit little-endian samples, mono, at *-ar HERTZ*."""
    import av

    source, rate = (arguments[arguments.index(flag) + 1] for flag in ("-i", "-ar"))
    resampler = av.AudioResampler(format="s16", layout="mono", rate=int(rate))
    with av.open(source) as container:
        for frame in (*container.decode(audio=0), None):
            for done in resampler.resample(frame):
                sys.stdout.buffer.write(done.to_ndarray().tobytes())


if __name__ == "__main__":
    _main(sys.argv[1:])
