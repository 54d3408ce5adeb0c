"""The store: weights on disk, checked before use, and fetched from sources by one process at a time.

::

    <root>/<key>/manifest.json  the checksums of the files that were written
    <root>/<key>/model/         the files
    <root>/filling/<key>/new/   an entry that is being fetched: moved into place complete, or removed
    <root>/filling/<key>/<revision>/  the same for a source that resumes: kept if the fetch is interrupted
    <root>/locks/<key>.lock     the lock of the process that fetches
    <root>/rejected/            files with a wrong checksum
    <root>/digests/             checksums by path, size and time of change

A ``/`` in a key is written ``--``.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import WeightsError
from asrlab.installation import asrlab_command, install_command
from asrlab.output_files import cache_folder, sync_folder
from asrlab.weights.catalogue import (
    DigestCache,
    StoredFile,
    StoredWeights,
    StoreManifest,
    describe_origin,
    describe_size,
    read_manifest,
)
from asrlab.weights.local import list_files, weights_format
from asrlab.weights.safetensors_check import read_errors
from asrlab.weights.sources import CarrierSource, HubSource, Progress, UrlSource, WeightsSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry


log = logging.getLogger("asrlab.weights")


class WeightsStore:
    """Weights on disk.

    Args:
        root: The folder of the store; None is ``weights`` in ``ASRLAB_CACHE``, or else in the user's cache folder.
        sources: The sources of missing weights, in this order; None is installed packages that contain weights, the
            hub, and openai-whisper's own addresses.
    """

    def __init__(self, root: Path | None = None, *, sources: Sequence[WeightsSource] | None = None) -> None:
        self.root = (root or cache_folder() / "weights").expanduser().absolute()
        self.sources = (CarrierSource(), HubSource(), UrlSource()) if sources is None else tuple(sources)
        self._digests = DigestCache(self.root / "digests")

    def find(self, entry: WeightsEntry, *, fresh: bool = False) -> StoredWeights | None:
        """Return the checked weights if the store has them, else None; read unchanged files again if *fresh*.

        Raises:
            WeightsError: If a file has a wrong checksum (the file is moved aside, and the next `ensure` fetches it
                again), or the store cannot be read.
        """
        with self._disk_errors("read", entry):
            found = self._read(entry)
            if found is not None:
                self._check(found, fresh=fresh)
            return found

    def ensure(self, entry: WeightsEntry, *, offline: bool = False, progress: Progress | None = None) -> StoredWeights:
        """Return the weights; fetch them first if the store lacks them.

        Args:
            entry: The entry to fetch.
            offline: Leave out the sources that need the network, as do ``ASRLAB_OFFLINE`` and ``HF_HUB_OFFLINE`` in the
                environment.
            progress: Called with the progress of a fetch.

        Raises:
            WeightsError: If no source has the weights, a file has a wrong checksum, or the store cannot be written.
        """
        found = self.find(entry)
        if found is not None:
            return found
        with self._disk_errors("write", entry), self._locked(entry.key):
            found = self._read(entry)  # another process may have fetched it meanwhile
            if found is not None:
                self._check(found, locked=True)
                return found
            try:
                filled = self._fill(entry, offline=offline, progress=progress)
            except BaseException:
                self._discard(entry.key, keep=entry.revision)  # the next fetch resumes from there
                raise
            self._discard(entry.key)
            return filled

    def from_folder(self, path: Path, *, entry: WeightsEntry | None = None) -> StoredWeights:
        """Return a user's own weights at *path*, used where they are; refuse those that differ from a given *entry*."""
        path = path.expanduser().absolute()
        format_ = weights_format(path)
        folder = path.parent if format_ == "openai-pt" else path
        if entry is not None and entry.format != format_:
            message = f"{path} has the format {format_}, but {entry.key!r} needs {entry.format}; name other weights"
            raise WeightsError(message, model=entry.key)
        if format_ == "openai-pt":
            names: Iterable[str] = [path.name]
        elif entry is None:
            names = list_files(path, format_)
        else:
            names = [file.name for file in entry.files if not file.optional or (path / file.name).is_file()]
        with read_errors(path):
            files = tuple(
                StoredFile(name=name, sha256=self._digests.sha256(file), size_bytes=file.stat().st_size)
                for name, file in ((name, folder / name) for name in names)
            )
        if entry is not None and (wrong := _find_wrong_file(entry, files)):
            raise _wrong_checksum(entry.key, str(folder / wrong[0].name), wrong[1], wrong[0].sha256)
        return StoredWeights(
            path=path,
            format=format_,
            key=entry.key if entry else None,
            revision=entry.revision if entry and entry.pinned else None,
            sha256=files[0].sha256,
            source="folder",
            pinned=entry is not None and entry.pinned,
            files=files,
        )

    def verify(self, stored: StoredWeights, *, fresh: bool = False) -> None:
        """Compare every file with its checksum; read unchanged files again if *fresh*.

        A wrong file in the store is moved aside; files elsewhere are not touched.
        """
        with read_errors(stored.path, cure="; pull the weights again"):
            self._check(stored, fresh=fresh)

    def _check(self, stored: StoredWeights, *, locked: bool = False, fresh: bool = False) -> None:
        for file in stored.files:
            path, moved_to = stored.folder / file.name, None
            actual = self._digests.sha256(path, fresh=fresh)
            if actual == file.sha256:
                continue
            if stored.key is not None and path.is_relative_to(self.root):
                with nullcontext() if locked else self._locked(stored.key):
                    # Another process may have moved the file aside meanwhile, and even fetched it again.
                    if path.exists() and self._digests.sha256(path) == file.sha256:
                        continue
                    moved_to = self._reject(path, actual)
            raise _wrong_checksum(stored.key, str(path), file.sha256, actual, moved_to)

    def _read(self, entry: WeightsEntry) -> StoredWeights | None:
        folder = self._folder(entry.key)
        manifest = read_manifest(folder / "manifest.json")
        if manifest is None:
            return None
        if entry.revision not in (None, manifest.revision):
            log.info("the store has %s at %s, not at %s", entry.key, manifest.revision, entry.revision)
            return None
        written = {file.name: file for file in manifest.files}
        listed = [file for file in entry.files if file.name in written]
        needed = [file for file in entry.files if not (file.optional or file.name in written)]
        if needed or not all((folder / "model" / file.name).is_file() for file in listed):
            log.info("%s is incomplete; it will be filled again", folder / "model")
            return None
        files = (attrs.evolve(written[file.name], sha256=file.sha256 or written[file.name].sha256) for file in listed)
        return self._stored(entry, manifest, tuple(files))

    def _stored(self, entry: WeightsEntry, manifest: StoreManifest, files: tuple[StoredFile, ...]) -> StoredWeights:
        folder = self._folder(entry.key) / "model"
        return StoredWeights(
            path=folder / entry.main_file.name if entry.format == "openai-pt" else folder,
            format=entry.format,
            key=entry.key,
            revision=manifest.revision,
            sha256=files[0].sha256,
            source=manifest.source,
            pinned=entry.pinned,
            files=files,
        )

    def _fill(self, entry: WeightsEntry, *, offline: bool, progress: Progress | None) -> StoredWeights:
        self._discard(entry.key, keep=entry.revision)  # what a killed process left
        tried = [f"store {self._folder(entry.key)}: not there"]
        for source in self.sources:
            reason = source.why_not(entry) or (_offline_reason(offline=offline) if source.online else None)
            if reason is None:
                try:
                    return self._fill_from(source, entry, progress)
                except WeightsError as error:
                    if error.expected_sha256:
                        raise
                    reason = error.message
            tried.append(f"{source.describe(entry)}: {reason}")
        raise _all_sources_failed(entry, tried)

    def _fill_from(self, source: WeightsSource, entry: WeightsEntry, progress: Progress | None) -> StoredWeights:
        name = (entry.revision if source.resumes else None) or "new"
        fresh = self._filling(entry.key) / _slug(name)
        if name == "new":
            shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "model").mkdir(parents=True, exist_ok=True)
        size = describe_size(entry) or "size unknown"
        log.info("filling %s (%s) from %s", entry.key, size, source.describe(entry))
        manifest = source.fetch(entry, fresh / "model", progress)
        if wrong := _find_wrong_file(entry, manifest.files):
            file, expected = wrong
            moved_to = self._reject(fresh / "model" / file.name, file.sha256)
            raise _wrong_checksum(entry.key, f"{file.name} from {manifest.source}", expected, file.sha256, moved_to)
        folder = self._folder(entry.key)
        if not entry.pinned:
            _warn_unpinned(entry, manifest, before=read_manifest(folder / "manifest.json"))
        (fresh / "manifest.json").write_text(json.dumps(attrs.asdict(manifest), indent=2) + "\n", "utf-8")
        # a rename is only as durable as the folders it touches
        sync_folder(fresh / "model")
        sync_folder(fresh)
        if folder.exists():  # outdated, or incomplete since a damaged file was moved aside
            folder.replace(self._filling(entry.key) / "old")
        fresh.replace(folder)
        sync_folder(self.root)
        for file in manifest.files:
            self._digests.remember(folder / "model" / file.name, file.sha256)
        log.info("filled %s", folder)
        return self._stored(entry, manifest, manifest.files)

    def _folder(self, key: str) -> Path:
        return self.root / _slug(key)

    def _filling(self, key: str) -> Path:
        return self.root / "filling" / _slug(key)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Wait for the lock of an entry and hold it."""
        from filelock import FileLock, Timeout

        path = self.root / "locks" / f"{_slug(key)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another process that fetches %s (%s)", key, path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _discard(self, key: str, *, keep: str | None = None) -> None:
        """Remove the files of a fetch, except the folder called *keep* if it has files; needs the lock."""
        filling = self._filling(key)
        resumable = filling / _slug(keep) if keep else None
        if resumable is None or not any(path.is_file() for path in resumable.rglob("*")):
            shutil.rmtree(filling, ignore_errors=True)
            return
        for other in filling.iterdir():
            if other != resumable:
                shutil.rmtree(other, ignore_errors=True)

    def _reject(self, path: Path, sha256: str) -> Path:
        """Move a file with a wrong checksum aside, if no other process has, and return its new path."""
        rejected = self.root / "rejected" / f"{path.name}-{sha256[:8]}"
        rejected.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(rejected)
        return rejected

    @contextmanager
    def _disk_errors(self, doing: str, entry: WeightsEntry) -> Iterator[None]:
        try:
            yield
        except WeightsError:
            raise
        except OSError as error:
            raise WeightsError(
                f"cannot {doing} the weights {entry.key!r} in {self.root}: {error.strerror or error} "
                f"({error.filename or self.root}); make room or correct the permissions there, or set ASRLAB_CACHE to "
                "another folder",
                model=entry.key,
            ) from error


def _slug(key: str) -> str:
    return key.replace("/", "--")


def is_offline() -> bool:
    """Return True if the environment forbids fetches over the network."""
    return _offline_reason(offline=False) is not None


def _offline_reason(*, offline: bool) -> str | None:
    if offline:
        return "left out, since offline was requested"
    for name in ("ASRLAB_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(name, "").upper() in {"1", "ON", "TRUE", "YES"}:
            return f"left out, {name} is set"
    return None


def _find_wrong_file(entry: WeightsEntry, files: tuple[StoredFile, ...]) -> tuple[StoredFile, str] | None:
    """Return the first of *files* with another checksum than the entry pins, and the pinned checksum."""
    pinned = {file.name: file.sha256 for file in entry.files}
    if entry.format == "openai-pt":
        pinned = {files[0].name: entry.main_file.sha256}  # identified by content: the file may have any name
    for file in files:
        expected = pinned.get(file.name)
        if expected is not None and expected != file.sha256:
            return file, expected
    return None


def _wrong_checksum(
    key: str | None, where: str, expected: str, actual: str, moved_to: Path | None = None
) -> WeightsError:
    fate = "the file was not changed; replace it"
    if moved_to:
        fate = f"the file was moved to {moved_to}; try again to fetch it anew"
    return WeightsError(
        f"{f'weights {key!r}: ' if key else ''}{where} has sha256 {actual}, expected {expected}; {fate}",
        model=key or where,
        expected_sha256=expected,
        actual_sha256=actual,
    )


def _all_sources_failed(entry: WeightsEntry, tried: Sequence[str]) -> WeightsError:
    advice = []
    if entry.carriers:
        advice.append(f"run `{install_command('asrlab[weights]')}`")
    if entry.model:
        advice.append(f"run `{asrlab_command('pull', entry.model)}` when online")
    kind = ".pt file" if entry.format == "openai-pt" else "folder"
    advice.append(f"or name your own {kind} with load(..., weights=PATH)")
    return WeightsError(
        f"the weights {entry.key!r}, {describe_origin(entry)}, are not in the store and could not be fetched. "
        f"Tried: {'; '.join(tried)}. To fix this, {', '.join(advice)}",
        model=entry.key,
        tried=tried,
    )


def _warn_unpinned(entry: WeightsEntry, manifest: StoreManifest, *, before: StoreManifest | None) -> None:
    names = [file.name for file in entry.files if file.sha256 is None and manifest.file(file.name)]
    changed = [name for name in names if before and before.file(name) not in (None, manifest.file(name))]
    if changed:
        log.warning("%s of %s differ from the first download; no checksum is pinned", ", ".join(changed), entry.key)
    elif before is None:
        log.warning(
            "no checksum is pinned for %s of %s; the files are trusted as fetched, and compared with that from now on",
            ", ".join(names),
            entry.key,
        )
