"""Weights for tests: real ones from installed packages, and small ones that the fixtures write."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import struct
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab.weights import FolderSource, StoredWeights, WeightsEntry, WeightsFile, WeightsStore, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FILES = {"model.bin": bytes(range(256)) * 12_000, "config.json": b"{}", "vocabulary.txt": b"a\nb\n"}


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    """Return a store that the tests of a session share, so no test may damage its content."""
    return WeightsStore(tmp_path_factory.mktemp("carried") / "weights")


@pytest.fixture(scope="session")
def base(base_carriers: None, shared_store: WeightsStore) -> StoredWeights:
    """Return the stored base model, which is joined from two packages."""
    return shared_store.ensure(entry("systran/faster-whisper-base"), offline=True)


@pytest.fixture(scope="session")
def tiny_en(tiny_en_carrier: None, shared_store: WeightsStore) -> StoredWeights:
    """Return the stored tiny.en model, which one package contains completely."""
    return shared_store.ensure(entry("systran/faster-whisper-tiny.en"), offline=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with 3 MB of fake weights."""
    path = tmp_path / "user"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def fake_entry() -> WeightsEntry:
    """Return the catalogue entry of the fake weights, with the checksum of every file."""
    return WeightsEntry(
        key="fake/model",
        model="fake/model",
        format="ctranslate2",
        repository="Fake/model",
        revision="0123456789abcdef0123456789abcdef01234567",
        files=tuple(
            WeightsFile(name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
            for name, content in FILES.items()
        ),
    )


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> WeightsStore:
    """Return an empty store whose source is the folder of fake weights."""
    return WeightsStore(tmp_path / "store", sources=[FolderSource(folder)])


@attrs.define
class Site:
    """Local web server that answers with fixed bodies and records the requests.

    Attributes:
        address: Address of the server, ``http://127.0.0.1:port``.
        bodies: Response bodies by path.
        headers: Additional headers of every response.
        declared_bytes: Value of Content-Length. None declares the body's real length.
        stated_sha256: Checksum in the ETag of every response. None states the body's real checksum, ``""`` none.
        ignores_ranges: Set to True to answer range requests with the complete body.
        requests: ``METHOD path`` of every request so far, with the requested range of bytes.
        stall: Set to True to delay responses until `release` is set.
        release: Event that ends the delay.
    """

    address: str
    bodies: dict[str, bytes] = attrs.Factory(dict)
    headers: dict[str, str] = attrs.Factory(dict)
    declared_bytes: int | None = None
    stated_sha256: str | None = None
    ignores_ranges: bool = False
    requests: list[str] = attrs.Factory(list)
    stall: bool = False
    release: threading.Event = attrs.Factory(threading.Event)


@pytest.fixture
def site() -> Iterator[Site]:
    """Yield a running `Site`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = Site(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.site.release.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # named by the base class
        site: Site = self.server.site  # type: ignore[attr-defined]
        byte_range = self.headers.get("Range", "")
        site.requests.append(f"{self.command} {self.path} {byte_range}".strip())
        if site.ignores_ranges:
            byte_range = ""
        if site.stall:
            site.release.wait(20)
        body = site.bodies.get(self.path.partition("?")[0])
        if body is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_response(206 if byte_range else 200)
        self._answer(site, body or b"", start=int(byte_range[6:].partition("-")[0]) if byte_range else 0)

    def _answer(self, site: Site, body: bytes, *, start: int) -> None:
        for name, value in site.headers.items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header(
            "Content-Length", str(len(body) - start if site.declared_bytes is None else site.declared_bytes)
        )
        sha256 = hashlib.sha256(body).hexdigest() if site.stated_sha256 is None else site.stated_sha256
        self.send_header("ETag", f'"{sha256 or "0" * 40}"')
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):  # the client has closed the connection
                self.wfile.write(body[start:])

    do_HEAD = do_GET  # noqa: N815  # named by the base class

    def log_message(self, *_: object) -> None: ...


TYPE_CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


@pytest.fixture(scope="session")
def pack_ctranslate2() -> Callable[..., bytes]:
    """Return a writer of ``model.bin`` that follows CTranslate2's description and not asrlab's reader."""

    def string(text: str) -> bytes:
        raw = text.encode() + b"\0"
        return struct.pack("<H", len(raw)) + raw

    def variable(name: str, array: Any) -> bytes:
        header = string(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        return header + struct.pack("<BI", TYPE_CODES[array.dtype.name], array.nbytes) + array.tobytes()

    def pack(
        variables: Mapping[str, Any], *, aliases: Mapping[str, str] | None = None, spec: str = "WhisperSpec"
    ) -> bytes:
        alias_items = (aliases or {}).items()
        parts = [struct.pack("<I", 6), string(spec), struct.pack("<II", 3, len(variables))]
        parts += [variable(name, array) for name, array in variables.items()]
        parts += [struct.pack("<I", len(alias_items)), *(string(a) + string(b) for a, b in alias_items)]
        return b"".join(parts)

    return pack
