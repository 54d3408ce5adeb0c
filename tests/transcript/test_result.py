"""Transcripts as a user meets them: a line in a prompt, a table in Jupyter, rows, data frames and JSON values."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from html import unescape
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

import asrlab
from asrlab import Device, ModelInfo, Segment, Timings, TranscribeResult, Transcript, Word

HOSTILE = '<script>alert("x")</script> &amp; \x1b]0;title\x07 \u202egnp.exe $5 and $6'
TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td"}


def transcript_of(*texts: str, **changes: object) -> Transcript:
    """Return a transcript with one segment a text."""
    segments = tuple(
        Segment(text=text, start=float(index), end=index + 0.5, tokens=(index, 2), avg_logprob=-0.25)
        for index, text in enumerate(texts)
    )
    transcript = Transcript(
        text=" ".join(texts),
        language="en",
        duration=9.0,
        device=Device(requested="cpu", resolved="cpu"),
        compute_type="float32",
        timings=Timings(audio=0.25, inference=0.25, total=0.5),
        model=ModelInfo(name="echo/echo", engine="echo"),
        segments=segments,
    )
    return attrs.evolve(transcript, **changes)


def columns_of(text: str) -> int:
    """Return the columns of a terminal that *text* takes at most."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@given(st.lists(st.text(), max_size=20), st.text(max_size=300))
def test_repr_fits_on_three_lines(texts: list[str], model: str):
    """Whatever texts and names hold, a transcript and its result are one printable line of at most 240 columns."""
    transcript = transcript_of(*texts, model=ModelInfo(name=model, engine="echo"))
    failed = TranscribeResult(index=1, item=model, error=ValueError(" ".join(texts)))
    for result in (transcript, TranscribeResult(index=0, item=Path("a") / "b.wav", transcript=transcript), failed):
        line = repr(result)
        assert columns_of(line) <= 240
        assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in line)
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_repr_names_what_a_reader_looks_for():
    """A transcript's line has duration, language, model, device and the beginning of the text; a failure its error."""
    assert repr(transcript_of("hello there", "again")) == (
        "<Transcript 9.00 s, en, 2 segments, echo/echo on cpu: 'hello there again'>"
    )
    outcome = TranscribeResult(index=3, item="recordings/talk.mp3", transcript=transcript_of("hello"))
    assert repr(outcome) == ("<TranscribeResult 3 (talk.mp3): 9.00 s, en, 1 segment, echo/echo on cpu: 'hello'>")
    failed = TranscribeResult(index=0, item=np.zeros(9), error=asrlab.AudioError("no sound"))
    assert repr(failed) == "<TranscribeResult 0 (ndarray): failed with AudioError: no sound>"
    assert repr(transcript_of("word " * 1000)).endswith("…'>")


@pytest.mark.parametrize(
    "result",
    [
        transcript_of(HOSTILE, "second"),
        transcript_of(HOSTILE, segments=()),
        TranscribeResult(index=0, item=HOSTILE, transcript=transcript_of(HOSTILE)),
        TranscribeResult(index=0, item=HOSTILE, error=ValueError(HOSTILE)),
    ],
)
def test_jupyter_shows_texts_as_text(result: Transcript | TranscribeResult):
    """Tags, formulas and control characters of a transcript, an error and a name are shown, not interpreted."""
    html = result._repr_html_()
    assert set(re.findall(r"</?([^\s>]*)", html)) <= TAGS
    assert '<script>alert("x")</script> &amp; ' in unescape(html)
    assert not set(unescape(html)) & set("\x1b\x07\u202e")
    assert 'class="tex2jax_ignore mathjax_ignore"' in html


def test_jupyter_shows_ten_segments_at_most():
    """A long transcript has ten rows and says how many more there are."""
    html = transcript_of(*(f"number {index}" for index in range(25)))._repr_html_()
    assert html.count("<tr>") == 11
    assert "number 9<" in html
    assert "number 10" not in html
    assert "15 more" in html


def test_to_dict_is_the_content_of_the_json_format(clips: tuple[Path, ...]):
    """A real transcript with words is equal to its JSON document, and is serialized by json as it is."""
    with asrlab.load("echo") as transcriber:
        transcript = transcriber.transcribe(clips[0], word_timestamps=True)
    plain = transcript.to_dict()
    assert plain == json.loads(transcript.to("json"))
    assert plain["segments"][0]["words"]
    assert Transcript.from_json(json.dumps(plain)) == transcript


def test_rows_have_a_segment_each():
    """A row has times, text and figures of a segment; None where the engine has none."""
    rows = transcript_of("one", "two").to_dicts()
    assert [(row["start"], row["end"], row["text"], row["avg_logprob"]) for row in rows] == [
        (0.0, 0.5, "one", -0.25),
        (1.0, 1.5, "two", -0.25),
    ]
    assert {row["temperature"] for row in rows} == {None}


def test_a_data_frame_has_the_same_columns_without_rows():
    """A frame of no segments has the columns of any other, so that frames can be joined."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame, empty = transcript_of("one", "two").to_pandas(), transcript_of().to_pandas()
    assert list(frame["text"]) == ["one", "two"]
    assert frame["start"].dtype == "float64"
    assert list(empty.columns) == list(frame.columns)
    assert len(empty) == 0


def test_without_pandas_the_command_that_installs_it_is_named(tmp_path: Path):
    """Without pandas, to_pandas raises an ImportError of asrlab with the command; importing asrlab never imports it."""
    (tmp_path / "pandas.py").write_text("raise ImportError('not here')", encoding="utf-8")
    code = (
        "import sys, asrlab, numpy\n"
        "with asrlab.load('echo') as transcriber:\n"
        "    transcript = transcriber.transcribe(numpy.ones(16000, 'f4') / 2, sample_rate=16000)\n"
        "transcript.to_dicts(), transcript._repr_html_()\n"
        "assert 'pandas' not in sys.modules\n"
        "try:\n"
        "    transcript.to_pandas()\n"
        "except ImportError as error:\n"
        "    assert isinstance(error, asrlab.AsrlabError)\n"
        "    print(error)\n"
        "    assert error.install in str(error) and 'install' in error.install and 'pandas' in error.install\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path), "PATH": "", "ASRLAB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("to_pandas() needs pandas, which cannot be imported (not here); run: ")


def test_words_are_in_neither_rows_nor_reprs_but_in_json():
    """Timed words stay where they were: in the segments and in JSON."""
    word = Word(text="one", start=0.0, end=0.5)
    transcript = transcript_of("one")
    timed = attrs.evolve(transcript, segments=(attrs.evolve(transcript.segments[0], words=(word,)),))
    assert timed.to_dict()["words"] == [{"word": "one", "start": 0.0, "end": 0.5, "probability": None}]
    assert "words" not in timed.to_dicts()[0]
