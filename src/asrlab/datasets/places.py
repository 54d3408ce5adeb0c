"""Where the audio that a data set names may lie, and how utterances are called that have no name."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from asrlab.audio import AudioFile
from asrlab.datasets.folder import AUDIO_SUFFIXES
from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Root", "audio_beside", "default_id", "part_of"]


@attrs.frozen(kw_only=True)
class Root:
    """A folder that named audio must not lead out of: what names it may come from a stranger.

    Attributes:
        folder: Where relative paths begin, absolute.
        top: The folder to stay in, with links resolved.
        allow_outside: Accept audio elsewhere, too.
    """

    folder: Path
    top: Path
    allow_outside: bool
    # The folder that was looked at last, and whether it is below the top: neighbours in a manifest are neighbours on
    # the disk, and to look at every part of every path would take longer than to read the manifest.
    _last: dict[str, bool] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    @classmethod
    def of(cls, folder: Path, *, allow_outside: bool, top: Path | None = None) -> Self:
        """The root for paths relative to *folder* that stay in *top*, which is *folder* itself where none is given."""
        return cls(folder=folder, top=(top or folder).resolve(), allow_outside=allow_outside)

    def audio(self, named: str, *, field: str, error: Callable[[str], DatasetError]) -> Path:
        """The path that *named* stands for.

        Args:
            named: As it stands in the file; a relative path begins in `folder`.
            field: What the file calls it.
            error: Makes the error, with its place.

        Raises:
            DatasetError: It is no path, or leads out of the folder.
        """
        path = os.path.join(self.folder, named)  # noqa: PTH118 - for a long manifest Path takes twice the time
        try:
            inside = self._is_inside(path) or self.allow_outside
        except (OSError, ValueError, RuntimeError) as problem:  # a null byte, links in a circle
            raise error(f"'{field}' {named!r} is no path ({problem})") from problem
        if not inside:
            raise error(
                f"'{field}' {named!r} leads out of the manifest's folder, to {_resolved(path)}; if you trust the "
                "manifest, allow it with allow_outside=True (--allow-outside)"
            )
        return Path(path)

    def _is_inside(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if "\0" in path:  # which islink would pass over
            raise ValueError("embedded null byte")
        if name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114 - as above
            return _resolved(path).is_relative_to(self.top)
        if folder not in self._last:
            inside = _resolved(folder).is_relative_to(self.top)
            self._last.clear()
            self._last[folder] = inside
        return self._last[folder]


def _resolved(path: str) -> Path:
    resolved = Path(path).resolve()
    if resolved.is_symlink():  # Python 3.13 leaves links in a circle as they are, where 3.12 raises
        raise OSError("links in a circle")
    return resolved


def part_of(
    path: Path, *, offset: float | None, duration: float | None, error: Callable[[str], DatasetError]
) -> Path | AudioFile:
    """The audio from *offset* on, for *duration*, both in seconds; the path itself where that is all of it.

    Raises:
        DatasetError: *duration* is not more than 0.
    """
    if duration is not None and duration <= 0:
        raise error(f"the part of {path.name} would last {duration:g} s; it must end after it starts")
    if not offset and duration is None:
        return path
    return AudioFile(path=path, offset=offset or 0.0, duration=duration)


def default_id(named: str, offset: float | None) -> str:
    """The id of an utterance without one: its audio without the ending, and where in it it begins, unless at 0."""
    path = Path(named)
    stem = path.with_suffix("").as_posix() if path.name else named
    return f"{stem}@{offset}" if offset else stem


def audio_beside(folder: Path) -> dict[str, Path]:
    """The audio files of *folder* itself, by their names without the ending, in Unicode's composed form.

    Raises:
        DatasetError: The folder cannot be listed, or two files differ in their endings only.
    """
    found: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read ({error.strerror})", path=folder) from error
    for path in paths:
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
            first = found.setdefault(unicodedata.normalize("NFC", path.stem), path)
            if first != path:
                raise DatasetError(
                    f"{first} and {path} could both be the audio of {path.stem!r}; remove one of them", path=path
                )
    return found
