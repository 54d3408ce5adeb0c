"""Tests of ``asrlab transcribe`` with tracks, gaps and channels that cancel each other."""

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
    """Return a folder with ``two.mkv`` (two tracks), ``gap.mkv`` (3 s missing) and ``opposite.wav``, each of 6 s."""
    loud = (0.2 * np.random.default_rng(0).standard_normal((6 * 16_000, 1))).astype(np.float32)
    tags = ({"language": "eng"}, {"language": "deu"})
    facts = {"sample_rate": 16_000, "kind": "matroska", "codec": "pcm_s16le"}
    (tmp_path / "two.mkv").write_bytes(film([loud, loud / 50], tags=tags, **facts))
    (tmp_path / "gap.mkv").write_bytes(
        film([loud], packet_time=lambda seconds: seconds if seconds < 2 else seconds + 3, **facts)
    )
    soundfile.write(tmp_path / "opposite.wav", np.hstack([loud, -loud]), 16_000)
    return tmp_path


def test_track_is_chosen_by_its_number(asrlab_cli: Any, folder: Path):
    """--track selects a track, and without --track the first track is used with a warning."""
    first = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--json", cwd=folder)
    assert "warning: 'two.mkv' has 2 audio tracks: track 1 of 2 (eng)" in first.err
    (entry,) = first.json["files"]
    assert entry["transcript"]["text"] == "loud loud loud loud loud loud"
    assert entry["transcript"]["asrlab"]["track"] == {"number": 1, "count": 2, "language": "eng", "title": None}
    second = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--track", "2", cwd=folder)
    assert (second.code, second.out, second.err) == (0, "quiet quiet quiet quiet quiet quiet\n", "")


def test_track_of_standard_input_is_chosen(asrlab_cli: Any, folder: Path):
    """--track selects a track of standard input."""
    result = asrlab_cli("transcribe", "-", "-m", "echo", "--track", "2", stdin=(folder / "two.mkv").read_bytes())
    assert (result.code, result.out) == (0, "quiet quiet quiet quiet quiet quiet\n")


def test_a_missing_track_lists_the_others(asrlab_cli: Any, folder: Path):
    """A missing track exits with 4, and the error lists the existing tracks."""
    result = asrlab_cli("transcribe", "two.mkv", "-m", "echo", "--track", "3", cwd=folder)
    assert result.code == 4
    assert "track 1 of 2 (eng), pcm_s16le; track 2 of 2 (deu), pcm_s16le" in result.err


def test_gap_causes_a_warning_and_keeps_times_right(asrlab_cli: Any, folder: Path):
    """Standard error and the transcript have a warning, and the audio after the gap has the right times."""
    result = asrlab_cli("transcribe", "gap.mkv", "-m", "echo", "--json", cwd=folder)
    assert result.code == 0
    (entry,) = result.json["files"]
    assert entry["transcript"]["text"] == "loud loud loud silence silence loud loud loud loud"  # from 2.05 to 5.05 s
    (warning,) = entry["transcript"]["asrlab"]["warnings"]
    assert warning["code"] == "gap"
    assert f"warning: {warning['message']}" in result.err
    assert "3.00 s in all" in warning["message"]


def test_opposite_channels_are_transcribed_with_a_warning(asrlab_cli: Any, folder: Path):
    """A single channel is transcribed if the mean of both channels would be silence."""
    result = asrlab_cli("transcribe", "opposite.wav", "-m", "echo", cwd=folder)
    assert (result.code, result.out) == (0, "loud loud loud loud loud loud\n")
    assert "cancel each other out (opposite phase) in 6.00 of 6.00 s" in result.err


def test_transcript_with_a_track_is_read_from_json(folder: Path):
    """The track is part of the JSON document, and documents without a track are read as well."""
    with asrlab.load("echo") as transcriber:
        transcript = transcriber.transcribe(folder / "two.mkv", track=2)
        assert asrlab.Transcript.from_json(transcript.to("json")) == transcript
        plain = transcriber.transcribe(folder / "gap.mkv")
    assert transcript.track is not None
    assert transcript.track.language == "deu"
    assert '"track": {' not in plain.to("json")
    assert asrlab.Transcript.from_json(plain.to("json")) == plain


def test_run_records_the_track_and_the_warnings(folder: Path):
    """The records of a bench contain the track and the warnings of each transcript."""
    from asrlab.evaluation.runs.load import load_run_records
    from asrlab.testing.in_process import InProcessExecutor

    for name in ("two", "gap", "opposite"):
        (folder / f"{name}.txt").write_text("loud")
    result = asrlab.evaluation.bench(
        folder, models="echo", run=folder.with_suffix(".run"), executor=InProcessExecutor()
    )
    recognized_by_id = {outcome.id: outcome.recognized for outcome in load_run_records(result.run).outcomes.values()}
    codes = {name: [warning.code for warning in recognized.warnings] for name, recognized in recognized_by_id.items()}
    assert codes == {"two": ["tracks"], "gap": ["gap"], "opposite": ["opposite-phase"]}
    assert recognized_by_id["two"].track.number == 1
    assert recognized_by_id["gap"].track is None
