"""Symbolic links: no file that a data set names or implies leads out of its folder unless that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluation.datasets.test_formats import recording, supervision, to_jsonl

import asrlab
from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import FORMATS, load_dataset
from asrlab.evaluation.reports.score_files import load_references

type Write = Callable[[dict[str, str | bytes]], Path]

# By format a data set of one utterance, the path in it to give, and every file in it that the reader opens or names.
SETS: dict[str, tuple[dict[str, str | bytes], str, tuple[str, ...]]] = {
    "audiofolder": (
        {"metadata.csv": "file_name,text\na.wav,x\n", "a.wav": ""},
        "",
        ("metadata.csv", "a.wav"),
    ),
    "common-voice": (
        {"test.tsv": "client_id\tpath\tsentence\ns\ta.mp3\tx\n", "clips/a.mp3": ""},
        "",
        ("test.tsv", "clips", "clips/a.mp3"),
    ),
    "csv": ({"list.csv": "path,text\na.wav,x\n", "a.wav": ""}, "list.csv", ("a.wav",)),
    "folder": (
        {"a.wav": "", "a.txt": "x", "sub/b.wav": "", "sub/b.txt": "x"},
        "",
        ("a.wav", "a.txt", "sub/b.txt", "sub"),
    ),
    "kaldi": (
        {
            "wav.scp": "r a.wav\n",
            "text": "u x\n",
            "segments": "u r 0 1\n",
            "utt2spk": "u s\n",
            "utt2lang": "u en\n",
            "a.wav": "",
        },
        "",
        ("wav.scp", "text", "segments", "utt2spk", "utt2lang", "a.wav"),
    ),
    "lhotse": (
        {
            "c_recordings.jsonl": to_jsonl(recording("a.wav")),
            "c_supervisions.jsonl": to_jsonl(supervision("u")),
            "a.wav": "",
        },
        "",
        ("c_recordings.jsonl", "c_supervisions.jsonl", "a.wav"),
    ),
    "librispeech": (
        {"7/8/7-8.trans.txt": "a x\n", "7/8/a.flac": ""},
        "",
        ("7/8/7-8.trans.txt", "7/8/a.flac", "7/8", "7"),
    ),
    "nemo": ({"list.jsonl": to_jsonl({"audio_filepath": "a.wav", "text": "x"}), "a.wav": ""}, "list.jsonl", ("a.wav",)),
    "stm": (
        {"stm/t.stm": "t 1 s 0 1 x\n", "sph/t.sph": ""},
        "",
        ("stm/t.stm", "stm", "sph/t.sph", "sph"),
    ),
}
LINKED = [(name, file) for name, (_, _, files) in SETS.items() for file in files]
TEXTS = [(name, file) for name, file in LINKED if not file.endswith((".wav", ".mp3", ".flac", ".sph", "clips", "sph"))]


def move_and_link(root: Path, file: str, target: Path) -> None:
    """Move a file or folder of a data set to *target*, and leave a link in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / file).rename(target)
    (root / file).symlink_to(target, target_is_directory=target.is_dir())


def test_every_format_is_here():
    """A format that is added is tested with the others."""
    assert sorted(SETS) == sorted(known.name for known in FORMATS)


@pytest.mark.parametrize(("name", "file"), LINKED)
def test_link_out_of_the_folder_is_refused_unless_allowed(write: Write, tmp_path: Path, name: str, file: str):
    """A link to outside, of any file or folder of a data set, is an error that says how to allow it."""
    files, path, _ = SETS[name]
    root = write(files)
    whole = [utterance.text for utterance in load_dataset(root / path, format=name)]
    move_and_link(root, file, tmp_path / "elsewhere" / "moved")

    with pytest.raises(DatasetError, match=r"leads out of .*allow_external_audio=True \(--allow-external-audio\)"):
        list(load_dataset(root / path, format=name))
    assert [
        utterance.text
        for utterance in asrlab.evaluation.load_dataset(root / path, format=name, allow_external_audio=True)
    ] == whole


