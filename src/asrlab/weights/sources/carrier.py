"""Installed packages that carry weights as plain data files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.sources.base import Fetched, Meter, Progress, read_blocks, write_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

    from asrlab.weights.catalogue import CarrierPart, WeightsEntry


@attrs.frozen(kw_only=True)
class CarrierSource:
    """Joins the data files of carrier packages.

    The packages are by strangers: their exact version is asked for, their data files are found through their metadata,
    and they are never imported.

    Attributes:
        search_path: The folders that packages are looked for in; None is ``sys.path``.
    """

    search_path: tuple[str, ...] | None = None

    @property
    def online(self) -> bool:
        """False: the packages are installed."""
        return False

    @property
    def resumes(self) -> bool:
        """False: nothing is lost that is not on this disk."""
        return False

    def describe(self, entry: WeightsEntry) -> str:
        """Name the packages with their versions."""
        names = dict.fromkeys(f"{part.distribution} {part.version}" for part in _parts(entry))
        return f"carrier {' + '.join(names)}" if names else "carrier packages"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Name the packages that are missing, or of another version, or incomplete."""
        carried = {file.name for file in entry.carriers}
        if not all(file.optional or file.name in carried for file in entry.files):
            return "no package is known to carry these weights"
        problems = dict.fromkeys(filter(None, map(self._problem, _parts(entry))))
        return "; ".join(problems) or None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Join the parts of each file."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        carried = {file.name: file for file in entry.carriers}
        files = tuple(
            write_blocks(self._join(carried[file.name].parts), into, name=file.name, meter=meter)
            for file in entry.files
            if file.name in carried
        )
        return Fetched(files=files, source=self.describe(entry), revision=entry.revision)

    def _join(self, parts: tuple[CarrierPart, ...]) -> Iterator[bytes]:
        for part in parts:
            path = self._locate(part)
            if path is None:
                raise WeightsError(f"{part.distribution} no longer holds {part.path}; install it again")
            yield from read_blocks(path)

    def _distribution(self, part: CarrierPart) -> Distribution | None:
        from importlib import metadata

        where = sys.path if self.search_path is None else list(self.search_path)
        return next(iter(metadata.distributions(name=part.distribution, path=where)), None)

    def _locate(self, part: CarrierPart) -> Path | None:
        found = self._distribution(part)
        path = None if found is None else Path(str(found.locate_file(part.path)))
        return path if path is not None and path.is_file() else None

    def _problem(self, part: CarrierPart) -> str | None:
        found = self._distribution(part)
        if found is None:
            return f"{part.distribution} is not installed"
        if found.version != part.version:
            return f"{part.distribution} is installed in version {found.version}, not {part.version}"
        if self._locate(part) is None:
            return f"{part.distribution} is installed without its file {part.path}"
        return None


def _parts(entry: WeightsEntry) -> Iterator[CarrierPart]:
    for file in entry.carriers:
        yield from file.parts
