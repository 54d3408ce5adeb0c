"""Output files of the drop-in replacement of openai-whisper, compared with those of openai-whisper."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrlab import OptionError
from asrlab.compat.whisper import utils

upstream = pytest.importorskip("whisper.utils", reason="openai-whisper is not installed")

TEXTS = (" It was a dark night.", " Rain --> fell\tin torrents, and", " and,", " then it stopped. =1+1", " «Ça va ?»")


def make_result(*, words: bool, seed: int = 0, count: int = 12) -> dict[str, Any]:
    """Return a result with pauses of several lengths, words that touch, words that do not, and a time after an hour."""
    random = np.random.default_rng(seed)
    now, segments = 0.0, list[dict[str, Any]]()
    for number in range(count):
        now += float(random.choice([0.0, 0.5, 3.5])) + (3600 if number == count - 2 else 0)
        text = TEXTS[number % len(TEXTS)]
        timed = []
        for word in text.split(" ")[1:]:
            start = round(now + float(random.choice([0.0, 0.11])), 2)
            now = round(start + float(random.random()), 2)
            timed.append({"word": f" {word}", "start": start, "end": now, "probability": np.float64(0.5)})
        segment = {"id": number, "start": timed[0]["start"], "end": now, "text": text, "tokens": [1], "seek": 0}
        segments.append(segment | ({"words": timed} if words else {}))
    return {"text": "".join(TEXTS), "segments": segments, "language": "en"}


LAYOUTS = [
    dict(zip(("max_line_width", "max_line_count", "max_words_per_line", "highlight_words"), values, strict=True))
    for values in itertools.product((None, 12, 40), (None, 1, 2), (None, 3), (False, True))
]


@pytest.mark.parametrize("words", [True, False])
def test_files_are_upstreams_to_the_byte(tmp_path: Path, words: bool):  # noqa: FBT001 - a parameter of the test
    """Files in every format, with every layout of subtitles, have upstream's bytes."""
    for folder in ("theirs", "ours"):
        (tmp_path / folder).mkdir()
    result = make_result(words=words)
    for layout in LAYOUTS:
        upstream.get_writer("all", str(tmp_path / "theirs"))(result, "a/talk.one.mp3", **layout)
        utils.get_writer("all", str(tmp_path / "ours"))(result, "a/talk.one.mp3", **layout)
        for path in (tmp_path / "theirs").iterdir():
            assert (tmp_path / "ours" / path.name).read_bytes() == path.read_bytes(), (path.name, layout)
    assert len(list((tmp_path / "ours").iterdir())) == 5


@pytest.mark.parametrize("segments", [[], [{"start": 0.0, "end": 0.0, "text": "", "words": [], "tokens": []}]])
def test_a_result_without_speech_is_written_as_upstream_writes_it(tmp_path: Path, segments: list[dict[str, Any]]):
    """A result without segments, or without words, is written as upstream writes it."""
    result = {"text": "", "segments": segments, "language": "en"}
    for name in ("txt", "vtt", "srt", "tsv", "json"):
        upstream.get_writer(name, str(tmp_path))(result, "theirs.mp3")
        utils.get_writer(name, str(tmp_path))(result, "ours.mp3")
        assert (tmp_path / f"ours.{name}").read_bytes() == (tmp_path / f"theirs.{name}").read_bytes()


def test_options_can_be_a_dictionary(tmp_path: Path):
    """Options of subtitles can be in a dictionary with other options, as for upstream."""
    result, options = make_result(words=True), {"max_line_width": 12, "max_line_count": 1, "language": "en"}
    upstream.WriteSRT(str(tmp_path))(result, "theirs.mp3", options)
    utils.WriteSRT(str(tmp_path))(result, "ours.mp3", options)
    assert (tmp_path / "ours.srt").read_bytes() == (tmp_path / "theirs.srt").read_bytes()


def test_unknown_formats_and_layouts_are_refused(tmp_path: Path):
    """An unknown format or layout is refused with the known ones."""
    with pytest.raises(OptionError, match="txt, vtt, srt, tsv, json, all"):
        utils.get_writer("docx", str(tmp_path))
    with pytest.raises(OptionError, match="max_line_width"):
        utils.get_writer("srt", str(tmp_path))(make_result(words=True), "a.mp3", max_width=3)
