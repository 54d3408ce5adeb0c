"""The append-only file of a run's records.

A record counts once its line, end and all, is in the file; an outcome only once the disk has it. What a killed process
leaves of a line at the end never counted, and is cut off before the next one is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError, OutputError
from asrlab.evaluation.runs.records import Outcome, Record, SessionStart, record_from, to_line
from asrlab.output_files import sync_file, sync_folder, write_all, write_file

LEDGER = "ledger.jsonl"
"""The name of the file in a run's folder."""

# What has to be on the disk before the run goes on; a start that is lost with the power costs nothing.
_DURABLE = (Outcome, SessionStart)
_BLOCK = 1 << 16


class Ledger:
    """A ledger that is open for writing, by one process; a context manager.

    Args:
        path: The file; made if it is not there.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._size = _whole_lines(self._file)
            os.ftruncate(self._file, self._size)
            sync_folder(path.parent)  # syncing a file need not sync its name, nor those that a killed process left
        except OSError as error:
            raise self._error(error) from error

    def append(self, record: Record) -> None:
        """Write *record*; once this returns, it counts.

        Raises:
            OutputError: It could not be written, as on a full disk. What was there before is whole, and the record is
                not there at all.
        """
        line = to_line(record)
        try:
            write_all(self._file, line)
            if isinstance(record, _DURABLE):
                sync_file(self._file)
                self._check_in_place()
        except OSError as error:
            self._take_back()
            raise self._error(error) from error
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _check_in_place(self) -> None:
        """Check that the file written is still the one at *path*.

        Raises:
            DatasetError: The run's folder was deleted, moved or replaced, so that nobody would find what is written.
        """
        try:
            there = os.stat(self.path)  # noqa: PTH116 - compared with fstat
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._file)):
            raise DatasetError(
                f"{self.path} was deleted, moved or replaced while the run was writing it; move the folder back and"
                f" continue with: asrlab resume {self.path.parent}, or start a new run",
                path=self.path,
            )

    def _take_back(self) -> None:
        """Cut off what there is of a line that could not be written whole; the next reader would, if this cannot."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            return

    def _error(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path} cannot be written ({error.strerror}); the records before are whole. Make room or mend the "
            "permissions there, then go on with: asrlab resume " + str(self.path.parent),
            path=self.path,
            reason=error.strerror or str(error),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_records(path: Path) -> Iterator[Record]:
    """Return the records of a ledger, in order; an incomplete line at the end is no record.

    Raises:
        DatasetError: The file cannot be read, or a line is damaged; the message names the line.
    """
    for number, plain in read_lines(path):
        with located(path, number):
            yield record_from(plain)


@contextmanager
def located(path: Path, line: int | None = None) -> Iterator[None]:
    """Add *path*, and the *line* if it is known, to a `DatasetError` that is raised inside."""
    try:
        yield
    except DatasetError as error:
        where = f"{path}, line {line}" if line else str(path)
        raise DatasetError(f"{where}: {error.message}", path=path, line=line) from error


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The whole lines of a file of JSON lines with their numbers from 1, read as JSON.

    Raises:
        DatasetError: The file cannot be read, or a line is not JSON.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield number, _parsed(line, path, number)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})", path=path) from error


def _parsed(line: bytes, path: Path, number: int) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        cure = (
            "take the line out, and what it recorded is done again by: asrlab resume"
            if path.name == LEDGER
            else "restore the file, or start a new run"
        )
        message = f"not JSON that a run writes ({error}); {cure}"
        raise DatasetError(f"{path}, line {number}: {message}", path=path, line=number) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write *path* whole or not at all, and onto the disk.

    Raises:
        OutputError: It cannot be written.
    """
    write_file(path, content)


def _whole_lines(file: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - _BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
