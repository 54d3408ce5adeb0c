"""Resolve the file paths of a data set, and derive missing utterance ids."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import attrs

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import ExternalAudioPolicy, ReadOptions

AUDIO_SUFFIXES = (
    ".3gp", ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3",
    ".mp4", ".oga", ".ogg", ".opus", ".sph", ".w64", ".wav", ".webm", ".wma",
)  # fmt: skip
"""File name suffixes of audio in a folder, compared without case."""


@attrs.frozen(kw_only=True)
class AudioRoot:
    """A folder that the files of an untrusted data set must not lead out of, whether named or implied.

    The folder itself may be a link, and so may files whose targets are in the folder.
    """

    folder: Path  # absolute; relative paths begin in it
    top: Path  # with links resolved; all files must be in it
    allow_external_audio: ExternalAudioPolicy  # for files outside the top
    # The last folder and whether it is below the top. Neighbours in a manifest are mostly neighbours on the disk, and
    # resolving every part of every path takes longer than reading the manifest.
    _last: dict[str, bool] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    @classmethod
    def at(cls, folder: Path, options: ReadOptions, *, top: Path | None = None) -> Self:
        """Return the root for paths relative to *folder* that stay in *top*, by default *folder*."""
        return cls(folder=folder, top=(top or folder).resolve(), allow_external_audio=options.allow_external_audio)

    def audio(self, named: str, *, field: str, error: Callable[[str], DatasetError]) -> Path:
        """Resolve the path of an audio file as written in *field*; *error* makes the error, with its position."""
        path = os.path.join(self.folder, named)  # noqa: PTH118 - for a long manifest Path takes twice the time
        try:
            is_allowed = self._is_inside(path) or bool(self.allow_external_audio)
        except (OSError, ValueError, RuntimeError) as problem:  # a null byte, links in a circle
            raise error(f"'{field}' {named!r} is not a valid path ({problem})") from problem
        if not is_allowed:
            raise error(
                f"'{field}' {named!r} leads out of the manifest's folder, to {_resolved(path)}; if you trust the "
                "manifest, allow it with allow_external_audio=True (--allow-external-audio)"
            )
        return Path(path)

    def check(self, path: Path, *, is_audio: bool = False) -> Path:
        """Return *path*, a file or folder that belongs to the data set by its name and folder."""
        try:
            is_inside = self._is_inside(os.fspath(path))
        except (OSError, RuntimeError) as problem:
            raise DatasetError(f"{path} cannot be read ({problem})", path=path) from problem
        allowed = self.allow_external_audio
        if not (is_inside or allowed is True or (allowed and is_audio)):
            raise DatasetError(
                f"{path} leads out of the data set's folder, to {_resolved(os.fspath(path))}; replace it with a copy, "
                "or, if you trust the data set, allow it with allow_external_audio=True (--allow-external-audio)",
                path=path,
            )
        return path

    def check_all(self, paths: Iterable[Path]) -> list[Path]:
        """Return *paths* after a `check` of each."""
        return [self.check(path) for path in paths]

    def walk(self, *, is_hidden: Callable[[str], bool] = lambda _: False) -> Iterator[tuple[Path, list[str]]]:
        """Yield the folder and all folders below in the order of their names, each with the sorted names of its files.

        A link to a folder within the root is skipped, since that folder is visited itself. A link out of the root is
        followed if external files are allowed.
        """
        visited: set[str] = set()
        for folder, folders, names in os.walk(self.folder, onerror=_raise_unreadable, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            shown = sorted(name for name in folders if not is_hidden(name))
            folders.clear()
            for child in (Path(folder, name) for name in shown):
                if not child.is_symlink() or not _resolved(os.fspath(self.check(child))).is_relative_to(self.top):
                    folders.append(child.name)
            yield Path(folder), sorted(name for name in names if not is_hidden(name))

    def _is_inside(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if "\0" in path:  # islink does not notice it
            raise ValueError("embedded null byte")
        if name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114 - as above
            return _resolved(path).is_relative_to(self.top)
        if folder not in self._last:
            is_inside = _resolved(folder).is_relative_to(self.top)
            self._last.clear()
            self._last[folder] = is_inside
        return self._last[folder]


def _resolved(path: str) -> Path:
    resolved = Path(path).resolve()
    if resolved.is_symlink():  # Python 3.13 leaves links in a circle as they are, where 3.12 raises
        raise OSError("links in a circle")
    return resolved


def _raise_unreadable(error: OSError) -> None:
    # os.walk skips what it cannot list, and a score over the rest would look like a score over all
    raise DatasetError(
        f"folder {error.filename} cannot be read ({error.strerror}); check its permissions", path=error.filename
    ) from error


def audio_slice(
    path: Path, *, offset: float | None, duration: float | None, error: Callable[[str], DatasetError]
) -> Path | AudioFile:
    """Return *duration* seconds of a file from *offset* on; the path itself if that is the whole file."""
    if duration is not None and duration <= 0:
        raise error(f"the part of {path.name} would last {duration:g} s; it must end after it starts")
    is_whole = not offset and duration is None
    return path if is_whole else AudioFile(path=path, offset=offset or 0.0, duration=duration)


def default_id(named: str, offset: float | None) -> str:
    """Return an id made of the audio's path without suffix, and ``@OFFSET`` unless the offset is 0."""
    stem = Path(named).with_suffix("").as_posix() if Path(named).name else named
    return f"{stem}@{offset}" if offset else stem


def audio_by_stem(folder: Path) -> dict[str, Path]:
    """Return the audio files of *folder*, without subfolders, by their names without suffix in Unicode's form NFC."""
    files: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read ({error.strerror})", path=folder) from error
    for path in paths:
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
            first = files.setdefault(unicodedata.normalize("NFC", path.stem), path)
            if first != path:
                raise DatasetError(
                    f"{first} and {path} could both be the audio of {path.stem!r}; remove one of them", path=path
                )
    return files
