"""Manifests that Lhotse itself wrote, from a Kaldi directory and from audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asrlab.audio import AudioFile
from asrlab.evaluation.datasets import load_dataset

lhotse = pytest.importorskip("lhotse", reason="lhotse is not installed")

type Written = tuple[Path, Any, Any]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A recording with two supervisions, and the folder for its manifests."""
    soundfile.write(tmp_path / "rec.wav", np.zeros(80_000, dtype=np.float32), 16_000)
    recording = lhotse.Recording.from_file(tmp_path / "rec.wav")
    supervisions = [
        lhotse.SupervisionSegment(
            id=f"u{n}",
            recording_id="rec",
            start=n * 2.0,
            duration=1.5,
            text=f"text {n}",
            speaker=f"s{n}",
            language="English",
        )
        for n in range(2)
    ]
    return tmp_path, lhotse.RecordingSet.from_recordings([recording]), lhotse.SupervisionSet.from_segments(supervisions)


def _facts(path: Path) -> list[tuple[object, ...]]:
    facts = []
    for utterance in load_dataset(path):
        assert isinstance(utterance.audio, AudioFile)
        part = (Path(utterance.audio.path).name, utterance.audio.offset, utterance.audio.duration)
        facts.append((utterance.id, utterance.text, utterance.speaker, utterance.recording, utterance.language, *part))
    return facts


WANTED = [(f"u{n}", f"text {n}", f"s{n}", "rec", "en", "rec.wav", n * 2.0, 1.5) for n in range(2)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_recordings_with_supervisions_are_read(written: Written, suffix: str):
    """A manifest written by Lhotse, gzipped or not, has the same utterances."""
    folder, recordings, supervisions = written
    recordings.to_file(folder / f"x_recordings.{suffix}")
    supervisions.to_file(folder / f"x_supervisions.{suffix}")
    assert _facts(folder / f"x_supervisions.{suffix}") == WANTED


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_cuts_are_read(written: Written, suffix: str):
    """Whole cuts and cuts trimmed to their supervisions have the same utterances."""
    folder, recordings, supervisions = written
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    for name, manifest in (("whole", cuts), ("trimmed", cuts.trim_to_supervisions(keep_overlapping=False))):
        manifest.to_file(folder / f"{name}_cuts.{suffix}")
        assert _facts(folder / f"{name}_cuts.{suffix}") == WANTED


def test_a_kaldi_directory_that_lhotse_wrote_is_read(written: Written):
    """Kaldi's files as Lhotse exports them have the same utterances."""
    folder, recordings, supervisions = written
    from lhotse.kaldi import export_to_kaldi

    export_to_kaldi(recordings, supervisions, output_dir=folder / "kaldi")
    read = list(load_dataset(folder / "kaldi", allow_external_audio=True))
    assert [(utterance.text, utterance.speaker) for utterance in read] == [("text 0", "s0"), ("text 1", "s1")]
    parts = [utterance.audio for utterance in read if isinstance(utterance.audio, AudioFile)]
    assert [part.offset for part in parts] == [0.0, 2.0]
