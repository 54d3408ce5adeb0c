"""Weights to test with: the real ones that carrier packages hold, and small ones made on the spot."""

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
def carried_store(tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    """A store that the tests of a session share; damage nothing in it."""
    return WeightsStore(tmp_path_factory.mktemp("carried") / "weights")


@pytest.fixture(scope="session")
def base(base_carriers: None, carried_store: WeightsStore) -> StoredWeights:
    """The real base model, joined from two carrier packages."""
    return carried_store.ensure(entry("systran/faster-whisper-base"), offline=True)


@pytest.fixture(scope="session")
def tiny_en(tiny_en_carrier: None, carried_store: WeightsStore) -> StoredWeights:
    """The real tiny.en model, whole in one carrier package."""
    return carried_store.ensure(entry("systran/faster-whisper-tiny.en"), offline=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 3 MB of made-up weights."""
    path = tmp_path / "user"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def made_up() -> WeightsEntry:
    """The catalogue's entry of those weights, every file pinned."""
    return WeightsEntry(
        key="made/up",
        model="made/up",
        format="ctranslate2",
        repository="Made/up",
        revision="0123456789abcdef0123456789abcdef01234567",
        files=tuple(
            WeightsFile(name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
            for name, content in FILES.items()
        ),
    )


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> WeightsStore:
    """An empty store that is filled from that folder."""
    return WeightsStore(tmp_path / "store", sources=[FolderSource(folder)])


@attrs.define
class Site:
    """A web server on this machine that answers with fixed bodies, and notes what was asked.

    Attributes:
        address: Its ``http://127.0.0.1:port``.
        bodies: What is served, by path.
        headers: Further headers, for every body.
        declared_bytes: The length that is claimed where it is not the body's.
        stated_sha256: What is said of every body where it is not its own checksum; ``""`` is nothing.
        ignores_ranges: Set to answer with the whole body where a part was asked for.
        asked: ``METHOD path`` of every request so far, with the range of bytes that it asked for.
        stall: Set to make requests wait until `release`.
        release: Ends the waiting.
    """

    address: str
    bodies: dict[str, bytes] = attrs.Factory(dict)
    headers: dict[str, str] = attrs.Factory(dict)
    declared_bytes: int | None = None
    stated_sha256: str | None = None
    ignores_ranges: bool = False
    asked: list[str] = attrs.Factory(list)
    stall: bool = False
    release: threading.Event = attrs.Factory(threading.Event)


@pytest.fixture
def site() -> Iterator[Site]:
    """A running `Site`."""
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
        wanted = self.headers.get("Range", "")
        site.asked.append(f"{self.command} {self.path} {wanted}".strip())
        if site.ignores_ranges:
            wanted = ""
        if site.stall:
            site.release.wait(20)
        body = site.bodies.get(self.path.partition("?")[0])
        if body is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_response(206 if wanted else 200)
        self._answer(site, body or b"", start=int(wanted[6:].partition("-")[0]) if wanted else 0)

    def _answer(self, site: Site, body: bytes, *, start: int) -> None:
        for name, value in site.headers.items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header(
            "Content-Length", str(len(body) - start if site.declared_bytes is None else site.declared_bytes)
        )
        stated = hashlib.sha256(body).hexdigest() if site.stated_sha256 is None else site.stated_sha256
        self.send_header("ETag", f'"{stated or "0" * 40}"')
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):  # who asked has gone
                self.wfile.write(body[start:])

    do_HEAD = do_GET  # noqa: N815  # named by the base class

    def log_message(self, *_: object) -> None: ...


CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


@pytest.fixture(scope="session")
def pack_ctranslate2() -> Callable[..., bytes]:
    """A writer of ``model.bin``, made from CTranslate2's description and not from the reader."""

    def string(text: str) -> bytes:
        raw = text.encode() + b"\0"
        return struct.pack("<H", len(raw)) + raw

    def variable(name: str, array: Any) -> bytes:
        head = string(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        return head + struct.pack("<BI", CODES[array.dtype.name], array.nbytes) + array.tobytes()

    def pack(
        variables: Mapping[str, Any], *, aliases: Mapping[str, str] | None = None, spec: str = "WhisperSpec"
    ) -> bytes:
        pairs = (aliases or {}).items()
        parts = [struct.pack("<I", 6), string(spec), struct.pack("<II", 3, len(variables))]
        parts += [variable(name, array) for name, array in variables.items()]
        parts += [struct.pack("<I", len(pairs)), *(string(a) + string(b) for a, b in pairs)]
        return b"".join(parts)

    return pack
