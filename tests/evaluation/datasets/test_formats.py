"""Behaviour common to all formats, and recognition of a path's format."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings, strategies as st

import asrlab
from asrlab.audio import AudioFile, load_audio
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets import FORMATS, Utterance, load_dataset

type Files = dict[str, str | bytes]
type Write = Callable[[Files], Path]

RECORDING = {"id": "r", "sampling_rate": 16000, "num_samples": 48000, "duration": 3.0}


def supervision(name: str, **fields: object) -> dict[str, object]:
    """A supervision of Lhotse's."""
    return {"id": name, "recording_id": "r", "start": 0, "duration": 1, "channel": 0, "text": f"text {name}", **fields}


def recording(path: str) -> dict[str, object]:
    """A recording of Lhotse's."""
    return {**RECORDING, "sources": [{"type": "file", "channels": [0], "source": path}]}


def to_jsonl(*objects: object) -> str:
    """Return JSON Lines of *objects*."""
    return "".join(json.dumps(line) + "\n" for line in objects)


# By format a small data set of the utterances "a" and "b", the path in it to give, and the file with the texts.
SETS: dict[str, tuple[Files, str, str]] = {
    "audiofolder": (
        {"metadata.csv": "file_name,transcription\na.wav,text a\nb.wav,text b\n", "a.wav": "", "b.wav": ""},
        "",
        "metadata.csv",
    ),
    "common-voice": (
        {"test.tsv": "client_id\tpath\tsentence\tlocale\ns\ta.mp3\ttext a\tde\ns\tb.mp3\ttext b\tde\n", "clips/x": ""},
        "test.tsv",
        "test.tsv",
    ),
    "csv": ({"list.csv": "path,text\na.wav,text a\nb.wav,text b\n"}, "list.csv", "list.csv"),
    "folder": ({"a.wav": "", "a.txt": "text a", "b.wav": "", "b.txt": "text b"}, "", "b.txt"),
    "kaldi": ({"wav.scp": "a a.wav\nb b.wav\n", "text": "a text a\nb text b\n"}, "", "text"),
    "lhotse": (
        {
            "x_recordings.jsonl": to_jsonl(recording("r.wav")),
            "x_supervisions.jsonl": to_jsonl(supervision("a"), supervision("b")),
        },
        "",
        "x_supervisions.jsonl",
    ),
    "librispeech": ({"7/8/7-8.trans.txt": "a text a\nb text b\n", "7/8/a.flac": ""}, "", "7/8/7-8.trans.txt"),
    "nemo": (
        {"list.jsonl": to_jsonl(*({"audio_filepath": f"{name}.wav", "text": f"text {name}"} for name in "ab"))},
        "list.jsonl",
        "list.jsonl",
    ),
    "stm": ({"r.stm": "a 1 s 0 1 text a\nb 1 s 0 1 text b\n", "a.wav": "", "b.wav": ""}, "r.stm", "r.stm"),
}
BY_LINE = sorted(SETS.keys() - {"folder"})
TOUCHED = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=sorted(SETS))
def name(request: pytest.FixtureRequest) -> str:
    """Each format's name."""
    return str(request.param)


def small(write: Write, name: str, change: Callable[[str], str | bytes] = str) -> Path:
    """The small data set of a format, with its file of texts changed, and the path to give."""
    files, path, texts = SETS[name]
    return write({**files, texts: change(str(files[texts]))}) / path


def test_every_format_has_a_small_set_here():
    """A format that is added is tested with the others."""
    assert sorted(SETS) == [known.name for known in FORMATS]


def test_format_is_recognized_by_content(write: Write, name: str):
    """A data set of each format is recognized by that format alone, and its references are read."""
    path = small(write, name)

    assert [known.name for known in FORMATS if known.sniff(path)] == [name]
    assert [utterance.text for utterance in load_dataset(path)] == ["text a", "text b"]


def test_format_can_be_named(write: Write, name: str):
    """A named format reads the same utterances, also through the public function."""
    path = small(write, name)

    assert list(asrlab.evaluation.load_dataset(path, format=name)) == list(load_dataset(path))


