"""Folders of audio with same-named texts."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import ReadOptions, load_dataset
from asrlab.evaluation.datasets.folder import read_folder

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None)


def make(root: Path, **files: bytes) -> Path:
    """*root* with files; in a name ``__`` stands for a dot and ``___`` for a slash."""
    for name, data in files.items():
        path = root / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_audio_is_paired_with_the_text_of_its_name(tmp_path: Path):
    """Each audio file gets the text beside it, in the order of the ids, whatever the case of the suffix."""
    make(tmp_path, b__wav=b"", b__txt=b"second\n", a__MP3=b"", a__TXT=b" first ", notes__md=b"not audio")

    assert [(u.id, u.text, u.audio) for u in load_dataset(tmp_path)] == [
        ("a", "first", tmp_path / "a.MP3"),
        ("b", "second", tmp_path / "b.wav"),
    ]


def test_id_in_a_subfolder_is_the_relative_path(tmp_path: Path):
    """The same name in two subfolders is two utterances, and a dot in a name stays."""
    make(tmp_path, x___a__flac=b"", x___a__txt=b"", y___a__1__flac=b"", y___a__1__txt=b"")

    assert [u.id for u in load_dataset(tmp_path)] == ["x/a", "y/a.1"]


def test_folder_is_named_and_counted(tmp_path: Path):
    """The data set has the folder's name and knows its length without reading a text."""
    make(tmp_path / "dev", a__wav=b"", a__txt=b"\xff not UTF-8")
    dataset = load_dataset(tmp_path / "dev")

    assert (dataset.name, dataset.length, dataset.count()) == ("dev", 1, 1)


def test_relative_folder_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder given by a relative path is read even after a change of the working directory."""
    monkeypatch.chdir(make(tmp_path, dev___a__wav=b"", dev___a__txt=b"hello"))
    dataset = load_dataset("dev")
    monkeypatch.chdir(tmp_path / "dev")

    assert [(u.audio, u.text) for u in dataset] == [(tmp_path / "dev" / "a.wav", "hello")]


def test_text_is_read_while_iterated(tmp_path: Path):
    """The first utterance is returned even if the second text cannot be read; the error has file and line."""
    make(tmp_path, a__wav=b"", a__txt=b"fine", b__wav=b"", b__txt=b"one\ntwo\nth\xffree")
    utterances = iter(load_dataset(tmp_path))

    assert next(utterances).text == "fine"
    with pytest.raises(DatasetError, match=r"b\.txt, line 3: not UTF-8") as caught:
        next(utterances)
    assert (caught.value.path, caught.value.line) == (tmp_path / "b.txt", 3)


def test_text_that_vanished_is_a_data_set_error(tmp_path: Path):
    """A text deleted before it is read is reported by its path."""
    make(tmp_path, a__wav=b"", a__txt=b"fine")
    dataset = load_dataset(tmp_path)
    (tmp_path / "a.txt").unlink()

    with pytest.raises(DatasetError, match=r"a\.txt cannot be read \(No such file"):
        list(dataset)


def test_byte_order_mark_is_not_part_of_the_text(tmp_path: Path):
    """A text saved with a byte order mark is the same text."""
    make(tmp_path, a__wav=b"", a__txt="\ufeffGrüße\r\n".encode())

    assert [u.text for u in load_dataset(tmp_path)] == ["Grüße"]


def test_empty_text_is_an_empty_reference(tmp_path: Path):
    """An empty file is an empty reference, which differs from a missing one."""
    make(tmp_path, a__wav=b"", a__txt=b"\n")

    assert [u.text for u in load_dataset(tmp_path)] == [""]


def test_audio_without_text_is_refused_with_the_first_few(tmp_path: Path):
    """Missing texts are an error that lists the first few and says how many."""
    make(tmp_path, a__wav=b"", a__txt=b"", **{f"m{n}__wav": b"" for n in range(9)})

    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == (
        f"folder {tmp_path} holds m0.wav, m1.wav, m2.wav, ... (9 in all) without a same-named .txt; add the missing "
        "files or move these away, or accept audio without a reference (require_text=False)"
    )


def test_audio_without_text_is_accepted_on_request(tmp_path: Path):
    """With ``require_text=False`` audio without a text has no reference, and the others keep theirs."""
    make(tmp_path, a__wav=b"", b__wav=b"", b__txt=b"hello")

    assert [(u.id, u.text) for u in load_dataset(tmp_path, require_text=False)] == [("a", None), ("b", "hello")]


@pytest.mark.parametrize("require_text", [True, False])
def test_text_without_audio_is_refused(tmp_path: Path, *, require_text: bool):
    """A text whose audio is missing is an error: it may be the pair of a file that was renamed."""
    make(tmp_path, a__wav=b"", a__txt=b"", b__txt=b"")

    with pytest.raises(DatasetError, match=r"holds b\.txt without same-named audio; add"):
        load_dataset(tmp_path, require_text=require_text)


def test_two_audio_files_of_one_name_are_refused(tmp_path: Path):
    """Two audio files with the same stem would be one utterance; both are named."""
    make(tmp_path, a__wav=b"", a__flac=b"", a__txt=b"")

    with pytest.raises(DatasetError, match=r"a\.flac and .*a\.wav would both be utterance 'a'"):
        load_dataset(tmp_path)


def test_unicode_names_pair_in_either_form(tmp_path: Path):
    """A decomposed audio name, as macOS writes them, finds its composed text; the id is composed."""
    name = "größe 你好 é"
    (tmp_path / (unicodedata.normalize("NFD", name) + ".wav")).touch()
    (tmp_path / (unicodedata.normalize("NFC", name) + ".txt")).write_text("ja", encoding="utf-8")

    assert [(u.id, u.text) for u in load_dataset(tmp_path)] == [(unicodedata.normalize("NFC", name), "ja")]


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="only Linux takes such names")
def test_name_that_is_not_utf8_is_refused(tmp_path: Path):
    """A file name that is not UTF-8 cannot be in a report, so it is refused."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")).touch()

    with pytest.raises(DatasetError, match="not valid UTF-8; rename it"):
        load_dataset(tmp_path)


