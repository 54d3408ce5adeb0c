from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs
import pytest

from asrlab.errors import WeightsError
from asrlab.weights import FolderSource, HubSource, WeightsEntry, WeightsFile, WeightsStore

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

REVISION = "0123456789abcdef0123456789abcdef01234567"
MIB = 1 << 20
BODIES = {
    "model.safetensors": bytes(range(256)) * (28 * MIB // 256),  # some blocks of huggingface_hub, which are 10 MiB
    "config.json": b'{"model_type": "made up"}',
    "part/model.safetensors": b"part" * 1000,
}

# Pulls until it is killed: at the given byte it says so and waits for what never comes.
CHILD = """
import json, sys
from pathlib import Path
from asrlab.weights import HubSource, WeightsEntry, WeightsFile, WeightsStore

order = json.loads(sys.argv[1])

def progress(done, total, label):
    if done >= order["until"]:
        print("reached", flush=True)
        sys.stdin.readline()

entry = WeightsEntry(files=tuple(WeightsFile(name=name) for name in order.pop("files")), **order["entry"])
WeightsStore(Path(order["root"]), sources=[HubSource(endpoint=order["endpoint"])]).ensure(entry, progress=progress)
"""


@pytest.fixture
def hub(site: Site) -> Site:
    """The hub's addresses of a repository with a large file, a small one, and one in a subfolder."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (asrlab[faster-whisper])")
    site.headers["X-Repo-Commit"] = REVISION
    site.bodies = {f"/Made/up/resolve/{REVISION}/{name}": body for name, body in BODIES.items()}
    return site


@pytest.fixture
def entry() -> WeightsEntry:
    """The catalogue's entry of it: no checksum is known."""
    files = tuple(WeightsFile(name=name) for name in BODIES)
    return WeightsEntry(key="made/up", format="safetensors", files=files, repository="Made/up", revision=REVISION)


@pytest.fixture
def hub_store(tmp_path: Path, hub: Site) -> WeightsStore:
    """A store that is filled from that hub."""
    return WeightsStore(tmp_path / "store", sources=[HubSource(endpoint=hub.address)])


class Interrupted(BaseException):
    """As Ctrl-C is, but only this test raises it."""


def interrupt(store: WeightsStore, entry: WeightsEntry, *, at_bytes: int) -> None:
    """Pull, and break off when so many bytes are there."""

    def progress(done_bytes: int, _: int | None, __: str) -> None:
        if done_bytes >= at_bytes:
            raise Interrupted

    with pytest.raises(Interrupted):
        store.ensure(entry, progress=progress)
    assert store.find(entry) is None


def gets(hub: Site) -> list[str]:
    """Return the downloads so far: file and range."""
    return [asked.removeprefix(f"GET /Made/up/resolve/{REVISION}/") for asked in hub.asked if asked.startswith("GET")]


def test_an_interrupted_pull_goes_on_within_the_file(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """What was received before Ctrl-C is not asked for again, and the progress begins where it was."""
    interrupt(hub_store, entry, at_bytes=20 * MIB)
    hub.asked.clear()
    seen: list[tuple[int, int | None]] = []
    stored = hub_store.ensure(entry, progress=lambda done, total, _: seen.append((done, total)))
    assert gets(hub) == [f"model.safetensors bytes={20 * MIB}-", "config.json", "part/model.safetensors"]
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert stored.sha256 == hashlib.sha256(BODIES["model.safetensors"]).hexdigest()
    total_bytes = sum(map(len, BODIES.values()))
    assert (seen[0], seen[-1]) == ((20 * MIB, total_bytes), (total_bytes, total_bytes))
    assert sorted(path.name for path in stored.path.rglob("*") if path.is_file()) == [
        "config.json",
        "model.safetensors",
        "model.safetensors",
    ]
    assert not any((hub_store.root / "filling").iterdir())


def test_a_file_that_was_whole_is_not_fetched_again(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A pull that was interrupted just before the last file fetches that one alone."""
    interrupt(hub_store, entry, at_bytes=len(BODIES["model.safetensors"]) + 1)
    hub.asked.clear()
    assert hub_store.ensure(entry).path.is_dir()
    assert gets(hub) == ["part/model.safetensors"]


def test_a_killed_pull_goes_on(tmp_path: Path, hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A pull that is killed loses nothing that was on the disk."""
    order = {
        "files": list(BODIES),
        "root": str(hub_store.root),
        "endpoint": hub.address,
        "until": 20 * MIB,
        "entry": {"key": entry.key, "format": entry.format, "repository": entry.repository, "revision": REVISION},
    }
    command, pipe = [sys.executable, "-c", CHILD, json.dumps(order)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "reached\n"
        child.kill()
    hub.asked.clear()
    assert (hub_store.ensure(entry).path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert gets(hub)[0] == f"model.safetensors bytes={20 * MIB}-"


def test_a_partial_file_that_turns_out_wrong_is_fetched_whole(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """Where the joined file is not what the hub states, it is thrown away: the next pull is right."""
    interrupt(hub_store, entry, at_bytes=20 * MIB)
    (part,) = hub_store.root.rglob("model.safetensors.part")
    with part.open("r+b") as file:
        file.write(b"damaged")
    with pytest.raises(WeightsError, match=r"model\.safetensors arrived with sha256 .* the hub states .*try again"):
        hub_store.ensure(entry)
    hub.asked.clear()
    assert (hub_store.ensure(entry).path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert gets(hub)[0] == "model.safetensors"


def test_what_the_hub_states_is_compared_without_a_checksum_in_the_catalogue(
    hub_store: WeightsStore, hub: Site, entry: WeightsEntry
):
    """A large file's checksum comes from the hub, so that a damaged transfer is not trusted on first use."""
    hub.stated_sha256 = "ab" * 32
    with pytest.raises(WeightsError, match=f"the hub states {'ab' * 32}"):
        hub_store.ensure(entry)
    assert hub_store.find(entry) is None


@pytest.mark.parametrize("at_bytes", [20 * MIB, 28 * MIB + 1], ids=["within the file", "after it"])
def test_files_of_which_the_hub_states_no_checksum_begin_anew(
    hub_store: WeightsStore, hub: Site, entry: WeightsEntry, at_bytes: int
):
    """Only what can be compared when it is whole is gone on with."""
    hub.stated_sha256 = ""
    interrupt(hub_store, entry, at_bytes=at_bytes)
    hub.asked.clear()
    assert hub_store.ensure(entry).path.is_dir()
    assert gets(hub)[0] == "model.safetensors"


def test_a_server_that_begins_again_is_taken_from_the_beginning(
    hub_store: WeightsStore, hub: Site, entry: WeightsEntry
):
    """Where the rest is asked for and the whole comes, nothing is joined, and progress does not exceed the total."""
    pytest.importorskip("huggingface_hub", minversion="2", reason="clients before 2 stop here with an error")
    interrupt(hub_store, entry, at_bytes=20 * MIB)
    hub.ignores_ranges = True
    seen: list[tuple[int, int | None]] = []
    stored = hub_store.ensure(entry, progress=lambda done, total, _: seen.append((done, total)))
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert seen[-1][0] == seen[-1][1] == max(done for done, _ in seen)


def test_another_revision_does_not_go_on_with_the_old_one(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """What is left of a revision that the catalogue no longer names goes, and is not joined with the new one."""
    interrupt(hub_store, entry, at_bytes=20 * MIB)
    newer = attrs.evolve(entry, revision="f" * 40)
    hub.bodies = {path.replace(REVISION, "f" * 40): body[::-1] for path, body in hub.bodies.items()}
    stored = hub_store.ensure(newer)
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"][::-1]
    assert not any((hub_store.root / "filling").iterdir())


def test_another_source_clears_what_the_hub_left(
    tmp_path: Path, hub_store: WeightsStore, hub: Site, entry: WeightsEntry
):
    """Once the weights are there, gigabytes of a broken pull are not."""
    interrupt(hub_store, entry, at_bytes=20 * MIB)
    for name, body in BODIES.items():
        (tmp_path / "user" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "user" / name).write_bytes(body)
    store = WeightsStore(hub_store.root, sources=[FolderSource(tmp_path / "user")])
    assert store.ensure(entry).source == f"folder {tmp_path / 'user'}"
    assert not any((store.root / "filling").iterdir())


def test_a_missing_file_is_told_before_gigabytes_are_fetched(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """All files are asked for first: nothing is downloaded if one of them is not there."""
    del hub.bodies[f"/Made/up/resolve/{REVISION}/part/model.safetensors"]
    with pytest.raises(WeightsError, match=r"Made/up cannot be downloaded: .*404"):
        hub_store.ensure(entry)
    assert gets(hub) == []
    assert not any((hub_store.root / "filling").iterdir())


def test_an_optional_file_is_fetched_where_it_is(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """What the repository has of the optional files is stored, what it lacks is not missed, now or later."""
    optional = tuple(WeightsFile(name=name, optional=True) for name in ("chat_template.jinja", "added_tokens.json"))
    hub.bodies[f"/Made/up/resolve/{REVISION}/chat_template.jinja"] = b"{{ messages }}"
    wanted = attrs.evolve(entry, files=(*entry.files, *optional))
    stored = hub_store.ensure(wanted)
    assert [file.name for file in stored.files] == [*BODIES, "chat_template.jinja"]
    assert hub_store.find(wanted) == stored
