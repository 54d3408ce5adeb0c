"""Segment time marks (STM)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

type Write = Callable[[dict[str, str | bytes]], Path]

STM = """\
;; CATEGORY "0" "" ""
;; LABEL "O" "Overall" "Overall"
talk 1 Ann 0.00 1.25 <o,f0,female> hello <unk> there
talk 1 inter_segment_gap 1.25 2.00 <o,,> ignore_time_segment_in_scoring
talk A Bob 2.5 4 with no label
talk 1 Ann 4 5 <o,f0,female> IGNORE_TIME_SEGMENT_IN_SCORING
talk\t1\tAnn\t5\t6\t<NA>
"""


@pytest.mark.parametrize(
    ("stm", "audio", "path"),
    [
        ("talk.stm", "talk.wav", "talk.stm"),
        ("list.txt", "talk.flac", "list.txt"),
        ("talk.stm", "sph/talk.sph", "talk.stm"),
        ("stm/talk.stm", "sph/talk.sph", ""),
    ],
)
def test_stm_gives_the_segments_that_are_scored(write: Write, stm: str, audio: str, path: str):
    """Comments, labels and ignored segments are skipped; the audio is found by its name in TED-LIUM's folder."""
    text = STM if stm.endswith(".stm") else STM.partition("\n")[2].partition("\n")[2]
    root = write({stm: text, audio: ""})

    assert list(load_dataset(root / path)) == [
        Utterance(
            id=f"talk@{start}-{end}",
            audio=AudioFile(path=root / audio, offset=float(start), duration=float(end) - float(start)),
            text=said,
            speaker=speaker,
            recording="talk",
        )
        for start, end, speaker, said in [
            ("0.00", "1.25", "Ann", "hello <unk> there"),
            ("2.5", "4", "Bob", "with no label"),
            ("5", "6", "Ann", ""),
        ]
    ]


BAD_LINES = [
    ("talk 1 Ann 1", "has fewer than 5 fields; it needs: file, channel"),
    (
        "talk B Ann 1 2 hi",
        "names channel 'B', and asrlab mixes the channels of a file; write each channel",
    ),
    ("talk 2 Ann 1 2 hi", "names channel '2'"),
    ("talk 1 Ann x 2 hi", "'start' is 'x'; it must be a number of seconds"),
    ("talk 1 Ann 1 inf hi", "'end' is inf; it must be a finite number"),
    ("talk 1 Ann 2 1 hi", "would last -1 s; it must end after it starts"),
    ("talk 1 Ann 1 1 hi", "would last 0 s"),
    ("other 1 Ann 1 2 hi", "there is no audio 'other' beside it"),
    ("../talk 1 Ann 1 2 hi", r"there is no audio '\.\./talk' beside it"),
    ("talk 1 Ann 1 2 say { yes / yeah } now", "'{ yes / yeah }' leaves open what was said"),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_bad_stm_line_is_refused_with_its_line_number(write: Write, line: str, problem: str):
    """A bad line is an error with file and line number, after the line before it was returned."""
    path = write({"x.stm": f"talk 1 Ann 0 1 hi\n\n{line}\n", "talk.wav": ""}) / "x.stm"
    utterances = iter(load_dataset(path))

    assert next(utterances).text == "hi"
    with pytest.raises(DatasetError, match=rf"x\.stm, line 3: .*{problem}") as caught:
        next(utterances)
    assert (caught.value.path, caught.value.line) == (path, 3)


def test_stm_beside_the_audio_folder_needs_permission(write: Write):
    """TED-LIUM's audio is outside the STM file's folder: loading the file alone is an error with the remedy."""
    root = write({"stm/talk.stm": "talk 1 Ann 0 1 hi\n", "sph/talk.sph": ""})

    with pytest.raises(DatasetError, match="give the folder above, or allow it"):
        list(load_dataset(root / "stm" / "talk.stm"))
    [utterance] = load_dataset(root / "stm" / "talk.stm", allow_external_audio=True)
    assert utterance.audio == AudioFile(path=root / "sph" / "talk.sph", offset=0.0, duration=1.0)


def test_empty_stm_is_refused(write: Write):
    """An empty file is an error and not an empty data set."""
    with pytest.raises(DatasetError, match=r"x\.stm is empty; a line is: file"):
        load_dataset(write({"x.stm": "\n"}) / "x.stm")
