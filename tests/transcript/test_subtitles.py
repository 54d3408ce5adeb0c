"""Subtitles: cut, timed, and read back by the libraries that read them."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise

import attrs
import pysubs2
import pytest
import webvtt
from hypothesis import given, settings, strategies as st
from pysubs2.ssafile import SSAFile

from asrlab.device import Device
from asrlab.errors import OptionError
from asrlab.transcript import ModelInfo, Segment, SubtitleLayout, Timings, Transcript, Word
from asrlab.transcript.cue_timing import fits, timed
from asrlab.transcript.line_breaks import width
from asrlab.transcript.subtitles import _cut, cues_of

BASE = Transcript(
    text="",
    language=None,
    duration=100.0,
    device=Device(requested="cpu", resolved="cpu"),
    compute_type="float32",
    timings=Timings(audio=0, inference=0, total=0.5),
    model=ModelInfo(name="echo/echo", engine="echo"),
)
LONG = (
    "When the rain had stopped, the two of them walked along the river. Nobody said a word until they came to the old "
    "mill, where the path ends and the fields begin."
)
ODD = (
    "a --> b",
    "C:\\new\\Nile \\h",
    "{\\i1}braces{",
    "<i>&amp;</i> <v Bob>",
    "שלום, עולם",
    "今日は、いい天気ですね。",
    "12",
)


def of(*segments: Segment) -> Transcript:
    """A transcript of these segments."""
    return attrs.evolve(BASE, segments=segments, text=" ".join(each.text for each in segments))


def spaced(texts: tuple[str, ...]) -> Transcript:
    """A transcript with a text each second."""
    return of(*(Segment(text=text, start=float(n), end=n + 0.9) for n, text in enumerate(texts)))


def test_a_long_segment_becomes_short_cues():
    """No line is longer than asked, no cue has more lines, nothing is lost, and a cut is after punctuation."""
    cues = cues_of(of(Segment(text=LONG, start=0.0, end=10.0)), SubtitleLayout())
    assert all(len(line) <= 42 for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= 2 for cue in cues)
    assert " ".join(line for cue in cues for line in cue.lines) == LONG
    assert cues[0].lines[-1].endswith("river.")
    assert (cues[0].start, cues[-1].end) == (0.0, 10.0)
    assert all(first.end <= second.start for first, second in pairwise(cues))


def test_a_cut_is_at_the_time_of_the_word():
    """Where words were timed, a cue begins with its first word and ends with its last."""
    words = (
        Word(text="one,", start=1.0, end=1.2),
        Word(text="two", start=5.0, end=5.5),
        Word(text="three", start=5.5, end=6.0),
    )
    segment = Segment(text="one, two three", start=1.0, end=6.0, words=words)
    layout = SubtitleLayout(max_line_length=9, max_lines=1, max_chars_per_second=None, min_duration=None)
    assert [(cue.start, cue.end, cue.lines) for cue in cues_of(of(segment), layout)] == [
        (1.0, 1.2, ("one,",)),
        (5.0, 6.0, ("two three",)),
    ]


def test_a_fast_cue_stays_while_there_is_room():
    """What is read too fast stays until it can be read, but not into the next cue."""
    cues = cues_of(
        of(Segment(text="x" * 40, start=0.0, end=0.5), Segment(text="y" * 40, start=1.5, end=2.0)),
        SubtitleLayout(max_chars_per_second=20.0),
    )
    assert [cue.end for cue in cues] == [1.5, 3.5]


def test_wide_characters_count_twice():
    """Chinese and Japanese lines are cut between characters, not before punctuation, at half as many."""
    text = "今日はとてもいい天気ですね。明日は雨が降るかもしれませんので、傘を忘れないでください。" * 2
    cues = cues_of(of(Segment(text=text, start=0.0, end=20.0)), SubtitleLayout())
    assert all(width(line) <= 42 for cue in cues for line in cue.lines)
    assert "".join(line for cue in cues for line in cue.lines) == text
    assert not any(line.startswith(("、", "。")) for cue in cues for line in cue.lines)


@settings(max_examples=60)
@given(
    text=st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=200),
    length=st.integers(4, 42),
    lines=st.integers(1, 3),
)
def test_no_text_is_lost_and_no_line_too_long(text: str, length: int, lines: int):
    """Whatever the text, its characters are all there, in order, in lines that fit and cues in order."""
    layout = SubtitleLayout(max_line_length=length, max_lines=lines)
    cues = cues_of(of(Segment(text=text, start=1.0, end=3.0)), layout)
    assert "".join("".join(line.split()) for cue in cues for line in cue.lines) == "".join(text.split())
    assert all(width(line) <= length for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= lines for cue in cues)
    assert all(cue.start <= cue.end for cue in cues)


def test_srt_is_read_by_pysubs2():
    """Times and odd texts come back; an arrow is the one thing that is written otherwise."""
    read = SSAFile.from_string(spaced(ODD).to("srt"), "srt", keep_html_tags=True)
    assert [(event.start, event.text) for event in read] == [
        (1000 * place, text.replace("-->", "->")) for place, text in enumerate(ODD)
    ]


def test_vtt_is_read_by_webvtt_and_pysubs2():
    """Times and odd texts come back, with nothing taken for markup."""
    document = spaced(ODD).to("vtt")
    captions = webvtt.from_buffer(StringIO(document)).captions
    assert [(caption.start_in_seconds, _plain(caption.raw_text)) for caption in captions] == list(enumerate(ODD))
    assert [event.start for event in SSAFile.from_string(document, "vtt")] == [1000 * n for n in range(len(ODD))]


def _plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_a_segment_without_text_is_no_cue():
    """An empty segment shows nothing; no segments at all make a document that is read as one without cues."""
    assert pysubs2.SSAFile.from_string(spaced(("", " \n", "a")).to("srt"), "srt")[0].text == "a"
    assert of().to("srt") == ""
    assert webvtt.from_buffer(StringIO(of().to("vtt"))).captions == []


def test_layout_can_be_left_out():
    """Without a line length every segment is one cue of one line, at its own times."""
    layout = SubtitleLayout(max_line_length=None, max_chars_per_second=None)
    [cue] = cues_of(of(Segment(text=f"{LONG}\n\nx", start=0.0, end=1.0)), layout)
    assert (cue.lines, cue.end) == ((f"{LONG} x",), 1.0)


def test_what_cannot_be_laid_out_is_refused():
    """A length of 0, or a time that subtitles cannot write, is an `OptionError`."""
    with pytest.raises(OptionError, match="max_lines is 0"):
        SubtitleLayout(max_lines=0)
    with pytest.raises(OptionError, match="99:59:59"):
        of(Segment(text="late", start=360_000.0, end=360_001.0)).to("srt")


TIMES = st.integers(0, 400).map(lambda steps: steps * 0.05)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Segments in order, some of no length and some that overlap, with words or without."""
    segments = []
    for start in sorted(draw(st.lists(TIMES, max_size=8))):
        length = draw(st.sampled_from([0.0, 0.01, 0.15, 0.7, 1.5, 6.0]))
        texts = draw(st.lists(st.sampled_from(["a", "river,", "Nobody.", "今日は、", "x" * 20, "the"]), max_size=14))
        words = None
        if draw(st.booleans()):
            places = sorted(draw(st.lists(st.floats(0, 1), min_size=2 * len(texts), max_size=2 * len(texts))))
            spans = zip(places[::2], places[1::2], strict=True)
            words = tuple(
                Word(text=text, start=start + length * first, end=start + length * last)
                for text, (first, last) in zip(texts, spans, strict=True)
            )
        segments.append(Segment(text=" ".join(texts), start=start, end=start + length, words=words))
    return attrs.evolve(of(*segments), duration=30.0)


