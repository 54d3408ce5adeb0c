"""Where the files of a data set may lie, and how utterances are called that have no name."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asrlab.evaluation.datasets.format import ExternalAudioPolicy


AUDIO_SUFFIXES = (
    ".3gp", ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3",
    ".mp4", ".oga", ".ogg", ".opus", ".sph", ".w64", ".wav", ".webm", ".wma",
)  # fmt: skip
"""The endings by which a folder's audio is told from its other files, in any case."""


@attrs.frozen(kw_only=True)
class AudioRoot:
    """A folder that no file of a data set must lead out of, named or implied: it may come from a stranger.

    The folder itself may be a link, and so may files that stay in it.

    Attributes:
        folder: Where relative paths begin, absolute.
        top: The folder to stay in, with links resolved.
        allow_external_audio: Accept files elsewhere, too.
    """

    folder: Path
    top: Path
    allow_external_audio: ExternalAudioPolicy
    # The folder that was looked at last, and whether it is below the top: neighbours in a manifest are neighbours on
    # the disk, and to look at every part of every path would take longer than to read the manifest.
    _last: dict[str, bool] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    @classmethod
    def of(cls, folder: Path, *, allow_external_audio: ExternalAudioPolicy, top: Path | None = None) -> Self:
        """The root for paths relative to *folder* that stay in *top*, which is *folder* itself where none is given."""
        return cls(folder=folder, top=(top or folder).resolve(), allow_external_audio=allow_external_audio)

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
            inside = self._is_inside(path) or bool(self.allow_external_audio)
        except (OSError, ValueError, RuntimeError) as problem:  # a null byte, links in a circle
            raise error(f"'{field}' {named!r} is no path ({problem})") from problem
        if not inside:
            raise error(
                f"'{field}' {named!r} leads out of the manifest's folder, to {_resolved(path)}; if you trust the "
                "manifest, allow it with allow_external_audio=True (--allow-external-audio)"
            )
        return Path(path)

    def check(self, path: Path, *, is_audio: bool = False) -> Path:
        """Return *path*, a file or folder that the data set implies by its name and place.

        Raises:
            DatasetError: It is a link that leads out of the folder, or one in a circle.
        """
        try:
            inside = self._is_inside(os.fspath(path))
        except (OSError, RuntimeError) as problem:
            raise DatasetError(f"{path} cannot be read ({problem})", path=path) from problem
        if not (inside or self.allow_external_audio is True or (self.allow_external_audio and is_audio)):
            raise DatasetError(
                f"{path} leads out of the data set's folder, to {_resolved(os.fspath(path))}; put a copy in its place, "
                "or, if you trust the data set, allow it with allow_external_audio=True (--allow-external-audio)",
                path=path,
            )
        return path

    def check_all(self, paths: Iterable[Path]) -> list[Path]:
        """Return *paths*, see `check`."""
        return [self.check(path) for path in paths]

    def walk(self, *, is_hidden: Callable[[str], bool] = lambda _: False) -> Iterator[tuple[Path, list[str]]]:
        """Yield the folder and those below it, in the order of their names, each with the sorted names of its files.

        A linked folder within the root is met where it really is. One outside of it is followed where that is allowed.

        Raises:
            DatasetError: A folder cannot be listed, or is a link that leads out.
        """
        seen: set[str] = set()
        for folder, folders, names in os.walk(self.folder, onerror=_unreadable, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            shown = sorted(name for name in folders if not is_hidden(name))
            folders[:] = [name for name in shown if self._is_entered(Path(folder, name))]
            yield Path(folder), sorted(name for name in names if not is_hidden(name))

    def _is_entered(self, folder: Path) -> bool:
        return not folder.is_symlink() or not _resolved(os.fspath(self.check(folder))).is_relative_to(self.top)

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


def _unreadable(error: OSError) -> None:
    # os.walk leaves out what it cannot list, and a score over the rest would look like a score over all
    raise DatasetError(
        f"folder {error.filename} cannot be read ({error.strerror}); see to its permissions", path=error.filename
    ) from error


def audio_slice(
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
