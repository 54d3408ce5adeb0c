"""``asrlab transcribe`` of files with tracks, gaps, and channels that cancel: what was found reaches users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import asrlab


@pytest.fixture
def folder(tmp_path: Path, film: Callable[..., bytes]) -> Path:
    """``two.mkv`` with a loud and a quiet track, ``gap.mkv`` with 3 s missing, and ``opposite.wav``; 6 s of noise."""
    loud = (0.2 * np.random.default_rng(0).standard_normal((6 * 16_000, 1))).astype(np.float32)
    tags = ({"language": "eng"}, {"language": "deu"})
    facts = {"sample_rate": 16_000, "kind": "matroska", "codec": "pcm_s16le"}
    (tmp_path / "two.mkv").write_bytes(film([loud, loud / 50], tags=tags, **facts))
    (tmp_path / "gap.mkv").write_bytes(film([loud], packet_time=lambda s: s if s < 2 else s + 3, **facts))
    soundfile.write(tmp_path / "opposite.wav", np.hstack([loud, -loud]), 16_000)
    return tmp_path


def test_track_is_chosen_by_its_number(asrlab_cli: Any, folder: Path):
    """--track N takes it; without, the first is used, which standard error and the transcript tell."""
    first = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--json", cwd=folder)
    assert "warning: 'two.mkv' has 2 audio tracks: track 1 of 2 (eng)" in first.err
    (done,) = first.json["files"]
    assert done["transcript"]["text"] == "loud loud loud loud loud loud"
    assert done["transcript"]["asrlab"]["track"] == {"number": 1, "count": 2, "language": "eng", "title": None}
    second = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--track", "2", cwd=folder)
    assert (second.code, second.out, second.err) == (0, "quiet quiet quiet quiet quiet quiet\n", "")


def test_track_of_standard_input_is_chosen(asrlab_cli: Any, folder: Path):
    """A pipe has tracks, too."""
    ran = asrlab_cli("transcribe", "-", "-m", "echo", "--track", "2", stdin=(folder / "two.mkv").read_bytes())
    assert (ran.code, ran.out) == (0, "quiet quiet quiet quiet quiet quiet\n")


def test_track_that_is_not_there_lists_the_others(asrlab_cli: Any, folder: Path):
    """The exit code is that of bad audio."""
    ran = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--track", "3", cwd=folder)
    assert ran.code == 4
    assert "track 1 of 2 (eng), pcm_s16le; track 2 of 2 (deu), pcm_s16le" in ran.err


def test_gap_is_told_and_times_are_right(asrlab_cli: Any, folder: Path):
    """Standard error and the transcript have the warning; what follows the gap is on time."""
    ran = asrlab_cli("transcribe", "gap.mkv", "-m", "echo", "--json", cwd=folder)
    assert ran.code == 0
    (done,) = ran.json["files"]
    assert done["transcript"]["text"] == "loud loud loud silence silence loud loud loud loud"  # from 2.05 to 5.05 s
    (warning,) = done["transcript"]["asrlab"]["warnings"]
    assert warning["code"] == "gap"
    assert f"warning: {warning['message']}" in ran.err
    assert "3.00 s in all" in warning["message"]


def test_opposite_channels_are_heard(asrlab_cli: Any, folder: Path):
    """Their mean is silence; a single channel is not."""
    ran = asrlab_cli("transcribe", "opposite.wav", "-m", "echo", cwd=folder)
    assert (ran.code, ran.out) == (0, "loud loud loud loud loud loud\n")
    assert "cancel each other out (opposite phase) in 6.00 of 6.00 s" in ran.err


def test_transcript_with_a_track_comes_back_from_json(folder: Path):
    """The track is in the document, and documents without one are read as before."""
    with asrlab.load("echo") as transcriber:
        transcript = transcriber.transcribe(folder / "two.mkv", track=2)
        assert asrlab.Transcript.from_json(transcript.to("json")) == transcript
        plain = transcriber.transcribe(folder / "gap.mkv")
    assert transcript.track is not None
    assert transcript.track.language == "deu"
    assert '"track": {' not in plain.to("json")
    assert asrlab.Transcript.from_json(plain.to("json")) == plain


def test_run_keeps_the_track_and_the_warnings(folder: Path):
    """They stand in the records of a bench, from which the transcript comes back."""
    from asrlab.evaluation.runs.load import load_run_records
    from asrlab.testing.in_process import InProcessExecutor

    for name in ("two", "gap", "opposite"):
        (folder / f"{name}.txt").write_text("loud")
    result = asrlab.evaluation.bench(
        folder, models="echo", run=folder.with_suffix(".run"), executor=InProcessExecutor()
    )
    found = {outcome.id: outcome.recognized for outcome in load_run_records(result.run).outcomes.values()}
    codes = {name: [warning.code for warning in recognized.warnings] for name, recognized in found.items()}
    assert codes == {"two": ["tracks"], "gap": ["gap"], "opposite": ["opposite-phase"]}
    assert found["two"].track.number == 1
    assert found["gap"].track is None