def test_hidden_files_and_folders_are_left_out(tmp_path: Path):
    """Hidden files of file managers are not audio."""
    make(tmp_path, a__wav=b"", a__txt=b"")
    (tmp_path / "._a.wav").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "b.wav").touch()

    assert [u.id for u in load_dataset(tmp_path)] == ["a"]


def test_reference_without_end_is_refused(tmp_path: Path):
    """A .txt of more than 64 MiB, here a sparse one, is an error and is not kept in memory."""
    make(tmp_path, a__wav=b"", a__txt=b"")
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(DatasetError, match=r"a\.txt is longer than 64 MiB; is this a text file"):
        list(load_dataset(tmp_path))


def test_linked_folders_are_not_followed(tmp_path: Path):
    """A link back to the folder does not make it endless."""
    make(tmp_path, a__wav=b"", a__txt=b"")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)

    assert [u.id for u in load_dataset(tmp_path)] == ["a"]


def test_folder_without_audio_is_refused_with_the_suffixes(tmp_path: Path):
    """The error about a folder without audio lists the suffixes of audio."""
    make(tmp_path, readme__md=b"")

    with pytest.raises(DatasetError, match=r"holds no audio \(files ending in .*\.wav"):
        load_dataset(tmp_path)


def test_folder_with_a_manifest_only_points_to_it(tmp_path: Path):
    """Where the folder has a manifest and no audio, the error says to give the manifest."""
    make(tmp_path, dev__jsonl=b"{}")

    with pytest.raises(DatasetError, match=r"if dev\.jsonl is its manifest, give that: .*dev\.jsonl"):
        load_dataset(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind root")
def test_subfolder_that_cannot_be_listed_is_an_error(tmp_path: Path):
    """A part that cannot be read is an error: a score over the rest would look like a score over all."""
    make(tmp_path, a__wav=b"", a__txt=b"", x___b__wav=b"", x___b__txt=b"")
    (tmp_path / "x").chmod(0)
    try:
        with pytest.raises(DatasetError, match="cannot be read"):
            load_dataset(tmp_path)
    finally:
        (tmp_path / "x").chmod(0o700)


def test_folder_that_vanished_is_an_error(tmp_path: Path):
    """A folder that cannot be listed is an error and not an empty data set."""
    with pytest.raises(DatasetError, match=r"gone cannot be read \(No such file"):
        read_folder(tmp_path / "gone", ReadOptions())


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20
).filter(lambda name: not name.startswith("."))


@UNTIMED
@given(names=st.sets(NAMES.map(lambda name: unicodedata.normalize("NFC", name)), min_size=1, max_size=5))
def test_every_name_keeps_its_pair(tmp_path_factory: pytest.TempPathFactory, names: set[str]):
    """Whatever the files are called, each audio file gets its own text, sorted by id."""
    root = tmp_path_factory.mktemp("folder")
    for name in names:
        (root / f"{name}.wav").touch()
        (root / f"{name}.txt").write_text(f"<{name}>", encoding="utf-8")

    assert [(u.id, u.text) for u in load_dataset(root)] == [(name, f"<{name}>".strip()) for name in sorted(names)]