LAYOUTS = st.builds(
    SubtitleLayout,
    max_line_length=st.sampled_from([None, 10, 42]),
    max_lines=st.integers(1, 2),
    max_chars_per_second=st.sampled_from([None, 20.0]),
)


@settings(max_examples=150)
@given(transcript=transcripts(), layout=LAYOUTS)
def test_no_cue_is_short_where_the_layout_is_free(transcript: Transcript, layout: SubtitleLayout):
    """A cue under 0.7 s has neighbours at once before and behind it, and fits into no cue with either of them."""
    drafts = [draft for segment in transcript.segments for draft in _cut(segment, layout)]
    shown = timed(drafts, transcript.duration, layout)
    for place, draft in enumerate(shown):
        if draft.duration >= 0.7 - 1e-6:
            continue
        before, behind = shown[place - 1 : place], shown[place + 1 : place + 2]
        assert (behind[0].start if behind else 30.0) <= draft.end + 1e-6
        assert (before[0].end if before else 0.0) >= draft.start - 1e-6
        assert not any(fits(each.joined(draft), layout) for each in before if draft.start - each.end <= 3)
        assert not any(fits(draft.joined(each), layout) for each in behind)
    texts = "".join("".join(piece.text.split()) for draft in shown for piece in draft.pieces)
    assert texts == "".join("".join(segment.text.split()) for segment in transcript.segments)


@settings(max_examples=60)
@given(transcript=transcripts(), layout=LAYOUTS)
def test_every_cue_ends_after_its_start_for_those_who_read_it(transcript: Transcript, layout: SubtitleLayout):
    """As pysubs2 and webvtt read SRT and WebVTT, there are as many cues as were laid out, and none has no length."""
    cues = cues_of(transcript, layout)
    srt = list(SSAFile.from_string(transcript.to("srt", layout=layout), "srt")) if cues else []
    vtt = webvtt.from_buffer(StringIO(transcript.to("vtt", layout=layout))).captions
    assert [len(srt), len(vtt)] == [len(cues), len(cues)]
    assert all(event.end > event.start for event in srt)
    assert all(caption.end_in_seconds > caption.start_in_seconds or caption.end > caption.start for caption in vtt)
    assert all(cue.end - cue.start < 3 * len("".join(cue.lines)) + 7 for cue in cues)


def test_a_long_pause_between_words_ends_the_cue():
    """Words around 33 s of silence are two cues, though they would fit into one."""
    words = (Word(text="one", start=1.0, end=1.5), Word(text="two", start=34.5, end=35.0))
    cues = cues_of(of(Segment(text="one two", start=1.0, end=35.0, words=words)), SubtitleLayout())
    assert [(cue.start, cue.end, cue.lines) for cue in cues] == [(1.0, 1.7, ("one",)), (34.5, 35.2, ("two",))]


def test_a_cue_of_no_length_is_shown():
    """It stays where nothing follows, comes earlier where something does, and is joined where there is no room."""
    at = [
        Segment(text="alone", start=5.0, end=5.0),
        Segment(text="x" * 42 + " " + "y" * 42, start=9.0, end=11.0),
        Segment(text="late", start=20.0, end=20.0),
        Segment(text="z" * 42 + " " + "v" * 42, start=20.0, end=29.0),
        Segment(text="and", start=29.0, end=29.0),
        Segment(text="so", start=29.0, end=31.0),
    ]
    cues = {" ".join(cue.lines)[:6]: (cue.start, cue.end) for cue in cues_of(of(*at), SubtitleLayout())}
    assert cues["alone"] == (5.0, 5.7)
    assert cues["late"] == (19.3, 20.0)
    assert cues["and so"] == (29.0, 31.0)
