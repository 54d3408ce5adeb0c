"""Subtitles: split, timed, and read back by the libraries that read them."""

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
from asrlab.transcript.subtitles import build_cues, width

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


def make_transcript(*segments: Segment) -> Transcript:
    """Return a transcript of *segments*."""
    return attrs.evolve(BASE, segments=segments, text=" ".join(segment.text for segment in segments))


def one_text_per_second(texts: tuple[str, ...]) -> Transcript:
    """Return a transcript with one of *texts* each second."""
    return make_transcript(*(Segment(text=text, start=float(n), end=n + 0.9) for n, text in enumerate(texts)))


def test_a_long_segment_becomes_short_cues():
    """Lines and cues are within the limits, no text is lost, and a cue ends after punctuation."""
    cues = build_cues(make_transcript(Segment(text=LONG, start=0.0, end=10.0)), SubtitleLayout())
    assert all(len(line) <= 42 for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= 2 for cue in cues)
    assert " ".join(line for cue in cues for line in cue.lines) == LONG
    assert cues[0].lines[-1].endswith("river.")
    assert (cues[0].start, cues[-1].end) == (0.0, 10.0)
    assert all(first.end <= second.start for first, second in pairwise(cues))


def test_a_cue_has_the_times_of_its_words():
    """If words were timed, a cue begins with its first word and ends with its last."""
    words = (
        Word(text="one,", start=1.0, end=1.2),
        Word(text="two", start=5.0, end=5.5),
        Word(text="three", start=5.5, end=6.0),
    )
    segment = Segment(text="one, two three", start=1.0, end=6.0, words=words)
    layout = SubtitleLayout(max_line_length=9, max_lines=1, max_chars_per_second=None, min_duration=None)
    assert [(cue.start, cue.end, cue.lines) for cue in build_cues(make_transcript(segment), layout)] == [
        (1.0, 1.2, ("one,",)),
        (5.0, 6.0, ("two three",)),
    ]


def test_a_fast_cue_is_shown_longer_before_a_pause():
    """A cue that is too fast to read is shown longer, but not into the next cue."""
    cues = build_cues(
        make_transcript(Segment(text="x" * 40, start=0.0, end=0.5), Segment(text="y" * 40, start=1.5, end=2.0)),
        SubtitleLayout(max_chars_per_second=20.0),
    )
    assert [cue.end for cue in cues] == [1.5, 3.5]


def test_wide_characters_count_twice():
    """Chinese and Japanese lines break between characters, not before punctuation, at half as many characters."""
    text = "今日はとてもいい天気ですね。明日は雨が降るかもしれませんので、傘を忘れないでください。" * 2
    cues = build_cues(make_transcript(Segment(text=text, start=0.0, end=20.0)), SubtitleLayout())
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
    """Cues of any text have all its characters in order, in lines that fit, and are in order themselves."""
    layout = SubtitleLayout(max_line_length=length, max_lines=lines)
    cues = build_cues(make_transcript(Segment(text=text, start=1.0, end=3.0)), layout)
    assert "".join("".join(line.split()) for cue in cues for line in cue.lines) == "".join(text.split())
    assert all(width(line) <= length for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= lines for cue in cues)
    assert all(cue.start <= cue.end for cue in cues)


def test_srt_is_read_by_pysubs2():
    """Times and odd texts are read back unchanged, except that an arrow is shortened."""
    read = SSAFile.from_string(one_text_per_second(ODD).to("srt"), "srt", keep_html_tags=True)
    assert [(event.start, event.text) for event in read] == [
        (1000 * second, text.replace("-->", "->")) for second, text in enumerate(ODD)
    ]


def test_vtt_is_read_by_webvtt_and_pysubs2():
    """Times and odd texts are read back unchanged, and no part of them is read as markup."""
    document = one_text_per_second(ODD).to("vtt")
    captions = webvtt.from_buffer(StringIO(document)).captions
    assert [(caption.start_in_seconds, _plain(caption.raw_text)) for caption in captions] == list(enumerate(ODD))
    assert [event.start for event in SSAFile.from_string(document, "vtt")] == [1000 * n for n in range(len(ODD))]


def _plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_a_segment_without_text_has_no_cue():
    """An empty segment has no cue, and a transcript without segments gives a valid document without cues."""
    assert pysubs2.SSAFile.from_string(one_text_per_second(("", " \n", "a")).to("srt"), "srt")[0].text == "a"
    assert make_transcript().to("srt") == ""
    assert webvtt.from_buffer(StringIO(make_transcript().to("vtt"))).captions == []


def test_a_layout_without_limits_keeps_segments():
    """Without a line length, every segment is one cue of one line at the times of the segment."""
    layout = SubtitleLayout(max_line_length=None, max_chars_per_second=None)
    [cue] = build_cues(make_transcript(Segment(text=f"{LONG}\n\nx", start=0.0, end=1.0)), layout)
    assert (cue.lines, cue.end) == ((f"{LONG} x",), 1.0)


