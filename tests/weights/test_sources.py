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

BODY = b"checkpoint" * 200_000


def install(site_packages: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Lay out an installed package whose import would fail."""
    info = site_packages / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site_packages / name).mkdir()
    (site_packages / name / "__init__.py").write_text("raise RuntimeError('imported')")
    for path, content in files.items():
        (site_packages / name / path).write_bytes(content)


def carried(*, version: str = "1.0") -> WeightsEntry:
    """Return an entry whose one file is in two packages."""
    parts = tuple(CarrierPart(distribution=f"part{n}", version=version, path=f"part{n}/data") for n in (1, 2))
    return WeightsEntry(
        key="made/carried",
        format="ctranslate2",
        files=(WeightsFile(name="model.bin", sha256=hashlib.sha256(b"one-two").hexdigest(), size_bytes=7),),
        carriers=(CarriedFile(name="model.bin", parts=parts),),
    )


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """Two installed packages with a part each."""
    path = tmp_path / "site-packages"
    install(path, "part1", "1.0", {"data": b"one-"})
    install(path, "part2", "1.0", {"data": b"two"})
    return path


@pytest.fixture
def carrier_store(tmp_path: Path, site_packages: Path) -> WeightsStore:
    """A store that is filled from those packages."""
    return WeightsStore(tmp_path / "store", sources=[CarrierSource(search_path=(str(site_packages),))])


def test_parts_of_two_packages_are_joined_without_importing_them(carrier_store: WeightsStore):
    """The data files are joined in order, by the packages' metadata alone."""
    stored = carrier_store.ensure(carried())
    assert (stored.path / "model.bin").read_bytes() == b"one-two"
    assert stored.source == "carrier part1 1.0 + part2 1.0"
    assert "part1" not in sys.modules


def test_a_carrier_with_a_wrong_part_is_refused_and_left_alone(carrier_store: WeightsStore, site_packages: Path):
    """A package whose part has other bytes stops with both checksums; the package is not touched."""
    (site_packages / "part2" / "data").write_bytes(b"TWO")
    with pytest.raises(WeightsError) as caught:
        carrier_store.ensure(carried())
    assert caught.value.expected_sha256 == hashlib.sha256(b"one-two").hexdigest()
    assert caught.value.actual_sha256 == hashlib.sha256(b"one-TWO").hexdigest()
    assert "model.bin from carrier part1 1.0 + part2 1.0" in str(caught.value)
    assert (site_packages / "part2" / "data").read_bytes() == b"TWO"


def test_a_carrier_of_another_version_is_not_used(carrier_store: WeightsStore):
    """Only the pinned version of a package is read."""
    with pytest.raises(WeightsError, match=r"part1 is installed in version 1\.0, not 1\.1"):
        carrier_store.ensure(carried(version="1.1"))


def test_a_carrier_without_its_file_is_named(carrier_store: WeightsStore, site_packages: Path):
    """A package that lost a file is not used."""
    (site_packages / "part2" / "data").unlink()
    with pytest.raises(WeightsError, match="part2 is installed without its file part2/data"):
        carrier_store.ensure(carried())


def checkpoint(url: str, *, body: bytes = BODY) -> WeightsEntry:
    """Return the entry of a checkpoint at *url*."""
    return WeightsEntry(
        key="openai/whisper-made-up",
        format="openai-pt",
        files=(WeightsFile(name="made-up.pt", sha256=hashlib.sha256(body).hexdigest()),),
        url=url,
    )


@pytest.fixture
def url_store(tmp_path: Path) -> WeightsStore:
    """A store that is filled from an address."""
    return WeightsStore(tmp_path / "store", sources=[UrlSource(timeout_s=0.3)])


def test_a_checkpoint_is_downloaded_from_its_address(url_store: WeightsStore, site: Site):
    """The file is fetched, checked and counted."""
    site.bodies["/made-up.pt"] = BODY
    seen: list[tuple[int, int | None, str]] = []
    stored = url_store.ensure(checkpoint(f"{site.address}/made-up.pt"), progress=lambda *args: seen.append(args))
    assert stored.path.name == "made-up.pt"
    assert stored.path.read_bytes() == BODY
    assert stored.pinned
    assert seen[-1] == (len(BODY), len(BODY), "made-up.pt")


def test_a_truncated_body_is_not_taken_for_the_file(url_store: WeightsStore, site: Site):
    """A connection that ends early is told apart from a wrong file."""
    site.bodies["/made-up.pt"] = BODY
    site.declared_bytes = len(BODY) + 1
    with pytest.raises(WeightsError, match=f"ended after {len(BODY)} of {len(BODY) + 1} bytes") as caught:
        url_store.ensure(checkpoint(f"{site.address}/made-up.pt"))
    assert caught.value.expected_sha256 == ""
    assert not (url_store.root / "rejected").exists()


def test_a_page_instead_of_the_file_is_kept_aside(url_store: WeightsStore, site: Site):
    """What a captive portal answers is refused by its checksum."""
    site.bodies["/made-up.pt"] = b"<html>please log in</html>"
    with pytest.raises(WeightsError, match="the file was moved to"):
        url_store.ensure(checkpoint(f"{site.address}/made-up.pt"))
    (kept,) = (url_store.root / "rejected").iterdir()
    assert kept.read_bytes() == b"<html>please log in</html>"


def test_a_missing_page_is_named(url_store: WeightsStore, site: Site):
    """A 404 is one source that failed."""
    with pytest.raises(WeightsError, match="cannot be opened: HTTP Error 404"):
        url_store.ensure(checkpoint(f"{site.address}/made-up.pt"))


def test_a_server_that_says_nothing_is_given_up(url_store: WeightsStore, site: Site):
    """The timeout ends the waiting."""
    site.stall = True
    with pytest.raises(WeightsError, match="cannot be opened: timed out"):
        url_store.ensure(checkpoint(f"{site.address}/made-up.pt"))


def test_a_server_that_is_not_there_is_named(url_store: WeightsStore):
    """A refused connection is one source that failed."""
    with pytest.raises(WeightsError, match="Connection refused"):
        url_store.ensure(checkpoint(f"http://127.0.0.1:{closed_port()}/made-up.pt"))


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_address_that_is_a_file_is_not_opened(url_store: WeightsStore, tmp_path: Path):
    """Only http and https addresses are fetched."""
    with pytest.raises(WeightsError, match="only http and https"):
        url_store.ensure(checkpoint((tmp_path / "made-up.pt").as_uri()))


@pytest.mark.parametrize("variable", [None, "HF_HUB_OFFLINE", "ASRLAB_OFFLINE"])
def test_offline_asks_nobody(
    url_store: WeightsStore, site: Site, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    """Offline, by argument or environment, no request is made and the reason is given."""
    site.bodies["/made-up.pt"] = BODY
    if variable:
        monkeypatch.setenv(variable, "true")
    with pytest.raises(WeightsError, match=f"left out, {variable or 'since offline was requested'}"):
        url_store.ensure(checkpoint(f"{site.address}/made-up.pt"), offline=variable is None)
    assert site.asked == []


def test_an_offline_variable_that_says_no_is_online(
    url_store: WeightsStore, site: Site, monkeypatch: pytest.MonkeyPatch
):
    """A variable set to 0 does not turn the network off."""
    monkeypatch.setenv("ASRLAB_OFFLINE", "0")
    site.bodies["/made-up.pt"] = BODY
    assert url_store.ensure(checkpoint(f"{site.address}/made-up.pt")).pinned


@pytest.fixture
def hub_site(site: Site, made_up: WeightsEntry, folder: Path) -> Site:
    """The hub's addresses of a repository with one commit."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (asrlab[faster-whisper])")
    site.headers["X-Repo-Commit"] = str(made_up.revision)
    site.bodies["/api/models/Made/up"] = json.dumps({"id": "Made/up", "sha": made_up.revision}).encode()
    for file in made_up.files:
        site.bodies[f"/Made/up/resolve/{made_up.revision}/{file.name}"] = (folder / file.name).read_bytes()
    return site


@pytest.fixture
def hub_store(tmp_path: Path, hub_site: Site) -> WeightsStore:
    """A store that is filled from that hub."""
    return WeightsStore(tmp_path / "store", sources=[HubSource(endpoint=hub_site.address)])


def test_the_hub_is_asked_for_the_pinned_revision(hub_store: WeightsStore, hub_site: Site, made_up: WeightsEntry):
    """Every file comes from the commit in the catalogue."""
    seen: list[tuple[int, int | None, str]] = []
    stored = hub_store.ensure(made_up, progress=lambda *args: seen.append(args))
    assert stored.source == "hub Made/up@0123456"
    assert stored.pinned
    assert sorted(path.name for path in stored.path.iterdir()) == ["config.json", "model.bin", "vocabulary.txt"]
    assert seen[-1] == (made_up.total_bytes, made_up.total_bytes, "vocabulary.txt")
    assert all(f"/resolve/{made_up.revision}/" in path for path in hub_site.asked)


def test_an_unpinned_revision_is_resolved_once(hub_store: WeightsStore, made_up: WeightsEntry):
    """Without a pinned commit the newest is looked up, used for every file, and noted."""
    files = tuple(WeightsFile(name=file.name) for file in made_up.files)
    stored = hub_store.ensure(attrs.evolve(made_up, revision=None, files=files))
    assert stored.revision == made_up.revision
    assert stored.source == "hub Made/up@0123456"
    assert not stored.pinned


def test_a_mirror_with_other_bytes_is_refused(hub_store: WeightsStore, hub_site: Site, made_up: WeightsEntry):
    """The checksum is the catalogue's, not the server's."""
    hub_site.bodies[f"/Made/up/resolve/{made_up.revision}/model.bin"] = b"other"
    with pytest.raises(WeightsError, match=r"model\.bin from hub Made/up@0123456 has sha256") as caught:
        hub_store.ensure(made_up)
    assert caught.value.actual_sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_file_that_the_hub_lacks_is_one_source_that_failed(
    hub_store: WeightsStore, hub_site: Site, made_up: WeightsEntry
):
    """What huggingface_hub says is passed on in one line."""
    del hub_site.bodies[f"/Made/up/resolve/{made_up.revision}/config.json"]
    with pytest.raises(WeightsError, match=r"Made/up cannot be downloaded: .*404") as caught:
        hub_store.ensure(made_up)
    assert "\n" not in str(caught.value)
    assert hub_store.find(made_up) is None


def test_the_endpoint_comes_from_the_environment(
    tmp_path: Path, hub_site: Site, made_up: WeightsEntry, monkeypatch: pytest.MonkeyPatch
):
    """HF_ENDPOINT counts even if huggingface_hub was imported before it was set."""
    monkeypatch.setenv("HF_ENDPOINT", hub_site.address)
    assert WeightsStore(tmp_path / "store", sources=[HubSource()]).ensure(made_up).pinned


def test_a_hub_that_is_not_there_is_named(tmp_path: Path, hub_site: Site, made_up: WeightsEntry):
    """A refused connection is one source that failed."""
    assert hub_site.asked == []
    source = HubSource(endpoint=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(WeightsError, match=r"Made/up cannot be downloaded: .*refused"):
        WeightsStore(tmp_path / "store", sources=[source]).ensure(made_up)


def test_a_full_disk_is_not_taken_for_a_failing_hub(hub_store: WeightsStore, made_up: WeightsEntry):
    """A write that the disk refuses while downloading is the disk's error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(WeightsError, match=r"cannot write the weights 'made/up' in .*: File too large"):
            hub_store.ensure(made_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_in_the_way_is_not_taken_for_a_failing_hub(tmp_path: Path, hub_site: Site, made_up: WeightsEntry):
    """A file that cannot be put in place is the disk's error."""
    (tmp_path / "into" / "model.bin").mkdir(parents=True)
    with pytest.raises(OSError, match=r"model\.bin") as caught:
        HubSource(endpoint=hub_site.address).fetch(made_up, tmp_path / "into", None)
    assert not isinstance(caught.value, WeightsError)
