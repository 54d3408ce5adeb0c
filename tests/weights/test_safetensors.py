from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import attrs
import pytest

from asrlab.errors import WeightsError
from asrlab.weights import (
    FolderSource,
    WeightsEntry,
    WeightsFile,
    WeightsStore,
    describe_origin,
    describe_size,
    entry,
    weights_format,
)

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS_FILES = {
    "model.safetensors": b"weights" * 1000,
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "audio_detokenizer/config.json": b'{"layers": 8}',
    "audio_detokenizer/model.safetensors": b"more" * 1000,
}
OTHER_FILES = {
    "README.md": b"# Fake",
    "training.log": b"loss",
    "chat_template.jinja": b"{{ x }}",
    "logs/events.json": b"{}",
    ".gitattributes": b"",
}


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """Return a folder in the hub's layout: a model, a tokenizer, a part in a subfolder, and other files."""
    for name, body in (WEIGHTS_FILES | OTHER_FILES).items():
        path = tmp_path / "lfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "lfm"


@pytest.fixture
def hub_entry() -> WeightsEntry:
    """Return the catalogue entry of the folder, with all checksums and one optional file."""
    files = (WeightsFile(name=name, sha256=hashlib.sha256(body).hexdigest()) for name, body in WEIGHTS_FILES.items())
    return WeightsEntry(
        key="fake/lfm",
        format="safetensors",
        files=(*files, WeightsFile(name="special_tokens_map.json", optional=True)),
        revision="f" * 40,
    )


@pytest.fixture
def hub_store(tmp_path: Path, hub_folder: Path) -> WeightsStore:
    """Return an empty store whose source is that folder."""
    return WeightsStore(tmp_path / "store", sources=[FolderSource(hub_folder)])


def test_a_users_folder_is_recognized_by_its_content(hub_store: WeightsStore, hub_folder: Path):
    """The model, the configuration, the tokenizer and the parts are hashed, starting with the model."""
    stored = hub_store.from_folder(hub_folder)
    assert (stored.format, stored.path, stored.folder) == ("safetensors", hub_folder, hub_folder)
    assert stored.sha256 == hashlib.sha256(WEIGHTS_FILES["model.safetensors"]).hexdigest()
    assert [file.name for file in stored.files] == [
        "model.safetensors",
        "config.json",
        "chat_template.jinja",
        "tokenizer.json",
        "audio_detokenizer/config.json",
        "audio_detokenizer/model.safetensors",
    ]


def test_a_folder_with_model_bin_has_the_format_ctranslate2(folder: Path):
    """A folder with model.bin has the format ctranslate2."""
    assert weights_format(folder) == "ctranslate2"


def shard(folder: Path, names: list[str]) -> None:
    """Replace the folder's model by shards of these names."""
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(name.encode())


def test_shards_come_first(hub_store: WeightsStore, hub_folder: Path):
    """The first shard is the main file, because its content changes with the weights and the index's does not."""
    shard(hub_folder, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    stored = hub_store.from_folder(hub_folder)
    names = [file.name for file in stored.files]
    assert names[:3] == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "config.json"]
    assert "model.safetensors.index.json" in names
    assert stored.sha256 == hashlib.sha256(b"model-00001-of-00002.safetensors").hexdigest()


def test_a_missing_shard_is_named(hub_store: WeightsStore, hub_folder: Path):
    """The error names the shard that the index lists and the folder lacks."""
    shard(hub_folder, ["one.safetensors", "two.safetensors"])
    (hub_folder / "two.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks two\.safetensors, which model\.safetensors\.index\.json names"):
        hub_store.from_folder(hub_folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", r"index\.json is not JSON"),
        ("[]", r"index\.json holds a list where a JSON object is needed"),
        ('{"weight_map": {"a": 1}}', "as an index of shards"),
        ('{"weight_map": {}}', "names no shards"),
        ('{"weight_map": {"a": "../model.safetensors"}}', r"names \['\.\./model\.safetensors'\]"),
        ('{"weight_map": {"a": "model.pkl"}}', r"names \['model\.pkl'\]"),
    ],
)
def test_an_invalid_index_is_refused(hub_store: WeightsStore, hub_folder: Path, text: str, reason: str):
    """An index may list only safetensors files in the same folder."""
    (hub_folder / "model.safetensors").unlink()
    (hub_folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match=reason):
        hub_store.from_folder(hub_folder)


def test_a_folder_without_config_json_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """The error names the missing config.json."""
    (hub_folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"safetensors weights without config\.json"):
        hub_store.from_folder(hub_folder)


