"""The store: weights on disk, checked before use, and fetched from sources by one process at a time."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import WeightsError
from asrlab.weights import errors
from asrlab.weights.hub_source import HubSource
from asrlab.weights.local import local_weights
from asrlab.weights.manifest import (
    DigestCache,
    StoredFile,
    StoredWeights,
    StoreLayout,
    StoreManifest,
    default_root,
    read_manifest,
    write_manifest,
)
from asrlab.weights.sources import CarrierSource, Progress, UrlSource, WeightsSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry, WeightsFile


log = logging.getLogger("asrlab.weights")


class WeightsStore:
    """Weights on disk.

    Args:
        root: The folder of the store; None is ``weights`` in ``ASRLAB_CACHE``, or else in the user's cache folder.
        sources: The sources of missing weights, in this order; None is installed packages that contain weights, the
            hub, and openai-whisper's own addresses.
    """

    def __init__(self, root: Path | None = None, *, sources: Sequence[WeightsSource] | None = None) -> None:
        self.root = (root or default_root()).expanduser().absolute()
        self.sources = (CarrierSource(), HubSource(), UrlSource()) if sources is None else tuple(sources)
        self._layout = StoreLayout(self.root)
        self._digests = DigestCache(self._layout.digest_cache)

    def find(self, entry: WeightsEntry, *, fresh: bool = False) -> StoredWeights | None:
        """Return the checked weights if the store has them, else None.

        Args:
            entry: The entry to look for.
            fresh: Read files again that did not change since they were last hashed.

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
        with self._disk_errors("write", entry), self._layout.locked(entry.key):
            found = self._read(entry)  # another process may have fetched it meanwhile
            if found is not None:
                self._check(found, locked=True)
                return found
            try:
                filled = self._fill(entry, offline=offline, progress=progress)
            except BaseException:
                self._layout.discard(entry.key, keep=entry.revision)  # the next fetch resumes from there
                raise
            self._layout.discard(entry.key)
            return filled

    def from_folder(self, path: Path, *, entry: WeightsEntry | None = None) -> StoredWeights:
        """Return a user's own weights, used where they are.

        Args:
            path: A CTranslate2 folder, a folder of safetensors, or an openai-whisper ``.pt`` file.
            entry: The entry that the weights are compared with; None accepts any weights.

        Raises:
            WeightsError: If *path* has no weights, or not those of *entry*.
        """
        return local_weights(path.expanduser().absolute(), entry=entry, digests=self._digests)

    def verify(self, stored: StoredWeights, *, fresh: bool = False) -> None:
        """Compare every file with its checksum.

        Args:
            stored: The weights to compare.
            fresh: Read files again that did not change since they were last hashed.

        Raises:
            WeightsError: If a file has a wrong checksum or cannot be read. A wrong file in the store is moved aside;
                files elsewhere are not touched.
        """
        try:
            self._check(stored, fresh=fresh)
        except WeightsError:
            raise
        except OSError as error:
            raise WeightsError(
                f"cannot read {error.filename}: {error.strerror}; pull the weights again", model=str(stored.path)
            ) from error

    def _check(self, stored: StoredWeights, *, locked: bool = False, fresh: bool = False) -> None:
        for file in stored.files:
            actual = self._digests.sha256(stored.folder / file.name, fresh=fresh)
            if actual != file.sha256:
                self._refuse(stored, file, actual, locked=locked)

    def _refuse(self, stored: StoredWeights, file: StoredFile, actual: str, *, locked: bool) -> None:
        path, moved_to = stored.folder / file.name, None
        if stored.key is not None and path.is_relative_to(self.root):
            with nullcontext() if locked else self._layout.locked(stored.key):
                # Another process may have moved the file aside meanwhile, and even fetched it again.
                if path.exists() and self._digests.sha256(path) == file.sha256:
                    return
                moved_to = self._layout.reject(path, actual)
        raise errors.wrong_checksum(stored.key, path, expected=file.sha256, actual=actual, moved_to=moved_to)

    def _read(self, entry: WeightsEntry) -> StoredWeights | None:
        manifest = read_manifest(self._layout.manifest(entry.key))
        if manifest is None:
            return None
        if entry.revision not in (None, manifest.revision):
            log.info("the store has %s at %s, not at %s", entry.key, manifest.revision, entry.revision)
            return None
        files = tuple(file for file in (_expected(wanted, manifest) for wanted in entry.files) if file)
        folder = self._layout.model(entry.key)
        needed = {file.name for file in entry.files if not file.optional} - {file.name for file in files}
        if needed or not all((folder / file.name).is_file() for file in files):
            log.info("%s is incomplete; it will be filled again", folder)
            return None
        return self._stored(entry, manifest, files)

    def _stored(self, entry: WeightsEntry, manifest: StoreManifest, files: tuple[StoredFile, ...]) -> StoredWeights:
        folder = self._layout.model(entry.key)
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
        self._layout.discard(entry.key, keep=entry.revision)  # what a killed process left
        tried = [f"store {self._layout.folder(entry.key)}: not there"]
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
        raise errors.all_sources_failed(entry, tried)

    def _fill_from(self, source: WeightsSource, entry: WeightsEntry, progress: Progress | None) -> StoredWeights:
        fresh = self._layout.start(entry.key, name=(entry.revision if source.resumes else None) or "new")
        log.info(
            "filling %s (%s) from %s",
            entry.key,
            errors.describe_size(entry) or "size unknown",
            source.describe(entry),
        )
        fetched = source.fetch(entry, fresh / "model", progress)
        manifest = StoreManifest(key=entry.key, revision=fetched.revision, source=fetched.source, files=fetched.files)
        self._compare(entry, manifest, fresh / "model")
        write_manifest(fresh / "manifest.json", manifest)
        self._layout.commit(entry.key, fresh)
        for file in fetched.files:
            self._digests.remember(self._layout.model(entry.key) / file.name, file.sha256)
        log.info("filled %s", self._layout.folder(entry.key))
        return self._stored(entry, manifest, fetched.files)

    def _compare(self, entry: WeightsEntry, manifest: StoreManifest, folder: Path) -> None:
        for expected in entry.files:
            actual = manifest.file(expected.name)  # None for an optional file that the source lacks
            if actual is not None and expected.sha256 not in (None, actual.sha256):
                moved_to = self._layout.reject(folder / actual.name, actual.sha256)
                where = f"{actual.name} from {manifest.source}"
                raise errors.wrong_checksum(
                    entry.key, where, expected=str(expected.sha256), actual=actual.sha256, moved_to=moved_to
                )
        if not entry.pinned:
            _warn_unpinned(entry, manifest, before=read_manifest(self._layout.manifest(entry.key)))

    @contextmanager
    def _disk_errors(self, doing: str, entry: WeightsEntry) -> Iterator[None]:
        try:
            yield
        except WeightsError:
            raise
        except OSError as error:
            raise errors.disk_error(entry, self.root, error, doing=doing) from error


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


def _expected(file: WeightsFile, manifest: StoreManifest) -> StoredFile | None:
    written = manifest.file(file.name)
    return attrs.evolve(written, sha256=file.sha256 or written.sha256) if written else None


def _warn_unpinned(entry: WeightsEntry, manifest: StoreManifest, *, before: StoreManifest | None) -> None:
    names = [file.name for file in entry.files if file.sha256 is None and manifest.file(file.name)]
    old = [before.file(name) if before else None for name in names]
    changed = [file.name for file in old if file and file != manifest.file(file.name)]
    if changed:
        log.warning("%s of %s differ from the first download; no checksum is pinned", ", ".join(changed), entry.key)
    elif before is None:
        log.warning(
            "no checksum is pinned for %s of %s; the files are trusted as fetched, and compared with that from now on",
            ", ".join(names),
            entry.key,
        )
