"""Kaldi's data directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

type Write = Callable[[dict[str, str | bytes]], Path]

GOOD = {
    "wav.scp": "rec1 audio/one.wav\nrec2 audio/two words.wav\n",
    "segments": "s1-a rec1 0.50 2.00\ns1-b rec1 2.00 -1\ns2-a rec2 0 1\n",
    "text": "s1-a HELLO  THERE\ns1-b\ns2-a OLÁ\n",
    "utt2spk": "s1-a s1\ns1-b s1\ns2-a s2\n",
    "utt2lang": "s1-a english\ns2-a pt-BR\n",
}


def test_segments_are_parts_of_recordings(write: Write):
    """Times, texts, speakers and languages of all files are combined; an end of -1 is that of the recording."""
    root = write(GOOD)
    one, two = root / "audio" / "one.wav", root / "audio" / "two words.wav"

    assert list(load_dataset(root)) == [
        Utterance(
            id="s1-a",
            audio=AudioFile(path=one, offset=0.5, duration=1.5),
            text="HELLO  THERE",
            language="en",
            speaker="s1",
            recording="rec1",
        ),
        Utterance(id="s1-b", audio=AudioFile(path=one, offset=2.0), text="", speaker="s1", recording="rec1"),
        Utterance(
            id="s2-a",
            audio=AudioFile(path=two, offset=0.0, duration=1.0),
            text="OLÁ",
            language="pt-BR",
            speaker="s2",
            recording="rec2",
        ),
    ]


def test_without_segments_an_utterance_is_a_file(write: Write):
    """Without segments each recording is an utterance, read whole."""
    root = write({"wav.scp": "a a.flac\n", "text": "a hello\n"})

    assert list(load_dataset(root)) == [Utterance(id="a", audio=root / "a.flac", text="hello")]


@pytest.mark.parametrize(
    "value", ["sph2pipe -f wav x.sph |", "touch ran |", "touch ran|", "| touch ran", "cat a.wav | touch ran |"]
)
def test_shell_pipe_is_refused_and_never_run(write: Write, monkeypatch: pytest.MonkeyPatch, value: str):
    """A pipe in wav.scp is an error at its line, even where no utterance needs it, and nothing runs."""
    root = write({"wav.scp": f"a a.wav\nb {value}\n", "text": "a hello\n"})
    monkeypatch.chdir(root)

    with pytest.raises(
        DatasetError, match=r"wav\.scp, line 2: 'b' is a shell pipe .* never runs .*; write its audio"
    ) as got:
        list(load_dataset(root, allow_external_audio=True))
    assert (got.value.path, got.value.line) == (root / "wav.scp", 2)
    assert not (root / "ran").exists()


BAD: dict[str, tuple[dict[str, str], str]] = {
    "archive": ({"wav.scp": "rec1 raw.ark:12\n"}, r"wav\.scp, line 1: 'rec1' points into an archive"),
    "stdin": ({"wav.scp": "rec1 -\n"}, r"wav\.scp, line 1: 'rec1' is standard input"),
    "no path": ({"wav.scp": "rec1\n"}, r"wav\.scp, line 1: 'rec1' has no value"),
    "twice": ({"wav.scp": "rec1 a\nrec2 b\n\nrec1 c\n"}, r"wav\.scp, line 4: 'rec1' is on line 1 already"),
    "segment twice": ({"segments": "s1-a rec1 0 1\ns1-a rec1 1 2\n"}, r"segments, line 2: 's1-a' is on line 1 already"),
    "three fields": ({"segments": "s1-a rec1 0\n"}, r"segments, line 1: has 3 fields; it needs 4"),
    "no number": ({"segments": "s1-a rec1 x 1\n"}, r"segments, line 1: 'start' is 'x'; it must be a number"),
    "backwards": ({"segments": "s1-a rec1 2 1\n"}, r"segments, line 1: 'end' is 1; it must be after 'start'"),
    "unknown recording": ({"segments": "s1-a rec9 0 1\n"}, r"text, line 1: 'rec9' is not in wav\.scp"),
    "unknown utterance": ({"text": "zzz hello\n"}, r"text, line 1: 'zzz' is not in segments; add it there"),
    "no text": ({"text": "s1-a hello\ns1-b x\n"}, r"segments, line 3: 's2-a' has no line in text; add one"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_line_is_refused_with_file_and_line(write: Write, case: str):
    """Each kind of bad line is an error with its file, its line and the remedy."""
    files, problem = BAD[case]

    with pytest.raises(DatasetError, match=problem):
        list(load_dataset(write({**GOOD, **files})))


def test_directory_without_text_is_refused_at_once(write: Write):
    """A directory without text is refused when it is loaded, unless references may be missing."""
    root = write({"wav.scp": "a a.wav\n"})

    with pytest.raises(DatasetError, match="it has no text; add it, or do without references"):
        load_dataset(root)


def test_first_utterance_comes_before_the_rest_is_read(write: Write):
    """A bad line of text is an error only when it is reached."""
    utterances = iter(load_dataset(write({**GOOD, "text": "s1-a hello\nzzz x\n"})))

    assert next(utterances).text == "hello"
    with pytest.raises(DatasetError, match="'zzz' is not in segments"):
        next(utterances)
