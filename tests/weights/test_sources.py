from __future__ import annotations

import hashlib
import json
import resource
import socket
import sys
from typing import TYPE_CHECKING

import attrs
import pytest

from asrlab.errors import WeightsError
from asrlab.weights import (
    CarriedFile,
    CarrierPart,
    CarrierSource,
    HubSource,
    UrlSource,
    WeightsEntry,
    WeightsFile,
    WeightsStore,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

CHECKPOINT = b"checkpoint" * 200_000


def install(site_packages: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Write an installed package whose import fails."""
    info = site_packages / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site_packages / name).mkdir()
    (site_packages / name / "__init__.py").write_text("raise RuntimeError('imported')")
    for path, content in files.items():
        (site_packages / name / path).write_bytes(content)


def packaged_entry(*, version: str = "1.0") -> WeightsEntry:
    """Return an entry with one file, which two packages contain in parts."""
    parts = tuple(CarrierPart(distribution=f"part{n}", version=version, path=f"part{n}/data") for n in (1, 2))
    return WeightsEntry(
        key="fake/carried",
        format="ctranslate2",
        files=(WeightsFile(name="model.bin", sha256=hashlib.sha256(b"one-two").hexdigest(), size_bytes=7),),
        carriers=(CarriedFile(name="model.bin", parts=parts),),
    )


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """Return a folder with two installed packages, each with one part."""
    path = tmp_path / "site-packages"
    install(path, "part1", "1.0", {"data": b"one-"})
    install(path, "part2", "1.0", {"data": b"two"})
    return path


@pytest.fixture
def carrier_store(tmp_path: Path, site_packages: Path) -> WeightsStore:
    """Return a store whose sources are these packages."""
    return WeightsStore(tmp_path / "store", sources=[CarrierSource(search_path=(str(site_packages),))])


def test_parts_of_two_packages_are_joined_without_importing_them(carrier_store: WeightsStore):
    """The parts are joined in order without an import of their packages."""
    stored = carrier_store.ensure(packaged_entry())
    assert (stored.path / "model.bin").read_bytes() == b"one-two"
    assert stored.source == "carrier part1 1.0 + part2 1.0"
    assert "part1" not in sys.modules


def test_a_package_with_a_wrong_part_is_refused_and_unchanged(carrier_store: WeightsStore, site_packages: Path):
    """The error has both checksums, and the package's file is not changed."""
    (site_packages / "part2" / "data").write_bytes(b"TWO")
    with pytest.raises(WeightsError) as error_info:
        carrier_store.ensure(packaged_entry())
    assert error_info.value.expected_sha256 == hashlib.sha256(b"one-two").hexdigest()
    assert error_info.value.actual_sha256 == hashlib.sha256(b"one-TWO").hexdigest()
    assert "model.bin from carrier part1 1.0 + part2 1.0" in str(error_info.value)
    assert (site_packages / "part2" / "data").read_bytes() == b"TWO"


def test_a_package_of_another_version_is_not_used(carrier_store: WeightsStore):
    """Only the pinned version of a package is used."""
    with pytest.raises(WeightsError, match=r"part1 is installed in version 1\.0, not 1\.1"):
        carrier_store.ensure(packaged_entry(version="1.1"))


def test_a_package_without_its_file_is_named(carrier_store: WeightsStore, site_packages: Path):
    """A package without its file is not used, and the error names both."""
    (site_packages / "part2" / "data").unlink()
    with pytest.raises(WeightsError, match="part2 is installed without its file part2/data"):
        carrier_store.ensure(packaged_entry())


def checkpoint(url: str, *, body: bytes = CHECKPOINT) -> WeightsEntry:
    """Return the entry of a checkpoint at *url*."""
    return WeightsEntry(
        key="openai/whisper-fake",
        format="openai-pt",
        files=(WeightsFile(name="fake.pt", sha256=hashlib.sha256(body).hexdigest()),),
        url=url,
    )


@pytest.fixture
def url_store(tmp_path: Path) -> WeightsStore:
    """Return a store whose source is a URL."""
    return WeightsStore(tmp_path / "store", sources=[UrlSource(timeout_s=0.3)])


def test_a_checkpoint_is_downloaded_from_its_address(url_store: WeightsStore, site: Site):
    """The checkpoint is downloaded, its checksum is compared, and progress is reported."""
    site.bodies["/fake.pt"] = CHECKPOINT
    progress_calls: list[tuple[int, int | None, str]] = []
    stored = url_store.ensure(checkpoint(f"{site.address}/fake.pt"), progress=lambda *args: progress_calls.append(args))
    assert stored.path.name == "fake.pt"
    assert stored.path.read_bytes() == CHECKPOINT
    assert stored.pinned
    assert progress_calls[-1] == (len(CHECKPOINT), len(CHECKPOINT), "fake.pt")


def test_a_truncated_body_is_refused(url_store: WeightsStore, site: Site):
    """A connection that ends early has another error than a file with a wrong checksum."""
    site.bodies["/fake.pt"] = CHECKPOINT
    site.declared_bytes = len(CHECKPOINT) + 1
    with pytest.raises(
        WeightsError, match=f"ended after {len(CHECKPOINT)} of {len(CHECKPOINT) + 1} bytes"
    ) as error_info:
        url_store.ensure(checkpoint(f"{site.address}/fake.pt"))
    assert error_info.value.expected_sha256 == ""
    assert not (url_store.root / "rejected").exists()


def test_a_page_instead_of_the_file_is_quarantined(url_store: WeightsStore, site: Site):
    """The page of a captive portal is refused by its checksum and moved away."""
    site.bodies["/fake.pt"] = b"<html>please log in</html>"
    with pytest.raises(WeightsError, match="the file was moved to"):
        url_store.ensure(checkpoint(f"{site.address}/fake.pt"))
    (rejected_file,) = (url_store.root / "rejected").iterdir()
    assert rejected_file.read_bytes() == b"<html>please log in</html>"


def test_a_missing_page_is_named(url_store: WeightsStore, site: Site):
    """A response with status 404 is reported as the error of the source."""
    with pytest.raises(WeightsError, match="cannot be opened: HTTP Error 404"):
        url_store.ensure(checkpoint(f"{site.address}/fake.pt"))


def test_a_silent_server_times_out(url_store: WeightsStore, site: Site):
    """A server that does not answer is reported as a timeout."""
    site.stall = True
    with pytest.raises(WeightsError, match="cannot be opened: timed out"):
        url_store.ensure(checkpoint(f"{site.address}/fake.pt"))


def test_a_refused_connection_is_named(url_store: WeightsStore):
    """A refused connection is reported as the error of the source."""
    with pytest.raises(WeightsError, match="Connection refused"):
        url_store.ensure(checkpoint(f"http://127.0.0.1:{closed_port()}/fake.pt"))


def closed_port() -> int:
    """Return a port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_address_that_is_a_file_is_not_opened(url_store: WeightsStore, tmp_path: Path):
    """Only http and https addresses are opened."""
    with pytest.raises(WeightsError, match="only http and https"):
        url_store.ensure(checkpoint((tmp_path / "fake.pt").as_uri()))


@pytest.mark.parametrize("variable", [None, "HF_HUB_OFFLINE", "ASRLAB_OFFLINE"])
def test_offline_sends_no_request(
    url_store: WeightsStore, site: Site, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    """Offline mode, by argument or environment, sends no request and names its reason."""
    site.bodies["/fake.pt"] = CHECKPOINT
    if variable:
        monkeypatch.setenv(variable, "true")
    with pytest.raises(WeightsError, match=f"left out, {variable or 'since offline was requested'}"):
        url_store.ensure(checkpoint(f"{site.address}/fake.pt"), offline=variable is None)
    assert site.requests == []


def test_an_offline_variable_of_0_permits_downloads(
    url_store: WeightsStore, site: Site, monkeypatch: pytest.MonkeyPatch
):
    """A variable that is 0 does not enable offline mode."""
    monkeypatch.setenv("ASRLAB_OFFLINE", "0")
    site.bodies["/fake.pt"] = CHECKPOINT
    assert url_store.ensure(checkpoint(f"{site.address}/fake.pt")).pinned


@pytest.fixture
def hub_site(site: Site, fake_entry: WeightsEntry, folder: Path) -> Site:
    """Return the web server with the hub's addresses of a repository with one commit."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (asrlab[faster-whisper])")
    site.headers["X-Repo-Commit"] = str(fake_entry.revision)
    site.bodies["/api/models/Fake/model"] = json.dumps({"id": "Fake/model", "sha": fake_entry.revision}).encode()
    for file in fake_entry.files:
        site.bodies[f"/Fake/model/resolve/{fake_entry.revision}/{file.name}"] = (folder / file.name).read_bytes()
    return site


@pytest.fixture
def hub_store(tmp_path: Path, hub_site: Site) -> WeightsStore:
    """Return a store whose source is that hub."""
    return WeightsStore(tmp_path / "store", sources=[HubSource(endpoint=hub_site.address)])


def test_the_pinned_revision_is_requested_from_the_hub(
    hub_store: WeightsStore, hub_site: Site, fake_entry: WeightsEntry
):
    """Every file is downloaded from the commit in the catalogue."""
    progress_calls: list[tuple[int, int | None, str]] = []
    stored = hub_store.ensure(fake_entry, progress=lambda *args: progress_calls.append(args))
    assert stored.source == "hub Fake/model@0123456"
    assert stored.pinned
    assert sorted(path.name for path in stored.path.iterdir()) == ["config.json", "model.bin", "vocabulary.txt"]
    assert progress_calls[-1] == (fake_entry.total_bytes, fake_entry.total_bytes, "vocabulary.txt")
    assert all(f"/resolve/{fake_entry.revision}/" in path for path in hub_site.requests)


def test_an_unpinned_revision_is_resolved_once(hub_store: WeightsStore, fake_entry: WeightsEntry):
    """Without a pinned commit, the latest one is looked up, used for every file, and recorded."""
    files = tuple(WeightsFile(name=file.name) for file in fake_entry.files)
    stored = hub_store.ensure(attrs.evolve(fake_entry, revision=None, files=files))
    assert stored.revision == fake_entry.revision
    assert stored.source == "hub Fake/model@0123456"
    assert not stored.pinned


def test_a_mirror_with_other_bytes_is_refused(hub_store: WeightsStore, hub_site: Site, fake_entry: WeightsEntry):
    """A file is compared with the catalogue's checksum and not with the server's."""
    hub_site.bodies[f"/Fake/model/resolve/{fake_entry.revision}/model.bin"] = b"other"
    with pytest.raises(WeightsError, match=r"model\.bin from hub Fake/model@0123456 has sha256") as error_info:
        hub_store.ensure(fake_entry)
    assert error_info.value.actual_sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_file_that_the_hub_lacks_fails_the_source(hub_store: WeightsStore, hub_site: Site, fake_entry: WeightsEntry):
    """The error of huggingface_hub is reported in one line."""
    del hub_site.bodies[f"/Fake/model/resolve/{fake_entry.revision}/config.json"]
    with pytest.raises(WeightsError, match=r"Fake/model cannot be downloaded: .*404") as error_info:
        hub_store.ensure(fake_entry)
    assert "\n" not in str(error_info.value)
    assert hub_store.find(fake_entry) is None


def test_the_endpoint_comes_from_the_environment(
    tmp_path: Path, hub_site: Site, fake_entry: WeightsEntry, monkeypatch: pytest.MonkeyPatch
):
    """HF_ENDPOINT is used even if huggingface_hub was imported earlier."""
    monkeypatch.setenv("HF_ENDPOINT", hub_site.address)
    assert WeightsStore(tmp_path / "store", sources=[HubSource()]).ensure(fake_entry).pinned


def test_an_unreachable_hub_is_named(tmp_path: Path, hub_site: Site, fake_entry: WeightsEntry):
    """A refused connection to the hub is reported as the error of the source."""
    assert hub_site.requests == []
    source = HubSource(endpoint=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(WeightsError, match=r"Fake/model cannot be downloaded: .*refused"):
        WeightsStore(tmp_path / "store", sources=[source]).ensure(fake_entry)


def test_a_full_disk_is_not_reported_as_a_hub_error(hub_store: WeightsStore, fake_entry: WeightsEntry):
    """A failed write during a download is reported as an error of the disk."""
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard_limit))
    try:
        with pytest.raises(WeightsError, match=r"cannot write the weights 'fake/model' in .*: File too large"):
            hub_store.ensure(fake_entry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft_limit, hard_limit))


def test_a_blocked_path_is_not_reported_as_a_hub_error(tmp_path: Path, hub_site: Site, fake_entry: WeightsEntry):
    """A file that cannot be moved to its path is reported as an error of the disk."""
    (tmp_path / "into" / "model.bin").mkdir(parents=True)
    with pytest.raises(OSError, match=r"model\.bin") as error_info:
        HubSource(endpoint=hub_site.address).fetch(fake_entry, tmp_path / "into", None)
    assert not isinstance(error_info.value, WeightsError)
