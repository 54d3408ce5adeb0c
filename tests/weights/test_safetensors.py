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

BODIES = {
    "model.safetensors": b"weights" * 1000,
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "audio_detokenizer/config.json": b'{"layers": 8}',
    "audio_detokenizer/model.safetensors": b"more" * 1000,
}
OTHER = {
    "README.md": b"# Made up",
    "training.log": b"loss",
    "chat_template.jinja": b"{{ x }}",
    "logs/events.json": b"{}",
    ".gitattributes": b"",
}


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """A folder in the hub's layout: a model, its tokenizer, a part in a subfolder, and what does not matter."""
    for name, body in (BODIES | OTHER).items():
        path = tmp_path / "lfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "lfm"


@pytest.fixture
def hub_entry() -> WeightsEntry:
    """The catalogue's entry of it, every file pinned, and a file that need not be there."""
    files = (WeightsFile(name=name, sha256=hashlib.sha256(body).hexdigest()) for name, body in BODIES.items())
    return WeightsEntry(
        key="made/lfm",
        format="safetensors",
        files=(*files, WeightsFile(name="special_tokens_map.json", optional=True)),
        revision="f" * 40,
    )


@pytest.fixture
def hub_store(tmp_path: Path, hub_folder: Path) -> WeightsStore:
    """An empty store that is filled from that folder."""
    return WeightsStore(tmp_path / "store", sources=[FolderSource(hub_folder)])


def test_a_users_folder_is_recognised_by_its_content(hub_store: WeightsStore, hub_folder: Path):
    """The model, its configuration, its tokenizer and its parts are hashed, the model first; nothing else is."""
    stored = hub_store.from_folder(hub_folder)
    assert (stored.format, stored.path, stored.folder) == ("safetensors", hub_folder, hub_folder)
    assert stored.sha256 == hashlib.sha256(BODIES["model.safetensors"]).hexdigest()
    assert [file.name for file in stored.files] == [
        "model.safetensors",
        "config.json",
        "chat_template.jinja",
        "tokenizer.json",
        "audio_detokenizer/config.json",
        "audio_detokenizer/model.safetensors",
    ]


def test_a_ctranslate2_folder_is_still_one(folder: Path):
    """model.bin makes a folder CTranslate2's."""
    assert weights_format(folder) == "ctranslate2"


def shard(folder: Path, names: list[str]) -> None:
    """Turn the folder's model into shards of these names."""
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(name.encode())


def test_shards_come_first_and_the_index_with_them(hub_store: WeightsStore, hub_folder: Path):
    """Weights in shards are known by their first shard, which changes with them as the index does not."""
    shard(hub_folder, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    stored = hub_store.from_folder(hub_folder)
    names = [file.name for file in stored.files]
    assert names[:3] == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "config.json"]
    assert "model.safetensors.index.json" in names
    assert stored.sha256 == hashlib.sha256(b"model-00001-of-00002.safetensors").hexdigest()


