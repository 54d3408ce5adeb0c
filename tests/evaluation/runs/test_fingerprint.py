from __future__ import annotations

import hashlib
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from asrlab.audio import Audio, AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, audio_sha256, dataset_fingerprint, describe_utterances
from asrlab.evaluation.runs.storage import read_json_lines

FACTS = UtteranceFacts(id="a", reference="so", language="en", speaker="s", recording="r", audio_sha256="00")


def test_the_checksum_of_a_file_is_that_of_its_bytes(clips: tuple[Path, ...], tmp_path: Path):
    """A path, a whole AudioFile, the bytes and an open file have the checksum of the file."""
    data = clips[1].read_bytes()
    (tmp_path / "copy").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    with clips[1].open("rb") as file:
        sources = [clips[1], str(clips[1]), tmp_path / "copy", AudioFile(path=clips[1]), data, io.BytesIO(data), file]
        assert {audio_sha256(source) for source in sources} == {expected}


def test_the_checksum_of_a_part_includes_its_position(clips: tuple[Path, ...]):
    """Two parts are equal only if file, offset, duration and track are."""
    parts = [
        AudioFile(path=clips[0]),
        AudioFile(path=clips[0], offset=1),
        AudioFile(path=clips[0], offset=1, duration=2),
        AudioFile(path=clips[0], duration=2),
        AudioFile(path=clips[0], track=1),
        AudioFile(path=clips[0], offset=1, track=1),
        AudioFile(path=clips[1], offset=1),
    ]
    assert len({audio_sha256(part) for part in parts}) == len(parts)
    assert audio_sha256(parts[1]) == audio_sha256(AudioFile(path=str(clips[0]), offset=1.0))


def test_the_checksum_of_samples_includes_type_shape_and_rate():
    """The same bytes with another type, shape or rate differ; their order in memory does not matter."""
    samples = np.arange(12, dtype=np.int16)
    others = [
        Audio(samples=samples, sample_rate=16_000),
        Audio(samples=samples, sample_rate=8_000),
        Audio(samples=samples.view(np.uint16), sample_rate=16_000),
        Audio(samples=samples.reshape(6, 2), sample_rate=16_000),
        samples,
    ]
    assert len({audio_sha256(audio) for audio in others}) == len(others)
    table = samples.reshape(6, 2)
    assert (
        audio_sha256(table) == audio_sha256(np.asfortranarray(table)) == audio_sha256(np.repeat(table, 2, axis=0)[::2])
    )
    assert len(audio_sha256(np.array(1.0))) == 64


def test_a_file_object_is_read_from_its_position():
    """The checksum covers what will be transcribed, and the position is restored."""
    file = io.BytesIO(b"skipped" + b"audio" * 400_000)
    file.seek(7)
    assert audio_sha256(file) == hashlib.sha256(b"audio" * 400_000).hexdigest()
    assert file.tell() == 7


class BrokenFile(io.RawIOBase):
    """A file object that cannot be read."""

    def tell(self) -> int:
        """Fails."""
        raise ZeroDivisionError


def test_unreadable_audio_has_the_reason(tmp_path: Path):
    """Nothing is raised, and a pipe does not block."""
    os.mkfifo(tmp_path / "pipe")
    sources: dict[str, Any] = {
        "No such file or directory": tmp_path / "missing.wav",
        "not a regular file": tmp_path / "pipe",
        "ValueError": "nul\0byte",
        "ZeroDivisionError": BrokenFile(),
        "AttributeError": 5,
        "samples of type object": np.array([None]),
        "samples of type list": Audio(samples=[0.0], sample_rate=16_000),  # type: ignore[arg-type]
        "TypeError": io.StringIO("text"),
    }
    assert {reason: audio_sha256(source) for reason, source in sources.items()} == {
        reason: f"unreadable: {reason}" for reason in sources
    }
    part = AudioFile(path=tmp_path / "missing.wav", offset=1)
    assert audio_sha256(part) == "unreadable: No such file or directory"


