from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest

from asrlab.errors import WeightsError
from asrlab.weights import StoredWeights, WeightsEntry, WeightsFile, WeightsStore, entry

if TYPE_CHECKING:
    from pathlib import Path


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and the modification time of every file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_users_folder_is_used_in_place(store: WeightsStore, folder: Path, fake_entry: WeightsEntry):
    """Without an entry, the main checksum is reported and no file is pinned or copied."""
    before = snapshot(folder)
    stored = store.from_folder(folder)
    assert stored.path == folder
    assert stored.sha256 == fake_entry.main_file.sha256
    assert [file.name for file in stored.files] == ["model.bin", "config.json", "vocabulary.txt"]
    assert (stored.key, stored.source, stored.pinned) == (None, "folder", False)
    assert snapshot(folder) == before


def test_a_users_folder_is_checked_against_an_entry(store: WeightsStore, folder: Path, fake_entry: WeightsEntry):
    """With an entry, the record has the key and the revision of the entry."""
    stored = store.from_folder(folder, entry=fake_entry)
    assert (stored.key, stored.revision, stored.pinned) == ("fake/model", fake_entry.revision, True)


def test_a_users_folder_with_a_wrong_file_is_refused_and_unchanged(
    store: WeightsStore, folder: Path, fake_entry: WeightsEntry
):
    """The error has the file and the expected checksum, and the user's files are not moved."""
    (folder / "config.json").write_bytes(b"{ }")
    before = snapshot(folder)
    with pytest.raises(WeightsError, match="was not changed") as error_info:
        store.from_folder(folder, entry=fake_entry)
    assert error_info.value.expected_sha256 == fake_entry.files[1].sha256
    assert str(folder / "config.json") in str(error_info.value)
    assert snapshot(folder) == before
    assert not (store.root / "rejected").exists()


def test_a_users_folder_is_hashed_once(store: WeightsStore, folder: Path, caplog: pytest.LogCaptureFixture):
    """The digests of a user's folder are cached in the store until a file changes."""
    caplog.set_level("DEBUG", "asrlab.weights")
    store.from_folder(folder)
    store.from_folder(folder)
    assert caplog.text.count("hashed /") == 3
    os.utime(folder / "model.bin", ns=(5, 5))
    store.from_folder(folder)
    assert caplog.text.count("hashed /") == 4


def test_verification_does_not_move_a_users_file(store: WeightsStore, folder: Path):
    """Verification does not move files outside the store."""
    stored = store.from_folder(folder)
    (folder / "model.bin").write_bytes(b"other")
    with pytest.raises(WeightsError, match="was not changed"):
        store.verify(stored)
    assert (folder / "model.bin").read_bytes() == b"other"


def test_a_folder_that_lacks_a_file_of_the_entry_is_refused(
    store: WeightsStore, folder: Path, fake_entry: WeightsEntry
):
    """The error names the file that the entry requires and the folder lacks."""
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(WeightsError, match=r"vocabulary\.txt: No such file"):
        store.from_folder(folder, entry=fake_entry)


def test_a_pt_file_with_any_name_is_used_in_place(store: WeightsStore, tmp_path: Path, fake_entry: WeightsEntry):
    """A checkpoint is identified by its checksum and not by its name."""
    path = tmp_path / "mine.pt"
    path.write_bytes(b"{}")
    pinned = attrs.evolve(fake_entry, format="openai-pt", files=(fake_entry.files[1],))
    stored = store.from_folder(path, entry=pinned)
    assert (stored.path, stored.format, stored.pinned) == (path, "openai-pt", True)
    assert stored.sha256 == fake_entry.files[1].sha256
    assert stored.folder == tmp_path


def test_another_format_than_the_entrys_is_refused(store: WeightsStore, folder: Path):
    """A CTranslate2 folder is refused for the entry of an openai-whisper checkpoint."""
    with pytest.raises(WeightsError, match="has the format ctranslate2, but 'openai/whisper-base' needs openai-pt"):
        store.from_folder(folder, entry=entry("openai/whisper-base"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "there are no weights at"), ("", r"holds no model\.bin"), ("x.bin", "neither a folder nor a")],
)
def test_a_path_without_weights_is_refused(store: WeightsStore, tmp_path: Path, name: str, reason: str):
    """A missing path, a folder without a model and another file have different errors."""
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match=reason):
        store.from_folder(tmp_path / name)


def test_a_folder_of_real_weights_can_be_used_in_place(tmp_path: Path, tiny_en: StoredWeights):
    """A folder of real weights is recognized as pinned."""
    stored = WeightsStore(tmp_path).from_folder(tiny_en.path, entry=entry("systran/faster-whisper-tiny.en"))
    assert stored.pinned
    assert stored.files == tiny_en.files


def test_a_users_folder_needs_no_writable_store(tmp_path: Path, folder: Path):
    """A user's folder can be used with a store that cannot be written."""
    (tmp_path / "file").write_text("not a folder")
    assert WeightsStore(tmp_path / "file").from_folder(folder).sha256


def test_a_partly_pinned_folder_is_not_pinned(store: WeightsStore, folder: Path, fake_entry: WeightsEntry):
    """A folder is pinned only if the entry has the checksum of every file."""
    partly = attrs.evolve(fake_entry, files=(fake_entry.files[0], WeightsFile(name="config.json")))
    stored = store.from_folder(folder, entry=partly)
    assert (stored.pinned, stored.revision) == (False, None)