def test_data_set_can_be_read_again_from_anywhere(
    write: Write, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A data set given by a relative path is read twice, even after a change of the working directory."""
    path = small(write, name)
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset(path.relative_to(tmp_path))
    monkeypatch.chdir("/")

    assert list(dataset) == list(dataset) == list(load_dataset(path))


@pytest.mark.parametrize("by_line", BY_LINE)
def test_byte_order_mark_and_windows_line_ends_are_ignored(write: Write, by_line: str):
    """A data set saved by a Windows editor, with blank lines at the end, has the same utterances."""
    path = small(write, by_line, lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n \r\n")

    assert [utterance.text for utterance in load_dataset(path)] == ["text a", "text b"]


@pytest.mark.parametrize("by_line", BY_LINE)
def test_line_that_is_not_utf8_is_refused_with_its_number(write: Write, by_line: str):
    """The first utterance is returned before the error about the second line, which has file and line."""
    path = small(write, by_line, lambda text: text.encode().replace(b"text b", b"text \xff"))
    texts = SETS[by_line][2]
    at = str(SETS[by_line][0][texts]).partition("text b")[0].count("\n") + 1
    utterances = iter(load_dataset(path))

    assert next(utterances).text == "text a"
    with pytest.raises(DatasetError, match=rf"{Path(texts).name}, line {at}: .*byte \d+ is not UTF-8") as caught:
        next(utterances)
    assert caught.value.line == at


@pytest.mark.parametrize("by_line", BY_LINE)
def test_equal_ids_are_refused_with_both_lines(write: Write, by_line: str):
    """A repeated line is an error that names both lines."""
    path = small(write, by_line, lambda text: text + text.splitlines(keepends=True)[-1])

    with pytest.raises(DatasetError, match=r"line (\d): the id '.+' is that of line \d already"):
        list(load_dataset(path))


OUTSIDE: dict[str, tuple[Files, str]] = {
    "audiofolder": ({"metadata.jsonl": to_jsonl({"file_name": "OUT", "text": "x"})}, ""),
    "common-voice": ({"test.tsv": "client_id\tpath\tsentence\ns\tOUT\tx\n", "clips/x": ""}, ""),
    "csv": ({"list.csv": "path,text\nOUT,x\n"}, "list.csv"),
    "kaldi": ({"wav.scp": "a OUT\n", "text": "a x\n"}, ""),
    "lhotse": (
        {
            "cuts.jsonl": to_jsonl(
                {"type": "MonoCut", "recording": recording("OUT"), "supervisions": [supervision("a")]}
            )
        },
        "",
    ),
    "librispeech": ({"7/8/7-8.trans.txt": "OUT x\n"}, ""),
    "nemo": ({"list.jsonl": to_jsonl({"audio_filepath": "OUT", "text": "x"})}, "list.jsonl"),
}


@pytest.mark.parametrize("kind", ["absolute", "dots", "link", "linked folder"])
@pytest.mark.parametrize("by_path", sorted(OUTSIDE))
def test_audio_outside_is_refused_unless_allowed(write: Write, tmp_path: Path, by_path: str, kind: str):
    """A path that leads out of the data set's folder is refused at its line by every format that names paths."""
    (tmp_path / "secret.flac").touch()
    ways = {
        "absolute": f"{tmp_path}/secret",
        "dots": "../../../secret" if by_path == "librispeech" else "../" * by_path.count("-") + "../secret",
        "link": "link",
        "linked folder": "folder/secret",
    }
    files, path = OUTSIDE[by_path]
    named = ways[kind] + ("" if by_path == "librispeech" else ".flac")
    root = write({name: str(text).replace("OUT", named) for name, text in files.items()})
    beside = {"common-voice": root / "clips", "librispeech": root / "7" / "8"}.get(by_path, root)
    (beside / "link.flac").symlink_to(tmp_path / "secret.flac")
    if kind == "linked folder":
        (beside / "folder").symlink_to(tmp_path, target_is_directory=True)
    is_met_first = (by_path, kind) == ("librispeech", "linked folder")  # while its folders are listed

    where = "" if is_met_first else r"line \d: .*"
    with pytest.raises(DatasetError, match=where + "leads out of the .* folder.*allow_external_audio=True") as caught:
        list(load_dataset(root / path))
    [utterance] = asrlab.evaluation.load_dataset(root / path, allow_external_audio=True)
    assert caught.value.line in ((None,) if is_met_first else (1, 2))
    audio = utterance.audio.path if isinstance(utterance.audio, AudioFile) else utterance.audio
    assert Path(str(audio)).resolve() == tmp_path / "secret.flac"


def test_folder_that_leads_out_is_refused_after_one_that_does_not(write: Write, tmp_path: Path):
    """A path is checked even if the line before was inside, in another folder or in the same one by another route."""
    for way in ("out/a.wav", "in/../../a.wav", "in/../out/a.wav"):
        root = write({"in/a.wav": "", "list.csv": f"path,text\nin/a.wav,x\nin/b.wav,x\n{way},x\n"})
        if not (root / "out").is_symlink():
            (root / "out").symlink_to(tmp_path, target_is_directory=True)
        utterances = iter(load_dataset(root / "list.csv"))

        assert [next(utterances).id, next(utterances).id] == ["in/a", "in/b"]
        with pytest.raises(DatasetError, match=r"line 4: 'path' .* leads out"):
            next(utterances)


@pytest.mark.parametrize("zipped", ["csv", "nemo"])
def test_gzipped_file_is_the_same(write: Write, zipped: str):
    """JSONL and tables may be gzipped, whatever they are called."""
    plain = [utterance.id for utterance in load_dataset(small(write, zipped))]

    assert [u.id for u in load_dataset(small(write, zipped, lambda text: gzip.compress(text.encode())))] == plain


def test_reference_may_be_missing_on_request(write: Write):
    """A data set without references is refused by each format, and read with ``require_text=False``."""
    sets: list[tuple[Files, str]] = [
        ({"folder/a.wav": ""}, "folder"),
        ({"af/metadata.csv": "file_name\na.wav\n"}, "af"),
        ({"list.tsv": "path\tduration\na.wav\t1\n"}, "list.tsv"),
        ({"kaldi/wav.scp": "a a.wav\n"}, "kaldi"),
        ({"kaldi2/wav.scp": "a a.wav\n", "kaldi2/text": ""}, "kaldi2"),
        (
            {"lh/cuts.jsonl": to_jsonl({"type": "MonoCut", "id": "a", "start": 0, "recording": recording("a.wav")})},
            "lh",
        ),
        ({"sups/x_recordings.jsonl": to_jsonl(recording("a.wav"))}, "sups"),
    ]
    sets[-1][0]["sups/x_supervisions.jsonl"] = to_jsonl({**supervision("a"), "text": None})
    for files, path in sets:
        root = write(files)
        with pytest.raises(DatasetError, match="require_text=False"):
            list(load_dataset(root / path))
        assert [utterance.text for utterance in load_dataset(root / path, require_text=False)] == [None]


def test_ambiguous_path_is_refused_with_the_remedy(write: Write):
    """The error about a folder in two formats names both and how to choose; a chosen format is read."""
    root = write({"a.wav": "", "a.txt": "from txt", "metadata.csv": "file_name,text\na.wav,from csv\n"})

    with pytest.raises(
        DatasetError,
        match=r"could be Hugging Face's audiofolder or a folder of audio .*; choose with format='audiofolder' or "
        r"format='folder' \(--format NAME\)",
    ):
        load_dataset(root)
    assert [u.text for u in load_dataset(root, format="folder")] == ["from txt"]
    assert [u.text for u in load_dataset(root, format="audiofolder")] == ["from csv"]


def test_unknown_format_has_a_near_match_and_all_names(tmp_path: Path):
    """A mistyped format is an option error with the near match and all there are."""
    with pytest.raises(OptionError, match="no format 'kadli' of data sets; did you mean kaldi") as caught:
        load_dataset(tmp_path, format="kadli")

    assert (caught.value.option, caught.value.supported) == ("format", tuple(known.name for known in FORMATS))


def test_format_of_a_named_data_set_is_refused():
    """A format says how to read a path, so it is refused for a name."""
    with pytest.raises(OptionError, match=r"'smoke' is a name; leave it out, or write \./smoke"):
        asrlab.evaluation.load_dataset("smoke", format="nemo")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it is empty; name its format"),
        ("dear diary\n", "begins with 'dear diary'"),
        ("path text\n", "begins with 'path text'"),
        ("SPEAKER talk 1 10.0 5.0 <NA> <NA> s <NA>\n", "begins with 'SPEAKER"),  # RTTM
        ("talk 1 10.05 0.31 word 0.9\n", "begins with 'talk"),  # CTM
        (b"\x1f\x8bnot gzip at all", "gzipped"),
    ],
)
def test_file_in_no_format_is_refused_with_its_beginning(write: Write, content: str | bytes, problem: str):
    """The error about an unknown format has the file's beginning and the names of the formats."""
    with pytest.raises(DatasetError, match=problem):
        load_dataset(write({"notes.txt": content}) / "notes.txt")