def test_a_missing_shard_is_named(hub_store: WeightsStore, hub_folder: Path):
    """The shard that the index names and the folder lacks is in the message."""
    shard(hub_folder, ["one.safetensors", "two.safetensors"])
    (hub_folder / "two.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks two\.safetensors, which model\.safetensors\.index\.json names"):
        hub_store.from_folder(hub_folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "as an index of shards"),
        ("[]", "as an index of shards"),
        ('{"weight_map": {"a": 1}}', "as an index of shards"),
        ('{"weight_map": {}}', "names no shards"),
        ('{"weight_map": {"a": "../model.safetensors"}}', r"names \['\.\./model\.safetensors'\]"),
        ('{"weight_map": {"a": "model.pkl"}}', r"names \['model\.pkl'\]"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(hub_store: WeightsStore, hub_folder: Path, text: str, reason: str):
    """An index may only name safetensors files beside it."""
    (hub_folder / "model.safetensors").unlink()
    (hub_folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match=reason):
        hub_store.from_folder(hub_folder)


def test_a_folder_without_config_json_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """The missing file is named."""
    (hub_folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"safetensors weights without config\.json"):
        hub_store.from_folder(hub_folder)


def test_a_folder_of_pickles_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """Checkpoints never unpickle code."""
    (hub_folder / "model.safetensors").rename(hub_folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, a pickle.*convert it to model\.safetensors"):
        hub_store.from_folder(hub_folder)


def test_a_pickle_beside_the_model_is_refused(hub_store: WeightsStore, hub_folder: Path):
    """With both there accelerate would load the pickle and not the safetensors."""
    (hub_folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, a pickle.*move it away"):
        hub_store.from_folder(hub_folder)


def test_a_single_safetensors_file_is_told_to_give_its_folder(hub_store: WeightsStore, hub_folder: Path):
    """The file alone lacks what belongs to it."""
    with pytest.raises(WeightsError, match="give the folder that it is in"):
        hub_store.from_folder(hub_folder / "model.safetensors")


def test_a_users_folder_is_checked_against_an_entry(hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry):
    """The entry's files are compared, those in subfolders too; an optional one may be missing."""
    stored = hub_store.from_folder(hub_folder, entry=hub_entry)
    assert [file.name for file in stored.files] == list(BODIES)
    (hub_folder / "special_tokens_map.json").write_text("{}")
    assert len(hub_store.from_folder(hub_folder, entry=hub_entry).files) == len(BODIES) + 1


@pytest.mark.parametrize("name", list(BODIES))
def test_a_users_folder_that_lacks_a_file_of_the_entry_names_it(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry, name: str
):
    """Whatever is missing, the message has its path."""
    (hub_folder / name).unlink()
    with pytest.raises(WeightsError) as caught:
        hub_store.from_folder(hub_folder, entry=hub_entry)
    assert name in str(caught.value)


def test_a_wrong_file_in_a_subfolder_is_refused_and_left(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry
):
    """A user's file with another checksum stays where it is."""
    wrong = hub_folder / "audio_detokenizer" / "model.safetensors"
    wrong.write_bytes(b"other")
    with pytest.raises(WeightsError, match="was not changed") as caught:
        hub_store.from_folder(hub_folder, entry=hub_entry)
    assert str(wrong) in str(caught.value)
    assert caught.value.actual_sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_filled_store_has_the_subfolders(hub_store: WeightsStore, hub_entry: WeightsEntry):
    """The weights are a folder, found again as they were filled, with the paths of the entry."""
    stored = hub_store.ensure(hub_entry)
    assert stored.path == stored.folder
    assert stored.path.is_dir()
    assert {name: (stored.path / name).read_bytes() for name in BODIES} == BODIES
    assert not (stored.path / "README.md").exists()
    assert hub_store.find(hub_entry) == stored


def test_damage_in_a_subfolder_of_the_store_is_kept_aside(hub_store: WeightsStore, hub_entry: WeightsEntry):
    """A stored file with a wrong checksum is moved aside and comes back with the next fill."""
    path = hub_store.ensure(hub_entry).path / "audio_detokenizer" / "model.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="the file was moved to"):
        hub_store.find(hub_entry)
    assert hub_store.ensure(hub_entry).pinned is False
    assert path.read_bytes() == BODIES["audio_detokenizer/model.safetensors"]


def test_a_source_with_a_wrong_file_in_a_subfolder_is_refused(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry
):
    """The copy is compared with the entry's checksum before it counts."""
    (hub_folder / "audio_detokenizer" / "config.json").write_bytes(b"{}")
    with pytest.raises(WeightsError, match=r"audio_detokenizer/config\.json from folder .* has sha256"):
        hub_store.ensure(hub_entry)
    assert hub_store.find(hub_entry) is None


def test_an_optional_file_of_the_entry_is_compared_where_it_is(
    hub_store: WeightsStore, hub_folder: Path, hub_entry: WeightsEntry
):
    """Optional means that it may be missing, not that it may be wrong."""
    pinned = attrs.evolve(hub_entry.files[-1], sha256="0" * 64)
    assert hub_store.ensure(attrs.evolve(hub_entry, files=(*hub_entry.files[:-1], pinned))).pinned
    (hub_folder / "special_tokens_map.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"special_tokens_map\.json has sha256"):
        hub_store.from_folder(hub_folder, entry=attrs.evolve(hub_entry, files=(*hub_entry.files[:-1], pinned)))


def test_lfm2_5_audio_is_in_the_catalogue_at_its_commit():
    """What liquid_audio reads is listed; that no checksum is known is not hidden, and the size is an estimate."""
    known = entry("LiquidAI/LFM2.5-Audio-1.5B")
    assert (known.format, known.model) == ("safetensors", "liquid-audio/lfm2.5-audio-1.5b")
    assert known.revision == "c362a0625dfe45aa588dce5f0ada28a7e5707628"
    needed = {file.name for file in known.files if not file.optional}
    assert needed == set(BODIES)
    assert not known.pinned
    assert known.approximate_bytes is not None
    assert 0 < known.approximate_bytes - sum(file.size_bytes or 0 for file in known.files) < 10_000_000


@pytest.mark.parametrize(
    ("key", "size", "origin"),
    [
        ("liquidai/lfm2.5-audio-1.5b", "about 3.3 GB", "LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)"),
        ("systran/faster-whisper-base", "148 MB", "Systran/faster-whisper-base @ ebe41f70d5b6 (148 MB)"),
        ("openai/whisper-base", "", "base.pt of openaipublic.azureedge.net (size unknown)"),
    ],
)
def test_origin_and_size_are_told(key: str, size: str, origin: str):
    """An exact size is stated plainly, an estimate as one, and nothing is made up where none is known."""
    assert describe_size(entry(key)) == size
    assert describe_origin(entry(key)) == origin