def test_a_data_set_is_described_in_order(clips: tuple[Path, ...]):
    """Each utterance has its facts."""
    utterances = [
        Utterance(id=f"u{i}", audio=clips[i % 5], text=f"t{i}", language="en", speaker="s", recording="r")
        for i in range(200)
    ]
    facts = describe_utterances(iter(utterances))
    assert [each.id for each in facts] == [utterance.id for utterance in utterances]
    assert facts[7] == UtteranceFacts(
        id="u7", reference="t7", language="en", speaker="s", recording="r", audio_sha256=audio_sha256(clips[2])
    )


def test_a_file_is_read_once_for_all_of_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A thousand parts of a recording are hashed with one reading."""
    from asrlab.evaluation.runs import fingerprint as module

    (tmp_path / "long").write_bytes(b"x" * 1000)
    read: list[str] = []
    hash_file = module._hash_file  # noqa: SLF001 - counted
    monkeypatch.setattr(module, "_hash_file", lambda path: (read.append(path), hash_file(path))[1])
    parts = [AudioFile(path=tmp_path / "long", offset=i, duration=1) for i in range(1000)]
    facts = describe_utterances(Utterance(id=str(i), audio=part) for i, part in enumerate(parts))
    assert len(read) == 1
    assert len({each.audio_sha256 for each in facts}) == 1000
    assert facts[3].audio_sha256 == audio_sha256(parts[3])


def test_memory_does_not_grow_with_the_audio(tmp_path: Path):
    """A big file is read in blocks, and samples of generated utterances are not kept."""
    (tmp_path / "big").write_bytes(bytes(30_000_000))
    made = (
        Utterance(id=str(i), audio=Audio(samples=np.full(250_000, i, np.float32), sample_rate=16_000))
        for i in range(100)
    )
    tracemalloc.start()
    try:
        describe_utterances([Utterance(id="big", audio=tmp_path / "big")])
        assert len({each.audio_sha256 for each in describe_utterances(made)}) == 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_an_error_of_the_data_set_comes_through(clips: tuple[Path, ...]):
    """Pending reads are cancelled, and the error is the data set's own."""

    def utterances() -> Any:
        yield Utterance(id="a", audio=clips[0])
        raise DatasetError("line 2: damaged JSON")

    with pytest.raises(DatasetError, match="line 2: damaged JSON"):
        describe_utterances(utterances())


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "b"},
        {"reference": "so "},
        {"reference": None},
        {"reference": ""},
        {"language": None},
        {"speaker": "t"},
        {"recording": "q"},
        {"audio_sha256": "01"},
        {"speaker": "r", "recording": "s"},
    ],
    ids=str,
)
def test_any_change_is_another_fingerprint(changed: dict[str, Any]):
    """A change of any field changes the fingerprint."""
    assert dataset_fingerprint([FACTS]) != dataset_fingerprint([attrs.evolve(FACTS, **changed)])


def test_order_and_number_are_in_the_fingerprint():
    """The same utterances in another order are another data set."""
    other = attrs.evolve(FACTS, id="b")
    found = {dataset_fingerprint(facts) for facts in ([], [FACTS], [FACTS, FACTS], [FACTS, other], [other, FACTS])}
    assert len(found) == 5
    assert dataset_fingerprint([FACTS, other]) == dataset_fingerprint(iter([FACTS, other]))


@pytest.mark.parametrize(
    "text", ["", "a\nb\u2028c\x85", "Straße 字 \udce4", '"\\'], ids=["empty", "ends", "any", "quotes"]
)
def test_facts_are_read_back_from_their_line(text: str):
    """Facts with any content are one line, which reads back as the same facts."""
    facts = attrs.evolve(FACTS, id=text, reference=text, speaker=None)
    line = facts.to_line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert UtteranceFacts.from_plain(json.loads(line)) == facts


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"5", b"{}", b'{"id":"a"}', b'{"id":"a","audio_sha256":"","more":1}',
             b'{"id":1,"audio_sha256":""}', b'{"id":"a","audio_sha256":"","speaker":[]}', b"\xff"],
    ids=range(10),
)  # fmt: skip
def test_another_line_is_refused(line: bytes, tmp_path: Path):
    """Any other line is a DatasetError."""
    (tmp_path / "utterances.jsonl").write_bytes(line + b"\n")
    with pytest.raises(DatasetError):
        [UtteranceFacts.from_plain(plain) for _, plain in read_json_lines(tmp_path / "utterances.jsonl")]
