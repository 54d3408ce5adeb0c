"""No container that the libraries here write loses its end in silence, and no mutated file does harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asrlab.audio import open_audio
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SPEECH_S = 4.0
ALMOST_ALL_S = 3.5


@pytest.fixture(scope="module")
def fuzzing() -> Iterator[Any]:
    """The benchmark's modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        from benchmarks.fuzzing import containers, judging

        yield containers, judging


def _decoded(data: bytes) -> float | AudioError:
    """Return the seconds in *data*, or why they were refused."""
    try:
        with open_audio(data) as reader:
            for _ in reader.blocks():
                pass
            return reader.duration
    except AudioError as error:
        return error


@pytest.mark.parametrize("library", ["libsndfile", "ffmpeg"])
def test_every_container_cut_in_half_is_refused_or_listed(fuzzing: Any, library: str):
    """A file of which half is left is refused, with both lengths where the header has one.

    Those that cannot tell are listed with the reason, and no other is.
    """
    containers, judging = fuzzing
    silent: set[str] = set()
    seen: set[str] = set()
    for original in getattr(containers, f"written_by_{library}")(SPEECH_S):
        whole = _decoded(original.data)
        if isinstance(whole, AudioError):
            continue
        seen.add(original.container)
        half = _decoded(original.data[: len(original.data) // 2])
        if not isinstance(half, AudioError):
            assert half < 0.7 * whole
            silent.add(original.container)
        elif half.reason == "truncated" and half.declared is not None:
            assert half.decoded is not None
            assert half.decoded < whole - 1
            assert half.declared > half.decoded + 1 or original.container == "ffmpeg voc"  # 4 KiB in each of its blocks
    assert silent <= {name for name in judging.UNDECLARED if name.startswith(library)}
    assert len(seen) > 20


def test_a_hundred_mutated_files_are_decoded_or_refused(tmp_path: Path):
    """A hundredth of the benchmark, seeded: nothing but audio or an `AudioError` comes of damage."""
    record = tmp_path / "fuzzing.json"
    command = ["-m", "benchmarks.fuzzing", "--count", "100", "--seed", "14", "--record", str(record)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(record.read_text())
    assert written["findings"] == []
    assert written["table"]["rows"][-1][:2] == ["all", "100"]
    assert "libsndfile" in written["table"]["title"]
    assert "libavcodec" in written["table"]["title"]
