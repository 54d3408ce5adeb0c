"""Transcripts written as documents, and read back."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given, strategies as st

from asrlab.device import Device
from asrlab.errors import DatasetError, OptionError
from asrlab.options import TranscribeOptions
from asrlab.transcript import (
    DecodingPath,
    ModelInfo,
    PackageVersion,
    PatchStatus,
    Segment,
    Timings,
    TranscribeResult,
    Transcript,
    TranscriptWarning,
    Word,
    join_texts,
)

WORDS = (
    Word(text="Tom", start=0.0, end=0.5, probability=0.9),
    Word(text="<b>&", start=0.5, end=0.9),
)
FULL = Transcript(
    text="Tom <b>& Jerry ran",
    language="en",
    language_probability=0.75,
    segments=(
        Segment(
            text="Tom <b>& Jerry",
            start=0.0,
            end=3599.9996,
            words=WORDS,
            tokens=(50364, 12, 50414),
            temperature=0.2,
            avg_logprob=-0.25,
            compression_ratio=1.5,
            no_speech_prob=0.01,
            seek=0,
        ),
        Segment(text="ran --> away\n\nfast", start=3600.0, end=3661.5, words=()),
    ),
    duration=3661.5,
    device=Device(requested="auto", resolved="cpu", reason="best of cpu"),
    compute_type="int8",
    threads=2,
    timings=Timings(audio=0.5, inference=1.5, total=2.0),
    model=ModelInfo(name="e/m", engine="e", weights_sha256="ab" * 32, weights_source="folder", weights_pinned=True),
    packages=(PackageVersion(name="asrlab", version="1"),),
    options=TranscribeOptions(temperature=(0.0, 0.2), hotwords="Tom", word_timestamps=True),
    warnings=(TranscriptWarning(code="silent", message="is silent"),),
    patches=(PatchStatus(name="p", distribution="d", status="applied", reason="r"),),
)
BARE = Transcript(
    text="",
    language=None,
    duration=0.01,
    device=Device(requested="cpu", resolved="cpu"),
    compute_type="float32",
    timings=Timings(audio=0, inference=0, total=0),
    model=ModelInfo(name="echo/echo", engine="echo"),
)


@pytest.mark.parametrize("transcript", [FULL, BARE])
def test_json_round_trips(transcript: Transcript):
    """``from_json`` reads what ``to("json")`` writes as an equal transcript."""
    assert Transcript.from_json(transcript.to("json")) == transcript


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
seconds = st.floats(0, 1e6, allow_nan=False)


@given(
    text=texts,
    start=seconds,
    length=seconds,
    probability=st.none() | st.floats(0, 1),
    beam=st.none() | st.integers(1, 9),
)
def test_any_transcript_round_trips(
    text: str, start: float, length: float, probability: float | None, beam: int | None
):
    """A transcript of any text and times is read back equal."""
    word = Word(text=text, start=start, end=start + length, probability=probability)
    segment = Segment(text=text, start=start, end=start + length, words=(word,), avg_logprob=probability)
    changed = attrs.evolve(FULL, text=text, segments=(segment,), options=TranscribeOptions(beam_size=beam))
    assert Transcript.from_json(changed.to("json").encode()) == changed


def test_json_has_the_verbose_shape():
    """The document has the fields of OpenAI's ``verbose_json``."""
    document = json.loads(FULL.to("json"))
    assert {"task", "language", "duration", "text", "segments", "words", "asrlab"} == set(document)
    openai = "id seek start end text tokens temperature avg_logprob compression_ratio no_speech_prob"
    assert set(document["segments"][0]) >= set(openai.split())
    assert document["words"][0] == {"word": "Tom", "start": 0.0, "end": 0.5, "probability": 0.9}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("not json", "not a JSON transcript"),
        ("[]", "not a JSON transcript"),
        ('{"text": "hello"}', "not a JSON transcript"),
        ('{"asrlab": {"schema": 99}}', "schema 99"),
        ('{"asrlab": 3}', "schema None"),
        ('{"asrlab": {"schema": 1}, "text": "", "duration": 1, "language": null, "segments": []}', "fields"),
        ('{"asrlab": {"schema": 1}, "segments": 4}', "fields"),
        ('{"asrlab": {"schema": 1}, "text": "", "duration": 1, "language": null, "segments": [5]}', "fields"),
        (b"\xff\xfe", "not a JSON transcript"),
    ],
)
def test_json_without_a_transcript_is_refused(document: str | bytes, message: str):
    """Bad JSON raises a `DatasetError` that says what is wrong."""
    with pytest.raises(DatasetError, match=message):
        Transcript.from_json(document)