def test_impossible_layouts_and_times_are_refused():
    """A limit of 0, or a time that subtitles cannot write, raises an `OptionError`."""
    with pytest.raises(OptionError, match="max_lines is 0"):
        SubtitleLayout(max_lines=0)
    with pytest.raises(OptionError, match="99:59:59"):
        make_transcript(Segment(text="late", start=360_000.0, end=360_001.0)).to("srt")


TIMES = st.integers(0, 400).map(lambda steps: steps * 0.05)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Draw segments in order, some without duration and some that overlap, with words or without."""
    segments = []
    for start in sorted(draw(st.lists(TIMES, max_size=8))):
        length = draw(st.sampled_from([0.0, 0.01, 0.15, 0.7, 1.5, 6.0]))
        texts = draw(st.lists(st.sampled_from(["a", "river,", "Nobody.", "今日は、", "x" * 20, "the"]), max_size=14))
        words = None
        if draw(st.booleans()):
            fractions = sorted(draw(st.lists(st.floats(0, 1), min_size=2 * len(texts), max_size=2 * len(texts))))
            spans = zip(fractions[::2], fractions[1::2], strict=True)
            words = tuple(
                Word(text=text, start=start + length * first, end=start + length * last)
                for text, (first, last) in zip(texts, spans, strict=True)
            )
        segments.append(Segment(text=" ".join(texts), start=start, end=start + length, words=words))
    return attrs.evolve(make_transcript(*segments), duration=30.0)


LAYOUTS = st.builds(
    SubtitleLayout,
    max_line_length=st.sampled_from([None, 10, 42]),
    max_lines=st.integers(1, 2),
    max_chars_per_second=st.sampled_from([None, 20.0]),
)


@settings(max_examples=150)
@given(transcript=transcripts(), layout=LAYOUTS)
def test_no_cue_is_shorter_than_necessary(transcript: Transcript, layout: SubtitleLayout):
    """A cue under 0.7 s touches both of its neighbours, and cannot be merged with either."""
    shown = build_cues(transcript, layout)
    for index, draft in enumerate(shown):
        if draft.duration >= 0.7 - 1e-6:
            continue
        before, after = shown[index - 1 : index], shown[index + 1 : index + 2]
        assert (after[0].start if after else 30.0) <= draft.end + 1e-6
        assert (before[0].end if before else 0.0) >= draft.start - 1e-6
        assert not any(other.merge(draft).fits for other in before if draft.start - other.end <= 3)
        assert not any(draft.merge(other).fits for other in after)
    texts = "".join("".join(part.text.split()) for draft in shown for part in draft.parts)
    assert texts == "".join("".join(segment.text.split()) for segment in transcript.segments)


@settings(max_examples=60)
@given(transcript=transcripts(), layout=LAYOUTS)
def test_every_cue_ends_after_its_start(transcript: Transcript, layout: SubtitleLayout):
    """pysubs2 and webvtt read as many cues as were written, and each has a duration above 0."""
    cues = build_cues(transcript, layout)
    srt = list(SSAFile.from_string(transcript.to("srt", layout=layout), "srt")) if cues else []
    vtt = webvtt.from_buffer(StringIO(transcript.to("vtt", layout=layout))).captions
    assert [len(srt), len(vtt)] == [len(cues), len(cues)]
    assert all(event.end > event.start for event in srt)
    assert all(caption.end_in_seconds > caption.start_in_seconds or caption.end > caption.start for caption in vtt)
    assert all(cue.end - cue.start < 3 * len("".join(cue.lines)) + 7 for cue in cues)


def test_a_long_pause_between_words_ends_the_cue():
    """Words on both sides of 33 s of silence are two cues, even if they fit into one."""
    words = (Word(text="one", start=1.0, end=1.5), Word(text="two", start=34.5, end=35.0))
    cues = build_cues(make_transcript(Segment(text="one two", start=1.0, end=35.0, words=words)), SubtitleLayout())
    assert [(cue.start, cue.end, cue.lines) for cue in cues] == [(1.0, 1.7, ("one",)), (34.5, 35.2, ("two",))]


def test_a_segment_without_duration_is_shown():
    """A cue without duration is shown longer or earlier, or is merged if there is no time on either side."""
    segments = [
        Segment(text="alone", start=5.0, end=5.0),
        Segment(text="x" * 42 + " " + "y" * 42, start=9.0, end=11.0),
        Segment(text="late", start=20.0, end=20.0),
        Segment(text="z" * 42 + " " + "v" * 42, start=20.0, end=29.0),
        Segment(text="and", start=29.0, end=29.0),
        Segment(text="so", start=29.0, end=31.0),
    ]
    cues = {
        " ".join(cue.lines)[:6]: (cue.start, cue.end)
        for cue in build_cues(make_transcript(*segments), SubtitleLayout())
    }
    assert cues["alone"] == (5.0, 5.7)
    assert cues["late"] == (19.3, 20.0)
    assert cues["and so"] == (29.0, 31.0)
