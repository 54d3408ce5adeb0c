"""Lhotse's manifests, in the form that Lhotse 1.33 writes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

type Write = Callable[[dict[str, str | bytes]], Path]

RECORDING = {
    "id": "a",
    "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
    "sampling_rate": 16000,
    "num_samples": 48000,
    "duration": 3.0,
    "channel_ids": [0],
}
FIRST = {
    "id": "a1", "recording_id": "a", "start": 0.5, "duration": 1.0, "channel": 0, "text": "one", "language": "English",
    "speaker": "s1",
}  # fmt: skip
SECOND = {
    "id": "a2",
    "recording_id": "a",
    "start": 0,
    "duration": 3.0,
    "channel": 0,
    "text": "two",
    "language": "Klingon",
}
CUT = {
    "id": "a-0", "start": 0, "duration": 3.0, "channel": 0, "supervisions": [FIRST, SECOND], "recording": RECORDING,
    "type": "MonoCut",
}  # fmt: skip


def to_jsonl(*objects: object) -> str:
    """Return JSON Lines of *objects*."""
    return "".join(json.dumps(line) + "\n" for line in objects)


def expected(root: Path) -> list[Utterance]:
    """Return the utterances of FIRST and SECOND."""
    audio = AudioFile(path=root / "a.wav", offset=0.5, duration=1.0)
    return [
        Utterance(id="a1", audio=audio, text="one", language="en", speaker="s1", recording="a"),
        Utterance(id="a2", audio=root / "a.wav", text="two", recording="a"),
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_recordings_with_supervisions(write: Write, suffix: str):
    """Either file of a pair, or their folder, gives the supervisions; the whole of a recording is its path."""
    recordings, supervisions = f"x_recordings_dev{suffix}", f"x_supervisions_dev{suffix}"
    root = write({recordings: to_jsonl(RECORDING), supervisions: to_jsonl(FIRST, SECOND)})

    for path in (root, root / recordings, root / supervisions):
        assert list(load_dataset(path)) == expected(root)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_cuts_give_the_parts_of_their_supervisions(write: Write, suffix: str):
    """Supervisions count from their cut's start, and may begin before it; rounding below 0 is 0."""
    trimmed = {
        **CUT,
        "start": 1.5,
        "supervisions": [{**FIRST, "start": -1.0}, {**SECOND, "start": -1.5000001}],
    }
    root = write({f"cuts{suffix}": to_jsonl(CUT), f"trimmed{suffix}": to_jsonl(trimmed)})

    assert list(load_dataset(root / f"cuts{suffix}")) == expected(root)
    assert list(load_dataset(root / f"trimmed{suffix}")) == expected(root)


def changed(**fields: object) -> dict[str, object]:
    """A cut with its recording changed."""
    return {**CUT, "recording": {**RECORDING, **fields}}


def source(**fields: object) -> dict[str, object]:
    """A cut with the source of its recording changed."""
    return changed(sources=[{"type": "file", "channels": [0], "source": "a.wav", **fields}])


BAD: dict[str, tuple[object, str]] = {
    "command": (source(type="command", source="touch ran"), "source of type 'command', and asrlab never runs"),
    "url": (source(type="url", source="https://example.org/a.wav"), "source of type 'url'; save its audio to a file"),
    "memory": (source(type="memory", source="UklGRg=="), "source of type 'memory'; save"),
    "two channels": (source(channels=[0, 1]), "recording 'a' has 2 channels, and asrlab mixes"),
    "two sources": (changed(sources=[RECORDING["sources"][0]] * 2), "recording 'a' has 2 channels"),  # type: ignore[index]
    "channels": (source(channels=3), "'channels' is not an array"),
    "sources": (changed(sources="a.wav"), "'sources' is a string; it must be an array of objects"),
    "transforms": (changed(transforms=[{"name": "Speed"}]), "'transforms', which only Lhotse applies"),
    "mixed": ({"id": "m", "tracks": [], "type": "MixedCut"}, "is a MixedCut, not a part of one recording"),
    "padding": ({"id": "p", "duration": 1, "type": "PaddingCut"}, "is a PaddingCut"),
    "features": ({**CUT, "recording": None}, "the cut has no 'recording'"),
    "no supervision": ({**CUT, "supervisions": []}, "the cut has no supervision; add one"),
    "no text": ({**CUT, "supervisions": [{**FIRST, "text": None}]}, "there is no 'text'; add the reference"),
    "no id": ({**CUT, "supervisions": [{**FIRST, "id": None}]}, "there is no 'id'"),
    "before 0": ({**CUT, "supervisions": [{**FIRST, "start": -0.5}]}, "starts at -0.5 s of its recording"),
    "no time": ({**CUT, "supervisions": [{**FIRST, "duration": 0}]}, "it must end after it starts"),
    "twice": ({**CUT, "supervisions": [FIRST]}, "the id 'a1' is that of line 1 already"),
    "no JSON": ("x", "holds a string; a line must hold an object"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_cut_is_refused_with_its_line(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str):
    """A cut that cannot be transcribed is an error at its line; nothing is run, fetched or mixed."""
    monkeypatch.chdir(tmp_path)
    bad, problem = BAD[case]
    utterances = iter(
        load_dataset(write({"cuts.jsonl": to_jsonl({**CUT, "supervisions": [FIRST]}, bad)}) / "cuts.jsonl")
    )

    assert next(utterances).id == "a1"
    with pytest.raises(DatasetError, match=rf"cuts\.jsonl, line 2: .*{problem}"):
        next(utterances)
    assert not (tmp_path / "ran").exists()


def test_supervision_of_an_unknown_recording_is_refused(write: Write):
    """A supervision whose recording is missing from the other file is an error with its line."""
    root = write(
        {"recordings.jsonl": to_jsonl(RECORDING), "supervisions.jsonl": to_jsonl({**FIRST, "recording_id": "z"})}
    )

    with pytest.raises(
        DatasetError, match=r"supervisions\.jsonl, line 1: the recording 'z' is not in recordings\.jsonl"
    ):
        list(load_dataset(root))


def test_half_of_a_pair_is_refused(write: Write):
    """The error about supervisions without recordings names the missing file."""
    root = write({"x_supervisions.jsonl": to_jsonl(FIRST), "notes.jsonl": to_jsonl(RECORDING)})

    with pytest.raises(DatasetError, match=r"and there is no x_recordings\.jsonl; put both in one folder"):
        load_dataset(root / "x_supervisions.jsonl")
    with pytest.raises(DatasetError, match="its name has neither word in it"):
        load_dataset(root / "notes.jsonl")


def test_folder_of_several_manifests_names_them(write: Write):
    """The error about two manifests in a folder asks for one of them."""
    root = write({"cuts_dev.jsonl": to_jsonl(CUT), "cuts_test.jsonl.gz": to_jsonl(CUT)})

    with pytest.raises(DatasetError, match=r"several; give one: .*cuts_dev\.jsonl, .*cuts_test\.jsonl\.gz"):
        load_dataset(root)


def test_damaged_gzip_is_refused_where_it_breaks(write: Write):
    """A truncated gzipped manifest gives the utterances before the damage, and then an error."""
    data = gzip.compress(to_jsonl(*({**CUT, "supervisions": [{**FIRST, "id": str(n)}]} for n in range(5_000))).encode())
    path = write({"cuts.jsonl.gz": data[: len(data) // 2]}) / "cuts.jsonl.gz"
    utterances = iter(load_dataset(path))

    assert next(utterances).id == "0"
    with pytest.raises(DatasetError, match=r"line \d+: the gzipped file is damaged here"):
        list(utterances)
