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
    """Return the content and time of change of every file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_users_folder_is_used_in_place(store: WeightsStore, folder: Path, made_up: WeightsEntry):
    """Without an entry the main checksum is reported, and nothing is pinned or copied."""
    before = snapshot(folder)
    stored = store.from_folder(folder)
    assert stored.path == folder
    assert stored.sha256 == made_up.main_file.sha256
    assert [file.name for file in stored.files] == ["model.bin", "config.json", "vocabulary.txt"]
    assert (stored.key, stored.source, stored.pinned) == (None, "folder", False)
    assert snapshot(folder) == before


def test_a_users_folder_is_checked_against_an_entry(store: WeightsStore, folder: Path, made_up: WeightsEntry):
    """With an entry the folder takes on its name and revision."""
    stored = store.from_folder(folder, entry=made_up)
    assert (stored.key, stored.revision, stored.pinned) == ("made/up", made_up.revision, True)


def test_a_users_folder_with_a_wrong_file_is_refused_and_untouched(
    store: WeightsStore, folder: Path, made_up: WeightsEntry
):
    """A mismatch names both checksums, and the user's file stays where it is."""
    (folder / "config.json").write_bytes(b"{ }")
    before = snapshot(folder)
    with pytest.raises(WeightsError, match="was not changed") as caught:
        store.from_folder(folder, entry=made_up)
    assert caught.value.expected_sha256 == made_up.files[1].sha256
    assert str(folder / "config.json") in str(caught.value)
    assert snapshot(folder) == before
    assert not (store.root / "rejected").exists()


def test_a_users_folder_is_hashed_once(store: WeightsStore, folder: Path, caplog: pytest.LogCaptureFixture):
    """The verdict on a user's folder is kept in the store, until a file changes."""
    caplog.set_level("DEBUG", "asrlab.weights")
    store.from_folder(folder)
    store.from_folder(folder)
    assert caplog.text.count("hashed /") == 3
    os.utime(folder / "model.bin", ns=(5, 5))
    store.from_folder(folder)
    assert caplog.text.count("hashed /") == 4


def test_a_users_folder_verified_after_damage_is_left_in_place(store: WeightsStore, folder: Path):
    """Verification moves nothing outside the store."""
    stored = store.from_folder(folder)
    (folder / "model.bin").write_bytes(b"other")
    with pytest.raises(WeightsError, match="was not changed"):
        store.verify(stored)
    assert (folder / "model.bin").read_bytes() == b"other"


def test_a_folder_that_lacks_a_file_of_the_entry_is_refused(store: WeightsStore, folder: Path, made_up: WeightsEntry):
    """A file that the entry has and the folder lacks is named."""
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(WeightsError, match=r"vocabulary\.txt: No such file"):
        store.from_folder(folder, entry=made_up)


def test_a_pt_file_is_used_in_place_whatever_its_name(store: WeightsStore, tmp_path: Path, made_up: WeightsEntry):
    """A checkpoint is known by its checksum, not its name."""
    path = tmp_path / "mine.pt"
    path.write_bytes(b"{}")
    pinned = attrs.evolve(made_up, format="openai-pt", files=(made_up.files[1],))
    stored = store.from_folder(path, entry=pinned)
    assert (stored.path, stored.format, stored.pinned) == (path, "openai-pt", True)
    assert stored.sha256 == made_up.files[1].sha256
    assert stored.folder == tmp_path


def test_another_format_than_the_entrys_is_refused(store: WeightsStore, folder: Path):
    """A CTranslate2 folder is not an openai-whisper checkpoint."""
    with pytest.raises(WeightsError, match="has the format ctranslate2, but 'openai/whisper-base' needs openai-pt"):
        store.from_folder(folder, entry=entry("openai/whisper-base"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "there are no weights at"), ("", r"holds no model\.bin"), ("x.bin", "neither a folder nor a")],
)
def test_what_is_no_weights_is_refused(store: WeightsStore, tmp_path: Path, name: str, reason: str):
    """A missing path, a folder without a model and another file are told apart."""
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match=reason):
        store.from_folder(tmp_path / name)


def test_a_carriers_own_folder_can_be_used_in_place(tmp_path: Path, tiny_en: StoredWeights):
    """Real weights are recognised where they lie."""
    stored = WeightsStore(tmp_path).from_folder(tiny_en.path, entry=entry("systran/faster-whisper-tiny.en"))
    assert stored.pinned
    assert stored.files == tiny_en.files


def test_a_store_that_cannot_be_written_does_not_stop_a_users_folder(tmp_path: Path, folder: Path):
    """A user's folder needs the store only to save time."""
    (tmp_path / "file").write_text("not a folder")
    assert WeightsStore(tmp_path / "file").from_folder(folder).sha256


def test_a_partly_pinned_folder_is_not_called_pinned(store: WeightsStore, folder: Path, made_up: WeightsEntry):
    """Pinned means every file."""
    partly = attrs.evolve(made_up, files=(made_up.files[0], WeightsFile(name="config.json")))
    stored = store.from_folder(folder, entry=partly)
    assert (stored.pinned, stored.revision) == (False, None)