def test_a_folder_of_pickles_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """A folder with a pickle instead of safetensors is refused, because pickles can contain code."""
    (hub_folder / "model.safetensors").rename(hub_folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, a pickle.*convert it to model\.safetensors"):
        hub_store.from_folder(hub_folder)


def test_a_pickle_beside_the_model_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """A pickle beside the model is refused, because accelerate would load the pickle."""
    (hub_folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, a pickle.*move it away"):
        hub_store.from_folder(hub_folder)


def test_a_single_safetensors_file_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """The error for a single file asks for the folder, which has the other required files."""
    with pytest.raises(WeightsError, match="give the folder that it is in"):
        hub_store.from_folder(hub_folder / "model.safetensors")


def test_a_users_folder_is_checked_against_an_entry(hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry):
    """The files of the entry are compared, also in subfolders, and an optional file may be missing."""
    stored = hub_store.from_folder(hub_folder, entry=hub_entry)
    assert [file.name for file in stored.files] == list(WEIGHTS_FILES)
    (hub_folder / "special_tokens_map.json").write_text("{}")
    assert len(hub_store.from_folder(hub_folder, entry=hub_entry).files) == len(WEIGHTS_FILES) + 1


@pytest.mark.parametrize("name", list(WEIGHTS_FILES))
def test_a_folder_that_lacks_a_file_of_the_entry_is_refused(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry, name: str
):
    """The error has the path of the missing file."""
    (hub_folder / name).unlink()
    with pytest.raises(WeightsError) as error_info:
        hub_store.from_folder(hub_folder, entry=hub_entry)
    assert name in str(error_info.value)


def test_a_wrong_file_in_a_subfolder_is_refused_and_not_moved(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry
):
    """A user's file with a wrong checksum is refused and not moved."""
    wrong = hub_folder / "audio_detokenizer" / "model.safetensors"
    wrong.write_bytes(b"other")
    with pytest.raises(WeightsError, match="was not changed") as error_info:
        hub_store.from_folder(hub_folder, entry=hub_entry)
    assert str(wrong) in str(error_info.value)
    assert error_info.value.actual_sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_filled_store_has_the_subfolders(hub_store: WeightsStore, hub_entry: WeightsEntry):
    """A filled store has the files of the entry with their paths, and finds the record again."""
    stored = hub_store.ensure(hub_entry)
    assert stored.path == stored.folder
    assert stored.path.is_dir()
    assert {name: (stored.path / name).read_bytes() for name in WEIGHTS_FILES} == WEIGHTS_FILES
    assert not (stored.path / "README.md").exists()
    assert hub_store.find(hub_entry) == stored


def test_a_damaged_file_in_a_subfolder_is_quarantined(hub_store: WeightsStore, hub_entry: WeightsEntry):
    """A stored file with a wrong checksum is moved away, and the next fill restores the file."""
    path = hub_store.ensure(hub_entry).path / "audio_detokenizer" / "model.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="the file was moved to"):
        hub_store.find(hub_entry)
    assert hub_store.ensure(hub_entry).pinned is False
    assert path.read_bytes() == WEIGHTS_FILES["audio_detokenizer/model.safetensors"]


def test_a_source_with_a_wrong_file_in_a_subfolder_is_refused(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry
):
    """A copied file with a wrong checksum is refused."""
    (hub_folder / "audio_detokenizer" / "config.json").write_bytes(b"{}")
    with pytest.raises(WeightsError, match=r"audio_detokenizer/config\.json from folder .* has sha256"):
        hub_store.ensure(hub_entry)
    assert hub_store.find(hub_entry) is None


def test_an_existing_optional_file_is_compared(hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry):
    """An optional file may be missing, but an existing one must have the right checksum."""
    pinned = attrs.evolve(hub_entry.files[-1], sha256="0" * 64)
    assert hub_store.ensure(attrs.evolve(hub_entry, files=(*hub_entry.files[:-1], pinned))).pinned
    (hub_folder / "special_tokens_map.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"special_tokens_map\.json has sha256"):
        hub_store.from_folder(hub_folder, entry=attrs.evolve(hub_entry, files=(*hub_entry.files[:-1], pinned)))


def test_lfm2_5_audio_is_in_the_catalogue_at_its_commit():
    """The entry lists the files that liquid_audio reads, is not pinned, and has an estimated size."""
    catalogue_entry = entry("LiquidAI/LFM2.5-Audio-1.5B")
    assert (catalogue_entry.format, catalogue_entry.model) == ("safetensors", "liquid-audio/lfm2.5-audio-1.5b")
    assert catalogue_entry.revision == "c362a0625dfe45aa588dce5f0ada28a7e5707628"
    needed = {file.name for file in catalogue_entry.files if not file.optional}
    assert needed == set(WEIGHTS_FILES)
    assert not catalogue_entry.pinned
    assert catalogue_entry.approximate_bytes is not None
    assert (
        0 < catalogue_entry.approximate_bytes - sum(file.size_bytes or 0 for file in catalogue_entry.files) < 10_000_000
    )


@pytest.mark.parametrize(
    ("key", "size", "origin"),
    [
        ("liquidai/lfm2.5-audio-1.5b", "about 3.3 GB", "LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)"),
        ("systran/faster-whisper-base", "148 MB", "Systran/faster-whisper-base @ ebe41f70d5b6 (148 MB)"),
        ("openai/whisper-base", "", "base.pt of openaipublic.azureedge.net (size unknown)"),
    ],
)
def test_origin_and_size_are_described(key: str, size: str, origin: str):
    """An estimated size is marked with "about", and an unknown size is named unknown."""
    assert describe_size(entry(key)) == size
    assert describe_origin(entry(key)) == origin