def test_wrong_named_format_is_refused(write: Write, name: str):
    """A file read in a wrong named format is an error that says what is missing."""
    root = write({"notes.md": "dear diary\n"})
    given = root if name in ("audiofolder", "folder", "kaldi", "librispeech") else root / "notes.md"

    with pytest.raises(DatasetError) as caught:
        list(load_dataset(given, format=name))
    assert "set" in str(caught.value)


@pytest.mark.parametrize("name", ["gone", "nul\0byte", "x" * 5000])
def test_recognizing_never_raises(tmp_path: Path, name: str):
    """A missing or impossible path is in no format."""
    assert not any(known.sniff(tmp_path / name) for known in FORMATS)


def test_part_of_a_file_is_decoded_at_its_times(write: Write):
    """Start and end, as four formats write them, select the second of three seconds."""
    root = write({"r.wav": "", "s/r.sph": "", "s/r.stm": "r A spk 1 2 <o,f0> hello\n"})
    samples = np.repeat(np.array([0.1, 0.2, 0.3], dtype="float32"), 16_000)
    soundfile.write(root / "r.wav", samples, 16_000)
    soundfile.write(root / "s" / "r.sph", samples, 16_000, format="NIST")
    write({"k/wav.scp": "r ../r.wav\n", "k/segments": "a r 1.0 2.0\n", "k/text": "a hello\n"})
    write({"t.csv": "path;offset;duration;text\nr.wav;1.0;1.0;hello\n"})
    cut = {"type": "MonoCut", "start": 0.5, "recording": recording("r.wav")}
    write({"cuts.jsonl": to_jsonl({**cut, "supervisions": [supervision("a", start=0.5, text="hello")]})})

    for path in ("k", "t.csv", "cuts.jsonl", "s/r.stm"):
        [utterance] = load_dataset(root / path, allow_external_audio=True)
        assert isinstance(utterance.audio, AudioFile)
        assert (utterance.text, utterance.audio.offset, utterance.audio.duration) == ("hello", 1.0, 1.0)
        heard = load_audio(utterance.audio).samples
        assert (len(heard), round(float(heard.mean()), 2)) == (16_000, 0.2)


SEEDS = [str(files[texts]).encode() for files, _, texts in SETS.values()]


@TOUCHED
@given(name=st.sampled_from(sorted(SETS)), data=st.binary(max_size=60) | st.sampled_from(SEEDS))
@example(name="lhotse", data=b'{"id": 1, "recording_id": "r", "start": [], "duration": {}}')
@example(name="csv", data=b'path,text\n"a')
@example(name="stm", data=b"a 1 s nan inf x")
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes):
    """Any file is read as utterances or refused with a data set error."""
    files, given_path, texts = SETS[name]
    root = tmp_path_factory.mktemp("any")
    for file, content in {**files, texts: data}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    read: list[object] = []
    with contextlib.suppress(DatasetError):
        read.extend(load_dataset(root / given_path, format=name))
    assert all(isinstance(utterance, Utterance) for utterance in read)