@pytest.mark.parametrize(
    ("name", "file"), [linked for linked in LINKED if linked not in {("librispeech", "7"), ("folder", "sub")}]
)
def test_link_within_the_folder_is_followed(write: Write, name: str, file: str):
    """A link to a file in the same data set is followed."""
    files, path, _ = SETS[name]
    root = write(files)
    whole = [(utterance.id, utterance.text) for utterance in load_dataset(root / path, format=name)]
    move_and_link(root, file, root / ".store" / "moved")

    found = load_dataset(root / path, format=name)
    if (root / file).is_dir() and name == "librispeech":
        assert [utterance.text for utterance in found] == ["x"]  # met where it really is
    else:
        assert [(utterance.id, utterance.text) for utterance in found] == whole


@pytest.mark.parametrize("name", SETS)
def test_root_may_be_a_link(write: Write, tmp_path: Path, name: str):
    """A data set given by a link to its folder is read."""
    files, path, _ = SETS[name]
    root = write(files)
    (tmp_path / "link").symlink_to(root, target_is_directory=True)

    assert [utterance.text for utterance in load_dataset(tmp_path / "link" / path)] == [
        utterance.text for utterance in load_dataset(root / path)
    ]


@pytest.mark.parametrize(("name", "file"), TEXTS)
def test_score_reads_no_text_through_a_link_unless_allowed(write: Write, tmp_path: Path, name: str, file: str):
    """Scoring does not open audio, which may be anywhere, but refuses texts that are links to outside."""
    files, path, _ = SETS[name]
    root = write(files)
    move_and_link(root, file, tmp_path / "elsewhere" / "moved")

    with pytest.raises(DatasetError, match=r"leads out of .*--allow-external-audio"):
        load_references(root / path, [])
    assert load_references(root / path, [], allow_external_audio=True)[1]


@pytest.mark.parametrize(("name", "file"), [linked for linked in LINKED if linked not in TEXTS])
def test_score_accepts_audio_anywhere(write: Write, tmp_path: Path, name: str, file: str):
    """Audio that is a link to outside is not opened by ``score`` and needs no permission."""
    files, path, _ = SETS[name]
    root = write(files)
    move_and_link(root, file, tmp_path / "elsewhere" / "moved")

    assert load_references(root / path, [])[1]


def test_folder_of_links_says_what_to_do(tmp_path: Path):
    """A folder of links to audio elsewhere is refused with its first link, and read when allowed."""
    store, root = tmp_path / "store", tmp_path / "set"
    store.mkdir()
    root.mkdir()
    for name in ("a.wav", "a.txt", "b.wav", "b.txt"):
        (store / name).write_text("x", encoding="utf-8")
        (root / name).symlink_to(store / name)

    with pytest.raises(
        DatasetError, match=r"set/a\.txt leads out of the data set's folder, to .*store/a\.txt; replace it with a copy"
    ):
        load_dataset(root)
    assert [utterance.id for utterance in load_dataset(root, allow_external_audio=True)] == ["a", "b"]


def test_linked_folders_are_read_once(tmp_path: Path):
    """Folders that link each other, inside and outside of the root, are read once each."""
    root, other = tmp_path / "set", tmp_path / "other"
    for folder, name in ((root, "a"), (other, "b")):
        folder.mkdir()
        (folder / f"{name}.wav").touch()
        (folder / f"{name}.txt").touch()
    (root / "there").symlink_to(other, target_is_directory=True)
    (other / "back").symlink_to(root, target_is_directory=True)
    (other / "self").symlink_to(other, target_is_directory=True)

    assert [utterance.id for utterance in load_dataset(root, allow_external_audio=True)] == ["a", "there/b"]


def test_recording_beside_given_supervisions_is_checked(write: Write, tmp_path: Path):
    """The recordings that a file of supervisions implies are checked like those of a folder."""
    root = write(SETS["lhotse"][0])
    move_and_link(root, "c_recordings.jsonl", tmp_path / "elsewhere" / "moved")

    with pytest.raises(DatasetError, match="leads out of"):
        load_dataset(root / "c_supervisions.jsonl")
    [utterance] = load_dataset(root / "c_supervisions.jsonl", allow_external_audio=True)
    assert isinstance(utterance.audio, AudioFile)
