"""JSON from somebody's file: what is deep, huge or not finite is an error, in every reader."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.datasets.hypotheses import read_hypotheses
from asrlab.evaluation.datasets.text_file import TextFile
from asrlab.transcript import Transcript
from asrlab.tuning.calibration import Calibration

DEEP = "[" * 200 + "]" * 200
BEYOND = {
    "deep": (DEEP, "nested more than 100 deep"),
    "very deep": ("[" * 200_000 + "]" * 200_000, "nested more than 100 deep"),
    "deep objects": ('{"a":' * 150 + "1" + "}" * 150, "nested more than 100 deep"),
    "huge": ("1" * 101, "a number has 101 digits; the maximum is 100"),
    "very huge": ("-" + "1" * 100_000, "a number has 100000 digits; the maximum is 100"),
}
NOT_FINITE = {
    "too large": ("1e400", "the number 1e400 is too large"),
    "too large without exponent": ("1" * 400 + ".0", "the number 1{40} is too large"),
    "nan": ("NaN", "NaN is not a JSON number"),
    "infinity": ("-Infinity", "-Infinity is not a JSON number"),
}


@pytest.mark.parametrize(("written", "problem"), [*BEYOND.values(), *NOT_FINITE.values()], ids=[*BEYOND, *NOT_FINITE])
def test_document_beyond_a_limit_is_a_value_error(written: str, problem: str):
    """What Python's reader ends with RecursionError for, or takes for infinity, is a `ValueError` that says why."""
    for document in (written, f'{{"a": [{written}]}}', f'{{"a": [{written}]}}'.encode("utf-16")):
        with pytest.raises(ValueError, match=problem):
            parse_json(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_everything_else_is_read_as_python_reads_it(value: Any):
    """What Python writes within the limits comes back, whatever numbers are in its texts."""
    assert parse_json(json.dumps({"a": value, "b": "1" * 200 + " 1e999"}))["a"] == value
    assert parse_json(json.dumps(value).encode()) == value


def test_nesting_up_to_the_limit_is_read():
    """A hundred levels are read; values that are not finite are, where they are allowed."""
    assert parse_json("[" * 100 + "]" * 100)
    assert parse_json('{"a": 1e400, "b": NaN}', allow_nonfinite=True)["a"] == float("inf")


RECORDING = (
    '{"id": "r", "sampling_rate": 1, "duration": 9, "sources": [{"type": "file", "source": "a.wav", "channels": [0]}]}'
)
SUPERVISION = '{"id": "u", "recording_id": "r", "start": 0, "duration": 1, "text": "x"}'
CUT = f'{{"id": "c", "type": "MonoCut", "start": 0, "recording": {RECORDING}, "supervisions": [{SUPERVISION}]}}'
# By reader a line with a value at BAD; the file's name; and whether the reader reads that value at all.
READERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "nemo": (
        '{"audio_filepath": "a.wav", "text": "x", "duration": BAD, "offset": 1}',
        "x.jsonl",
        lambda path: list(load_dataset(path, format="nemo")),
    ),
    "audiofolder": (
        '{"file_name": "a.wav", "text": "x", "offset": BAD}',
        "metadata.jsonl",
        lambda path: list(load_dataset(path, format="audiofolder")),
    ),
    "lhotse": (
        CUT.replace('"start": 0', '"start": BAD', 1),
        "cuts.jsonl",
        lambda path: list(load_dataset(path, format="lhotse")),
    ),
    "lhotse supervision": (
        CUT.replace('"r", "start": 0', '"r", "start": BAD'),
        "cuts.jsonl",
        lambda path: list(load_dataset(path, format="lhotse")),
    ),
    "leaderboard": (
        '{"audio_filepath": "a.wav", "offset": BAD, "pred_text": "x"}',
        "x.jsonl",
        lambda path: read_hypotheses(path, format="leaderboard"),
    ),
}


