"""Calibrations on disk: one small JSON file for each set of circumstances."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from asrlab.calibration.records import SCHEMA, Calibration, Circumstances
from asrlab.errors import DatasetError, OutputError

__all__ = ["CalibrationStore", "find_calibration"]

log = logging.getLogger("asrlab.calibration")


class CalibrationStore:
    """The folder of calibrations.

    Args:
        root: The folder; None is ``tuning`` in ``ASRLAB_CACHE``, or else in the user's cache folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or _default_root()).expanduser().absolute()

    def path(self, circumstances: Circumstances) -> Path:
        """The file of the calibration for *circumstances*, whether it is there or not."""
        plain = json.dumps([SCHEMA, attrs.asdict(circumstances)], sort_keys=True)
        digest = hashlib.sha256(plain.encode()).hexdigest()
        return self.root / f"{_slug(circumstances.model)}-{digest[:16]}.json"

    def find(self, circumstances: Circumstances) -> Calibration | None:
        """The calibration for exactly these; None if there is none, or it cannot be read, which is logged."""
        path = self.path(circumstances)
        found = self._read(path)
        if found is not None and found.circumstances != circumstances:
            log.warning("%s is not used as a calibration: its name and what it says differ; remove it", path)
            return None
        return found

    def all(self) -> Iterator[tuple[Path, Calibration]]:
        """Every calibration, with its file, by the files' names; what cannot be read is left out and logged."""
        for path in self._files():
            found = self._read(path)
            if found is not None:
                yield path, found

    def check(self) -> None:
        """Make the folder, before time is spent on what could not be kept.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise self._unwritable(error) from error

    def put(self, calibration: Calibration) -> Path:
        """Keep *calibration*, whole or not at all, in the place of an earlier one; give its file.

        Raises:
            OutputError: It cannot be written.
        """
        path = self.path(calibration.circumstances)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".") as folder:
                whole = Path(folder, path.name)
                whole.write_text(calibration.to_json(), encoding="utf-8")
                return whole.replace(path)
        except OSError as error:
            raise self._unwritable(error) from error

    def forget(self, model: str) -> tuple[Path, ...]:
        """Remove every calibration of *model* on this machine, those for other versions too; give their files.

        Raises:
            OutputError: One cannot be removed.
        """
        told = ((path, found.circumstances) for path, found in self.all())
        paths = tuple(path for path, circumstances in told if circumstances.model == model and circumstances.here)
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return paths

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.glob("*.json") if not path.name.startswith("."))
        except OSError as error:
            log.warning("cannot look for calibrations in %s: %s; see: asrlab doctor", self.root, error.strerror)
            return []

    def _read(self, path: Path) -> Calibration | None:
        try:
            return Calibration.from_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, DatasetError) as error:
            log.warning("%s is not used as a calibration: %s; remove it, or run: asrlab tune MODEL", path, error)
            return None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"the calibrations in {self.root} cannot be written ({error.strerror}); set ASRLAB_CACHE to another folder",
            path=self.root,
            reason=error.strerror or str(error),
        )


def find_calibration(circumstances: Circumstances, *, root: Path | None = None) -> Calibration | None:
    """The stored calibration for exactly these *circumstances*; None if there is none. Never raises for the file."""
    return CalibrationStore(root).find(circumstances)


def _default_root() -> Path:
    chosen = os.environ.get("ASRLAB_CACHE")
    if chosen:
        return Path(chosen) / "tuning"
    from platformdirs import user_cache_path

    return user_cache_path("asrlab") / "tuning"


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-.")[-60:]
