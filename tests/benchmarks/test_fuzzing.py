"""Truncated files of every container are refused or listed, and mutated files are decoded or refused."""

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
    """Return the modules of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        from benchmarks.fuzzing import containers, verdicts

        yield containers, verdicts


def _decode(data: bytes) -> float | AudioError:
    """Decode *data*, and return its seconds or the error."""
    try:
        with open_audio(data) as reader:
            for _ in reader.blocks():
                pass
            return reader.duration
    except AudioError as error:
        return error


@pytest.mark.parametrize("library", ["libsndfile", "ffmpeg"])
def test_every_container_cut_in_half_is_refused_or_listed(fuzzing: Any, library: str):
    """Half of a file is refused, with both lengths if the header declares one.

    Only containers that are listed with a reason may be decoded without an error.
    """
    containers, verdicts = fuzzing
    undetected: set[str] = set()
    tested: set[str] = set()
    for original in getattr(containers, f"written_by_{library}")(SPEECH_S):
        whole = _decode(original.data)
        if isinstance(whole, AudioError):
            continue
        tested.add(original.container)
        half = _decode(original.data[: len(original.data) // 2])
        if not isinstance(half, AudioError):
            assert half < 0.7 * whole
            undetected.add(original.container)
        elif half.reason == "truncated" and half.declared is not None:
            assert half.decoded is not None
            assert half.decoded < whole - 1
            # voc declares only the 4 KiB of each block
            assert half.declared > half.decoded + 1 or original.container == "ffmpeg voc"
    assert undetected <= {name for name in verdicts.UNDECLARED if name.startswith(library)}
    assert len(tested) > 20


def test_a_hundred_mutated_files_are_decoded_or_refused(tmp_path: Path):
    """A hundredth of the benchmark has no findings: each damaged file is audio or an `AudioError`."""
    record = tmp_path / "fuzzing.json"
    command = ["-m", "benchmarks.fuzzing", "--count", "100", "--seed", "14", "--record", str(record)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(record.read_text())
    assert figures["findings"] == []
    assert figures["table"]["rows"][-1][:2] == ["all", "100"]
    assert "libsndfile" in figures["table"]["title"]
    assert "libavcodec" in figures["table"]["title"]
