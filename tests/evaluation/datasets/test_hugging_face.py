"""Objects of the ``datasets`` library, and the folders that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import asrlab
from asrlab.audio import AudioFile
from asrlab.errors import DatasetError, OptionError

datasets = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")


@pytest.fixture
def folder(tmp_path: Path, clips: tuple[Path, ...]) -> Path:
    """An audiofolder of two clips, as its documentation describes it."""
    for name, clip in (("one.flac", clips[1]), ("two.flac", clips[4])):
        (tmp_path / name).write_bytes(clip.read_bytes())
    rows = "file_name,transcription,speaker_id\none.flac,first,7\ntwo.flac,second,8\n"
    (tmp_path / "metadata.csv").write_text(rows, encoding="utf-8")
    return tmp_path


@pytest.fixture
def library_object(folder: Path):
    """Return the library's own object of the folder, with paths, since audio columns need torchcodec."""
    stream = datasets.load_dataset("audiofolder", data_dir=str(folder), split="train", streaming=True)
    return stream.cast_column("audio", datasets.Value("string"))


def test_an_audiofolder_is_read_as_the_library_reads_it(folder: Path, library_object: object):
    """The folder and the library's object of it have the same texts, speakers and audio, file for file."""
    ours = list(asrlab.evaluation.load_dataset(folder))
    objects = list(asrlab.evaluation.load_dataset(library_object))
    assert [(utterance.text, utterance.speaker) for utterance in ours] == [("first", "7"), ("second", "8")]
    assert [(utterance.text, utterance.speaker) for utterance in objects] == [
        (utterance.text, utterance.speaker) for utterance in ours
    ]
    assert [_content(utterance.audio) for utterance in objects] == [_content(utterance.audio) for utterance in ours]


def _content(audio: object) -> bytes:
    return audio if isinstance(audio, bytes) else Path(str(audio)).read_bytes()


def test_bytes_and_paths_are_decoded_by_asrlab(folder: Path):
    """An audio column with paths or with bytes is transcribed without the library's decoder."""
    paths = [folder / "one.flac", folder / "two.flac"]
    held = {"bytes": [{"bytes": path.read_bytes(), "path": None} for path in paths], "paths": list(map(str, paths))}
    ids = {"bytes": ["row-1", "row-2"], "paths": [str(path.with_suffix("")) for path in paths]}
    with asrlab.load("echo") as transcriber:
        for name, column in held.items():
            rows = datasets.Dataset.from_dict({"speech": column, "text": ["a", "b"]})
            read = asrlab.evaluation.load_dataset(rows.cast_column("speech", datasets.Audio()))
            assert [utterance.id for utterance in read] == ids[name]
            assert read.length == 2
            texts = [transcriber.transcribe(utterance.audio).text for utterance in read]
            assert texts == ["loud loud loud", "loud loud loud quiet"]


def test_a_bench_runs_over_an_object(folder: Path, tmp_path: Path):
    """``asrlab.evaluation.bench`` takes the object as it takes a path."""
    rows = datasets.Dataset.from_dict({"audio": [str(folder / "one.flac")], "text": ["loud loud loud"]})
    result = asrlab.evaluation.bench(rows, models="echo", run=tmp_path / "run")
    assert result.models[0].score is not None
    assert result.models[0].score.wer == 0


@pytest.mark.skipif(find_spec("torchcodec") is not None, reason="torchcodec is installed")
def test_a_stream_that_the_library_cannot_read_says_what_is_missing(folder: Path):
    """Without torchcodec the library streams no audio column, and the error says what to do."""
    stream = datasets.load_dataset("audiofolder", data_dir=str(folder), split="train", streaming=True)
    with pytest.raises(DatasetError, match=r"torchcodec.*cast_column\('audio'"):
        list(asrlab.evaluation.load_dataset(stream))


def test_a_stream_is_read_while_iterated():
    """The first row of an IterableDataset is returned before the second is made; features may be unknown."""
    made = []

    def rows() -> Iterator[dict[str, str]]:
        for number in range(3):
            made.append(number)
            yield {"audio": f"{number}.wav", "sentence": "x", "locale": "pt-BR", "client_id": "c"}

    features = {"audio": "string", "sentence": "string", "locale": "string", "client_id": "string"}
    known = datasets.Features({name: datasets.Value(kind) for name, kind in features.items()})
    stream = datasets.IterableDataset.from_generator(rows, features=known)
    read = asrlab.evaluation.load_dataset(stream)
    assert made == []
    first = next(iter(read))
    assert made == [0]
    assert (first.id, first.audio, first.language, first.speaker) == ("0", Path("0.wav"), "pt-BR", "c")
    assert read.length is None
    assert len(list(asrlab.evaluation.load_dataset(datasets.IterableDataset.from_generator(rows)))) == 3


def test_offsets_and_ids_have_the_names_of_tables():
    """Columns of the usual names give parts of files, ids and recordings; the path beside an Audio column is not it."""
    rows = {
        "Audio": ["a.wav"], "path": ["clip.mp3"], "id": [3], "offset": [1.5], "duration": [2.0], "text": ["x"],
        "recording_id": ["r"],
    }  # fmt: skip
    [utterance] = asrlab.evaluation.load_dataset(
        datasets.Dataset.from_dict(rows).cast_column("Audio", datasets.Audio())
    )
    assert (utterance.id, utterance.recording) == ("3", "r")
    assert isinstance(utterance.audio, AudioFile)
    assert (utterance.audio.path, utterance.audio.offset, utterance.audio.duration) == (Path("a.wav"), 1.5, 2.0)


def test_unreadable_object_is_refused_with_its_row():
    """Splits, no audio, no text, a format, and another object are refused with what to do."""
    rows = datasets.Dataset.from_dict({"audio": ["a.wav", None], "text": ["x", "y"]})
    with pytest.raises(DatasetError, match="row 2: 'audio' holds neither bytes nor a path"):
        list(asrlab.evaluation.load_dataset(rows))
    with pytest.raises(DatasetError, match=r"has splits \(test\); give one, such as data\['test'\]"):
        asrlab.evaluation.load_dataset(datasets.DatasetDict({"test": rows}))
    with pytest.raises(DatasetError, match="no column names the audio"):
        asrlab.evaluation.load_dataset(rows.remove_columns("audio"))
    with pytest.raises(OptionError, match="not for an object"):
        asrlab.evaluation.load_dataset(rows, format="csv")
    with pytest.raises(DatasetError, match="a int is not a data set"):
        asrlab.evaluation.load_dataset(3)
