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
    "model.safetensors": bytes(range(256)) * (28 * MIB // 256),  # several blocks of huggingface_hub, which have 10 MiB
    "config.json": b'{"model_type": "fake"}',
    "part/model.safetensors": b"part" * 1000,
}

# Pulls until the process is killed: at the given byte the program prints a line and waits for input that never comes.
CHILD = """
import json, sys
from pathlib import Path
from asrlab.weights import HubSource, WeightsEntry, WeightsFile, WeightsStore

config = json.loads(sys.argv[1])

def progress(done, total, label):
    if done >= config["until"]:
        print("reached", flush=True)
        sys.stdin.readline()

entry = WeightsEntry(files=tuple(WeightsFile(name=name) for name in config.pop("files")), **config["entry"])
WeightsStore(Path(config["root"]), sources=[HubSource(endpoint=config["endpoint"])]).ensure(entry, progress=progress)
"""


@pytest.fixture
def hub(site: Site) -> Site:
    """Return the web server with the hub's addresses of a repository with three files."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (asrlab[faster-whisper])")
    site.headers["X-Repo-Commit"] = REVISION
    site.bodies = {f"/Fake/model/resolve/{REVISION}/{name}": body for name, body in BODIES.items()}
    return site


@pytest.fixture
def entry() -> WeightsEntry:
    """Return the catalogue entry of the repository, without checksums."""
    files = tuple(WeightsFile(name=name) for name in BODIES)
    return WeightsEntry(key="fake/model", format="safetensors", files=files, repository="Fake/model", revision=REVISION)


@pytest.fixture
def hub_store(tmp_path: Path, hub: Site) -> WeightsStore:
    """Return a store whose source is that hub."""
    return WeightsStore(tmp_path / "store", sources=[HubSource(endpoint=hub.address)])


class Interrupted(BaseException):
    """Exception like KeyboardInterrupt that only this module raises."""


def assert_pull_interrupted(store: WeightsStore, entry: WeightsEntry, *, at_bytes: int) -> None:
    """Interrupt a pull after *at_bytes* bytes and assert that the store has no entry."""

    def progress(done_bytes: int, _: int | None, __: str) -> None:
        if done_bytes >= at_bytes:
            raise Interrupted

    with pytest.raises(Interrupted):
        store.ensure(entry, progress=progress)
    assert store.find(entry) is None


def downloads(hub: Site) -> list[str]:
    """Return the downloads so far, each as a file name and a range."""
    return [
        request.removeprefix(f"GET /Fake/model/resolve/{REVISION}/")
        for request in hub.requests
        if request.startswith("GET")
    ]


def test_an_interrupted_pull_resumes_within_the_file(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A pull after an interruption downloads only the missing bytes, and its progress starts from there."""
    assert_pull_interrupted(hub_store, entry, at_bytes=20 * MIB)
    hub.requests.clear()
    progress_calls: list[tuple[int, int | None]] = []
    stored = hub_store.ensure(entry, progress=lambda done, total, _: progress_calls.append((done, total)))
    assert downloads(hub) == [f"model.safetensors bytes={20 * MIB}-", "config.json", "part/model.safetensors"]
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert stored.sha256 == hashlib.sha256(BODIES["model.safetensors"]).hexdigest()
    total_bytes = sum(map(len, BODIES.values()))
    assert (progress_calls[0], progress_calls[-1]) == ((20 * MIB, total_bytes), (total_bytes, total_bytes))
    assert sorted(path.name for path in stored.path.rglob("*") if path.is_file()) == [
        "config.json",
        "model.safetensors",
        "model.safetensors",
    ]
    assert not any((hub_store.root / "filling").iterdir())