def test_srt_numbers_cues_and_keeps_them_whole():
    """Milliseconds round into the next second, and a blank line or an arrow in the text does not end a cue."""
    assert FULL.to("srt") == (
        "1\n00:00:00,000 --> 01:00:00,000\nTom <b>& Jerry\n\n2\n01:00:00,000 --> 01:01:01,500\nran -> away fast\n"
    )


def test_vtt_escapes_markup():
    """No part of the text is read as a tag of the cue."""
    assert FULL.to("vtt") == (
        "WEBVTT\n\n1\n00:00:00.000 --> 01:00:00.000\nTom &lt;b&gt;&amp; Jerry\n"
        "\n2\n01:00:00.000 --> 01:01:01.500\nran --&gt; away fast\n"
    )


def test_tsv_is_in_milliseconds():
    """Each segment is a line with its times in milliseconds; tabs and line breaks in the text become spaces."""
    assert FULL.to("tsv").splitlines() == [
        "start\tend\ttext",
        "0\t3600000\tTom <b>& Jerry",
        "3600000\t3661500\tran --> away fast",
    ]


def test_txt_is_the_text():
    """The document is the text and a line feed."""
    assert FULL.to("txt") == "Tom <b>& Jerry ran\n"


def test_an_unknown_format_is_refused():
    """An unknown format raises an `OptionError` that lists the formats."""
    with pytest.raises(OptionError, match="txt, srt, vtt, tsv, json"):
        FULL.to("docx")


def test_words_are_none_unless_timed():
    """``words`` is None if words were not requested, and empty if none were recognized."""
    assert FULL.words == WORDS
    assert BARE.words is None
    assert attrs.evolve(BARE, options=TranscribeOptions(word_timestamps=True)).words == ()


def test_times_are_clamped_to_the_recording():
    """An end in the padding is moved to the end of the audio, and never before its start."""
    late = Segment(text="x", start=9.5, end=30.0, words=(Word(text="x", start=11.0, end=12.0),))
    clamped = late.clamped(10.0)
    assert (clamped.start, clamped.end) == (9.5, 10.0)
    assert clamped.words == (Word(text="x", start=10.0, end=10.0),)


def test_an_outcome_has_a_transcript_or_an_error():
    """An outcome has a transcript or an error, never both and never neither."""
    with pytest.raises(TypeError):
        TranscribeResult(index=0, item="a")
    with pytest.raises(TypeError):
        TranscribeResult(index=0, item="a", transcript=BARE, error=ValueError())
    assert TranscribeResult(index=0, item="a", transcript=BARE).unwrap() is BARE
    with pytest.raises(ZeroDivisionError):
        TranscribeResult(index=0, item="a", error=ZeroDivisionError()).unwrap()


def test_languages_without_spaces_are_joined_without():
    """Chinese and Japanese segments are joined without spaces."""
    assert join_texts(["one", "", "two"], "en") == "one two"
    assert join_texts(["一", "二"], "zh-TW") == "一二"
    assert join_texts(["a", "b"], None) == "a b"


@pytest.mark.parametrize(
    "decoding",
    [
        DecodingPath(batched=False),
        DecodingPath(batched=True),
        DecodingPath(batched=True, fallback_reasons=("low probability",)),
        DecodingPath(batched=True, chunks=5),
        DecodingPath(batched=True, chunks=5, fallback_reasons=("cut off", "cut off", "repetition")),
    ],
)
def test_a_transcript_of_the_former_schema_is_read(decoding: DecodingPath):
    """Schema 1 had a phrase under ``path`` in place of the fields of ``decoding``."""
    transcript = attrs.evolve(BARE, decoding=decoding)
    document = json.loads(transcript.to("json"))
    del document["asrlab"]["decoding"]
    document["asrlab"] |= {"schema": 1, "path": str(decoding).replace("chunks", "pieces")}
    assert Transcript.from_json(json.dumps(document)) == transcript
