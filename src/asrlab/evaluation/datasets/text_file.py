"""A text file, perhaps gzipped, line by line with numbers."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import IO, TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_BLANK = re.compile(rb"[ \t\r\n]*\n")
_LONGEST_BYTES = 64 * 2**20
_HEAD_BYTES = 2**20
_BLOCK_BYTES = 2**16
# Text of manifests is packed to a twentieth, rarely to a hundredth; zeros and newlines to a thousandth.
_LARGEST_RATIO = 200
_ALWAYS_BYTES = 8 * 2**20


@attrs.frozen(kw_only=True)
class TextFile:
    """The lines of a file in UTF-8, with or without a byte order mark, gzipped or not.

    A file may come from a stranger, so a line is held only up to 64 MiB, and a gzipped file is unpacked only to 8 MiB
    and 200 times its size: a small one can hold gigabytes.

    Attributes:
        path: The file.

    Raises:
        DatasetError: By every method that reads: the file cannot be read, with the line where there is one.
    """

    path: Path

    def raw(self) -> Iterator[tuple[int, bytes]]:
        """All lines with their ends, and their numbers from 1.

        Blank lines behind each other may come as one, with all their ends and the number of the first: there can be
        millions of them in a small gzipped file.
        """
        return self._read(None)

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
        lines = (raw.strip() for _, raw in self._read(_HEAD_BYTES))
        return next(filter(None, lines), b"")

    def error(self, number: int, problem: str) -> DatasetError:
        """The error for a line, with its place."""
        return DatasetError(f"{self.path}, line {number}: {problem}", path=self.path, line=number)

    def _read(self, most: int | None) -> Iterator[tuple[int, bytes]]:
        """The lines of the first *most* bytes, or of all."""
        number, parts, size = 1, list[bytes](), 0
        try:
            for block in self._blocks(most):
                start = 0
                while start < len(block):
                    blank = None if parts else _BLANK.match(block, start)
                    end = blank.end() if blank else block.find(b"\n", start) + 1
                    parts.append(block[start : end or None])
                    start += len(parts[-1])
                    size += len(parts[-1])
                    if size > _LONGEST_BYTES:
                        raise self.error(number, f"is longer than {_LONGEST_BYTES >> 20} MiB; is this a text file?")
                    if end:
                        yield number, b"".join(parts)
                        number += parts[-1].count(b"\n")
                        parts, size = [], 0
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.error(number, f"the gzipped file is damaged here ({error}); copy it again") from error
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror})", path=self.path) from error
        if parts:
            yield number, b"".join(parts)

    def _blocks(self, most: int | None) -> Iterator[bytes]:
        """The first *most* bytes, or all, unpacked and without a byte order mark, in blocks."""
        done = 0
        with self._open() as file:
            limit = self._most_unpacked() if isinstance(file, gzip.GzipFile) else None
            while block := file.read(_BLOCK_BYTES if most is None else min(_BLOCK_BYTES, most - done)):
                yield block if done else block.removeprefix(_BOM)
                done += len(block)
                if limit is not None and done > limit:
                    raise DatasetError(
                        f"{self.path} unpacks to more than {_LARGEST_RATIO} times its size ({done >> 20} MiB so far); "
                        "if you trust it, unpack it with gunzip and give the unpacked file",
                        path=self.path,
                    )

    def _most_unpacked(self) -> int:
        """How many bytes a gzipped file may have when it is unpacked."""
        return _ALWAYS_BYTES + _LARGEST_RATIO * self.path.stat().st_size

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
class UniqueIds:
    """The ids that a file has had so far, with their lines.

    Attributes:
        lines: The file.
        hint: What to do about two that are equal.
    """

    lines: TextFile
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
        head = TextFile(path=path).head()
    except (DatasetError, ValueError):  # ValueError: a null byte in the name
        return ""
    return head.decode(errors="replace")
