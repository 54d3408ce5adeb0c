"""CTM, STM, trn, TextGrid, the leaderboard's JSONL and tsv, read back by the programs that read them."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import attrs
import numpy as np
import pytest
import soundfile
from hypothesis import given, strategies as st
from praatio import textgrid

from asrlab.audio import AudioFile
from asrlab.device import Device
from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.datasets.hypotheses import read_hypotheses
from asrlab.evaluation.datasets.stm import read_stm_references
from asrlab.evaluation.metrics import TextPair, get_profile
from asrlab.transcript import DocumentMetadata, ModelInfo, Segment, Timings, Transcript, Word
from asrlab.transcript.document import escape_formula, unescape_formula
from asrlab.transcript.scoring_formats import escape_id, unescape_id

ODD = Transcript(
    text=";; first (half) a\tb\nc",
    language="en",
    duration=9.0,
    device=Device(requested="cpu", resolved="cpu"),
    compute_type="float32",
    timings=Timings(audio=0.25, inference=0.25, total=0.5),
    model=ModelInfo(name="echo/echo", engine="echo"),
    segments=(
        Segment(text=';; say "hi"\nthere\t--> now', start=0.0, end=2.0),
        Segment(
            text="<b> שלום 世界",
            start=1.5,
            end=3.0,
            words=(Word(text="<b>", start=2.5, end=2.5, probability=0.5), Word(text="שלום 世界", start=1.5, end=2.0)),
        ),
        Segment(text="", start=3.0, end=3.5),
        Segment(text="=SUM(A1)", start=4.0, end=4.0),
    ),
)


def test_trn_is_a_text_and_an_id():
    """A trn file has one line; a text that looks like a comment is not read as one, and the id is one field."""
    assert ODD.to("trn", name="a (1)/b%.wav") == " ;; first (half) a b c (a%20%281%29/b%25.wav)\n"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_ids_round_trip(name: str):
    """Any id is written without white space and parentheses, and read back unchanged."""
    written = escape_id(name)
    assert not set(written) & set("() \t\n\r")
    if all(not character.isspace() or character in " \t\n\r" for character in name):
        assert unescape_id(written) == name


def test_ctm_has_a_word_a_line():
    """A line has six fields with a confidence and five without; lines are in order of start, with durations above 0."""
    lines = [line.split(" ") for line in ODD.to("ctm", name=";;x").splitlines()]
    assert all(len(line) in (5, 6) and line[:2] == ["%3B;x", "1"] for line in lines)
    assert [float(line[2]) for line in lines] == sorted(float(line[2]) for line in lines)
    assert all(float(line[3]) > 0 for line in lines)
    assert sorted(line[4] for line in lines) == sorted(
        [";;", "say", '"hi"', "there", "-->", "now", "<b>", "שלום", "世界", "=SUM(A1)"]
    )
    assert ["%3B;x", "1", "2.500", "0.001", "<b>", "0.5000"] in lines


def test_stm_is_read_by_the_reader_of_data_sets(tmp_path: Path):
    """Texts, times, speaker and recording are read back, even if segments are empty, overlap or have no duration."""
    (tmp_path / "talk.stm").write_text(
        ODD.render("stm", DocumentMetadata(name="talk", speaker="Ann B")), encoding="utf-8"
    )
    soundfile.write(tmp_path / "talk.wav", np.zeros(160, dtype=np.float32), 16_000)
    read = list(load_dataset(tmp_path / "talk.stm"))
    assert [utterance.text for utterance in read] == [';; say "hi" there --> now', "<b> שלום 世界", "", "=SUM(A1)"]
    assert {(utterance.speaker, utterance.recording) for utterance in read} == {("Ann B", "talk")}
    parts = [utterance.audio for utterance in read if isinstance(utterance.audio, AudioFile)]
    assert [(part.offset, part.duration) for part in parts] == [
        (0.0, 2.0),
        (1.5, 1.5),
        (3.0, 0.5),
        (4.0, pytest.approx(0.001)),
    ]


@pytest.mark.parametrize("normalizer", ["basic", "english", "leaderboard"])
def test_braces_are_not_alternatives_and_lose_no_words(tmp_path: Path, normalizer: str):
    """Braces, which mark alternatives, are full-width in STM and trn; the words in them are scored as before."""
    text = "so { green / blue } it is"
    braces = attrs.evolve(ODD, text=text, segments=(Segment(text=text, start=0.0, end=1.0),))
    for form in ("stm", "trn"):
        (tmp_path / f"a.{form}").write_text(braces.to(form, name="a"), encoding="utf-8")
    [segment] = read_stm_references(tmp_path / "a.stm")
    [line] = read_hypotheses(tmp_path / "a.trn").hypotheses
    assert segment.text == line.text == "so \uff5b green / blue \uff5d it is"
    assert (segment.alternatives, line.alternatives) == (None, None)
    [pair] = get_profile(normalizer).prepare([TextPair(id="a", reference=text, hypothesis=line.text)])
    assert pair.reference == pair.hypothesis == "so green blue it is"


def test_textgrid_is_read_by_praatio(tmp_path: Path):
    """Every text that is not empty is read back, with its quotes; an overlapping segment is on a tier of its own."""
    path = tmp_path / "a.TextGrid"
    path.write_text(ODD.to("textgrid"), encoding="utf-8")
    assert 'text = ";; say ""hi"" there --> now"' in path.read_text(
        encoding="utf-8"
    )  # praatio accepts undoubled quotes, too
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    assert grid.tierNames == ("segments", "segments 2", "words")
    assert [tuple(entry) for entry in grid.getTier("segments").entries] == [
        (0.0, 2.0, ';; say "hi" there --> now'),
        (4.0, 4.001, "=SUM(A1)"),
    ]
    assert [tuple(entry) for entry in grid.getTier("segments 2").entries] == [(1.5, 3.0, "<b> שלום 世界")]
    assert [entry.label for entry in grid.getTier("words").entries] == ["שלום 世界", "<b>"]
    assert grid.maxTimestamp == 9.0


def test_textgrid_without_segments_is_valid(tmp_path: Path):
    """A transcript without segments gives a grid with an empty tier."""
    path = tmp_path / "a.TextGrid"
    path.write_text(attrs.evolve(ODD, segments=()).to("textgrid"), encoding="utf-8")
    assert textgrid.openTextgrid(str(path), includeEmptyIntervals=True).getTier("segments").entries[0].label == ""


def test_jsonl_has_the_leaderboards_fields():
    """A line has the fields of the leaderboard's manifests, with the reference only if there is one."""
    plain = {"audio_filepath": "a", "duration": 9.0, "time": 0.5, "pred_text": ODD.text}
    assert json.loads(ODD.to("jsonl", name="a")) == plain
    assert json.loads(ODD.render("jsonl", DocumentMetadata(name="a", reference="r"))) == {**plain, "text": "r"}
    assert ODD.to("jsonl").count("\n") == 1


def test_tsv_formulas_are_escaped_and_round_trip():
    """A text that a spreadsheet would compute has an apostrophe in front, which `unescape_formula` removes."""
    rows = list(csv.reader(StringIO(ODD.to("tsv")), delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    assert rows[-1] == ["4000", "4000", "'=SUM(A1)"]
    assert [unescape_formula(row[2]) for row in rows] == [" ".join(segment.text.split()) for segment in ODD.segments]


@given(st.text("=+-@\t\r'a\uff1d", max_size=4))
def test_any_cell_round_trips(cell: str):
    """Any cell is written so that it is not a formula, and read back unchanged."""
    assert not escape_formula(cell).startswith(tuple("=+-@\t\r\uff1d"))
    assert unescape_formula(escape_formula(cell)) == cell
