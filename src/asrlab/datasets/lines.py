"""A text file, perhaps gzipped, line by line with numbers."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Lines", "Seen", "first_line"]

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_LONGEST_BYTES = 64 * 2**20
_HEAD_BYTES = 2**20


@attrs.frozen(kw_only=True)
class Lines:
    """The lines of a file in UTF-8, with or without a byte order mark, gzipped or not.

    A file may come from a stranger, so a line is held only up to 64 MiB: a small gzipped file can hold one without end.

    Attributes:
        path: The file.

    Raises:
        DatasetError: By every method that reads: the file cannot be read, with the line where there is one.
    """

    path: Path

    def raw(self) -> Iterator[tuple[int, bytes]]:
        """All lines with their ends, and their numbers from 1."""
        number = 0
        try:
            with self._open() as file:
                while raw := file.readline(_LONGEST_BYTES + 1):
                    number += 1
                    if len(raw) > _LONGEST_BYTES:
                        raise self.error(number, f"is longer than {_LONGEST_BYTES >> 20} MiB; is this a text file?")
                    yield number, raw.removeprefix(_BOM) if number == 1 else raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.error(number + 1, f"the gzipped file is damaged here ({error}); copy it again") from error
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror})", path=self.path) from error

    def text(self) -> Iterator[tuple[int, str]]:
        """The lines that are not blank, without the white space at their ends."""
        for number, raw in self.raw():
            if line := raw.strip(b" \t\r\n"):
                yield number, self.decoded(number, line)

    def decoded(self, number: int, raw: bytes) -> str:
        """A line as text."""
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.error(number, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error

    def head(self) -> bytes:
        """The first line that is not blank, or its first mebibyte; empty where the file, or its first mebibyte, is."""
        left = _HEAD_BYTES
        try:
            with self._open() as file:
                while left > 0 and (raw := file.readline(left)):
                    left -= len(raw)
                    if line := raw.removeprefix(_BOM).strip():
                        return line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DatasetError(
                f"{self.path} is a damaged gzipped file ({error}); copy it again", path=self.path
            ) from error
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror})", path=self.path) from error
        return b""

    def error(self, number: int, problem: str) -> DatasetError:
        """The error for a line, with its place."""
        return DatasetError(f"{self.path}, line {number}: {problem}", path=self.path, line=number)

    def _open(self) -> IO[bytes] | gzip.GzipFile:
        file = self.path.open("rb")
        try:
            zipped = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
        except BaseException:
            file.close()
            raise
        if not zipped:
            return file
        file.close()
        return gzip.open(self.path, "rb")


@attrs.frozen(kw_only=True)
class Seen:
    """The ids that a file has had so far, with their lines.

    Attributes:
        lines: The file.
        hint: What to do about two that are equal.
    """

    lines: Lines
    hint: str
    _numbers: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def check(self, name: str, number: int) -> None:
        """Refuse an id that another line had.

        Raises:
            DatasetError: It names both lines.
        """
        first = self._numbers.setdefault(name, number)
        if first != number:
            raise self.lines.error(number, f"the id {name!r} is that of line {first} already; {self.hint}")


def first_line(path: Path) -> str:
    """The first line that is not blank, or the beginning of a very long one; empty where there is none to be read."""
    try:
        head = Lines(path=path).head()
    except (DatasetError, ValueError):  # ValueError: a null byte in the name
        return ""
    return head.decode(errors="replace")