@pytest.mark.parametrize("kind", [*BEYOND, *NOT_FINITE])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_of_lines_refuses_it_with_file_and_line(tmp_path: Path, name: str, kind: str, suffix: str):
    """The first line is read; the second is an error with file and line, and no other exception."""
    line, file, read = READERS[name]
    good = line.replace("BAD", "1")
    bad = line.replace("BAD", {**BEYOND, **NOT_FINITE}[kind][0]).replace('"a.wav"', '"b.wav"').replace('"u"', '"v"')
    path = tmp_path / f"{file}{suffix}"
    text = f"{good}\n\n{bad}\n".encode()
    path.write_bytes(gzip.compress(text) if suffix else text)

    with pytest.raises(DatasetError, match=rf"{file}\S*, line 3: ") as caught:
        read(path)
    assert (caught.value.path, caught.value.line) == (path, 3)


@pytest.mark.parametrize("name", READERS)
def test_value_that_nobody_reads_may_be_not_finite(tmp_path: Path, name: str):
    """NaN in another key, as pandas writes it where there is nothing, is no reason to refuse a manifest."""
    line, file, read = READERS[name]
    path = tmp_path / file
    path.write_text(line.replace("BAD", "1").removesuffix("}") + ', "score": NaN, "other": 1e400}\n', encoding="utf-8")
    assert read(path)


@pytest.mark.parametrize("kind", [*BEYOND, *NOT_FINITE])
def test_documents_refuse_it(kind: str):
    """A transcript and a calibration are errors of their own kind, and no other exception."""
    written = {**BEYOND, **NOT_FINITE}[kind][0]
    with pytest.raises(DatasetError, match="not a JSON transcript of asrlab: "):
        Transcript.from_json(f'{{"asrlab": {{"schema": 1}}, "text": "x", "duration": {written}}}')
    with pytest.raises(DatasetError, match="it is not a calibration"):
        Calibration.from_json(f'{{"schema": {written}}}')


def test_gzipped_file_of_newlines_is_read_in_no_time(tmp_path: Path):
    """Blank lines come by the block and keep their numbers; a file that grows a thousandfold is refused."""
    path = tmp_path / "x.jsonl"
    blank = b"\n" * 5_000_000
    path.write_bytes(b'{"audio_filepath": "a.wav", "text": "x"}\n' + blank + b"{,\n")
    assert sum(1 for _ in TextFile(path=path).raw_lines()) < 500
    with pytest.raises(DatasetError, match=r"line 5000002: column 2"):
        list(load_dataset(path))

    packed = tmp_path / "y.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes().replace(b"{,", blank * 3 + b"{,")))
    before = time.process_time()
    with pytest.raises(DatasetError, match=r"unpacks to more than 200 times its size .* gunzip"):
        list(load_dataset(packed, format="nemo"))
    assert time.process_time() - before < 20  # a minute and more by single lines


def test_gzipped_manifest_of_like_lines_is_read_whole(tmp_path: Path):
    """A manifest that packs well, as manifests do, is no bomb."""
    path = tmp_path / "x.jsonl.gz"
    lines = "".join(f'{{"audio_filepath": "clip-{n}.wav", "text": "{"the same words " * 8}"}}\n' for n in range(80_000))
    path.write_bytes(gzip.compress(lines.encode()))
    assert len(lines) > 8 * 2**20 > 10 * path.stat().st_size
    assert sum(1 for _ in TextFile(path=path).lines()) == 80_000


@pytest.mark.parametrize("block", [5, 7, 64 * 1024])
def test_lines_are_the_same_in_blocks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int):
    """Where a block ends within a line, a line's end or blank lines, the lines and their numbers are the same."""
    text = b"\xef\xbb\xbfone\r\n\r\n\n  \n\ttwo \n\n\nthree\x0bfour\n \nfive"
    path = tmp_path / "x.txt"
    path.write_bytes(text)
    monkeypatch.setattr("asrlab.evaluation.datasets.text_file._BLOCK_BYTES", block)

    assert list(TextFile(path=path).lines()) == [(1, "one"), (5, "two"), (8, "three\x0bfour"), (10, "five")]
    assert b"".join(raw for _, raw in TextFile(path=path).raw_lines()) == text.removeprefix(b"\xef\xbb\xbf")
    assert TextFile(path=path).head() == b"one"