def test_a_complete_file_is_not_downloaded_again(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A pull that was interrupted before the last file downloads only the last file."""
    assert_pull_interrupted(hub_store, entry, at_bytes=len(BODIES["model.safetensors"]) + 1)
    hub.requests.clear()
    assert hub_store.ensure(entry).path.is_dir()
    assert downloads(hub) == ["part/model.safetensors"]


def test_a_killed_pull_is_resumed(tmp_path: Path, hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A pull after a killed process downloads only the missing bytes."""
    config = {
        "files": list(BODIES),
        "root": str(hub_store.root),
        "endpoint": hub.address,
        "until": 20 * MIB,
        "entry": {"key": entry.key, "format": entry.format, "repository": entry.repository, "revision": REVISION},
    }
    command, pipe = [sys.executable, "-c", CHILD, json.dumps(config)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "reached\n"
        child.kill()
    hub.requests.clear()
    assert (hub_store.ensure(entry).path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert downloads(hub)[0] == f"model.safetensors bytes={20 * MIB}-"


def test_a_damaged_partial_file_is_downloaded_again(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A resumed file with a wrong checksum is discarded, and the next pull downloads the complete file."""
    assert_pull_interrupted(hub_store, entry, at_bytes=20 * MIB)
    (part,) = hub_store.root.rglob("model.safetensors.part")
    with part.open("r+b") as file:
        file.write(b"damaged")
    with pytest.raises(WeightsError, match=r"model\.safetensors arrived with sha256 .* the hub states .*try again"):
        hub_store.ensure(entry)
    hub.requests.clear()
    assert (hub_store.ensure(entry).path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert downloads(hub)[0] == "model.safetensors"


def test_the_checksum_of_the_hub_is_compared(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """A large file without a checksum in the catalogue is compared with the hub's checksum."""
    hub.stated_sha256 = "ab" * 32
    with pytest.raises(WeightsError, match=f"the hub states {'ab' * 32}"):
        hub_store.ensure(entry)
    assert hub_store.find(entry) is None


@pytest.mark.parametrize("at_bytes", [20 * MIB, 28 * MIB + 1], ids=["within the file", "after it"])
def test_a_file_without_a_checksum_of_the_hub_is_not_resumed(
    hub_store: WeightsStore, hub: Site, entry: WeightsEntry, at_bytes: int
):
    """A file is not resumed if its completed content cannot be compared with a checksum."""
    hub.stated_sha256 = ""
    assert_pull_interrupted(hub_store, entry, at_bytes=at_bytes)
    hub.requests.clear()
    assert hub_store.ensure(entry).path.is_dir()
    assert downloads(hub)[0] == "model.safetensors"


def test_a_server_without_range_support_sends_the_complete_file(
    hub_store: WeightsStore, hub: Site, entry: WeightsEntry
):
    """A complete body is not appended to the partial file, and progress does not exceed the total."""
    pytest.importorskip("huggingface_hub", minversion="2", reason="clients before 2 stop here with an error")
    assert_pull_interrupted(hub_store, entry, at_bytes=20 * MIB)
    hub.ignores_ranges = True
    progress_calls: list[tuple[int, int | None]] = []
    stored = hub_store.ensure(entry, progress=lambda done, total, _: progress_calls.append((done, total)))
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"]
    assert progress_calls[-1][0] == progress_calls[-1][1] == max(done for done, _ in progress_calls)


def test_another_revision_does_not_resume_the_old_one(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """Partial files of an old revision are removed and not joined with the new one."""
    assert_pull_interrupted(hub_store, entry, at_bytes=20 * MIB)
    newer = attrs.evolve(entry, revision="f" * 40)
    hub.bodies = {path.replace(REVISION, "f" * 40): body[::-1] for path, body in hub.bodies.items()}
    stored = hub_store.ensure(newer)
    assert (stored.path / "model.safetensors").read_bytes() == BODIES["model.safetensors"][::-1]
    assert not any((hub_store.root / "filling").iterdir())


def test_another_source_removes_the_partial_files_of_the_hub(
    tmp_path: Path, hub_store: WeightsStore, hub: Site, entry: WeightsEntry
):
    """After another source has filled the store, the partial files of the hub are removed."""
    assert_pull_interrupted(hub_store, entry, at_bytes=20 * MIB)
    for name, body in BODIES.items():
        (tmp_path / "user" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "user" / name).write_bytes(body)
    store = WeightsStore(hub_store.root, sources=[FolderSource(tmp_path / "user")])
    assert store.ensure(entry).source == f"folder {tmp_path / 'user'}"
    assert not any((store.root / "filling").iterdir())


def test_a_missing_file_is_reported_before_a_download(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """No file is downloaded if the repository lacks one of the files."""
    del hub.bodies[f"/Fake/model/resolve/{REVISION}/part/model.safetensors"]
    with pytest.raises(WeightsError, match=r"Fake/model cannot be downloaded: .*404"):
        hub_store.ensure(entry)
    assert downloads(hub) == []
    assert not any((hub_store.root / "filling").iterdir())


def test_an_existing_optional_file_is_downloaded(hub_store: WeightsStore, hub: Site, entry: WeightsEntry):
    """An existing optional file is stored, and a missing one is not required."""
    optional = tuple(WeightsFile(name=name, optional=True) for name in ("chat_template.jinja", "added_tokens.json"))
    hub.bodies[f"/Fake/model/resolve/{REVISION}/chat_template.jinja"] = b"{{ messages }}"
    extended = attrs.evolve(entry, files=(*entry.files, *optional))
    stored = hub_store.ensure(extended)
    assert [file.name for file in stored.files] == [*BODIES, "chat_template.jinja"]
    assert hub_store.find(extended) == stored
