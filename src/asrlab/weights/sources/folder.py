"""A folder that the user names, copied into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.weights.sources.base import Fetched, Meter, Progress, read_blocks, write_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry

__all__ = ["FolderSource"]


@attrs.frozen
class FolderSource:
    """Copies weights from a folder.

    Attributes:
        path: The folder that holds the files by their names in the catalogue.
    """

    path: Path

    @property
    def online(self) -> bool:
        """False: a folder is here."""
        return False

    @property
    def resumes(self) -> bool:
        """False: nothing is lost that is not on this disk."""
        return False

    def describe(self, entry: WeightsEntry) -> str:  # noqa: ARG002  # the same for every entry
        """Name the folder."""
        return f"folder {self.path}"

    def why_not(self, entry: WeightsEntry) -> str | None:
        """Name the files that the folder lacks."""
        missing = [file.name for file in entry.files if not (file.optional or (self.path / file.name).is_file())]
        return f"does not hold {', '.join(missing)}" if missing else None

    def fetch(self, entry: WeightsEntry, into: Path, progress: Progress | None) -> Fetched:
        """Copy the files."""
        meter = Meter(progress, total_bytes=entry.total_bytes)
        names = [file.name for file in entry.files if not file.optional or (self.path / file.name).is_file()]
        files = tuple(write_blocks(read_blocks(self.path / name), into, name=name, meter=meter) for name in names)
        return Fetched(files=files, source=self.describe(entry), revision=entry.revision)
