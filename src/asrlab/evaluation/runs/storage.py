"""Where runs are kept, what lies in a run's folder, and that one process at a time writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError, OutputError
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.manifest import BenchRequest, RunManifest, bench_command
from asrlab.evaluation.runs.records import Record, SessionStart, UtteranceOutcome, parse_record, to_line
from asrlab.output_files import is_part, sync_file, sync_folder, write_all, write_file

RUNS = "ASRLAB_RUNS"
"""The variable that names another folder for runs."""
_BEFORE_MANIFEST = {"lock"} | {
    name + suffix for name in ("request.json", "utterances.jsonl", "manifest.json") for suffix in ("", ".partial")
}
"""The names that a run which was killed before it had a manifest can have left in its folder."""


@attrs.frozen
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def manifest(self) -> Path:
        """What the run is of; it is written last when a run begins, so that where it is, a run is."""
        return self.path / "manifest.json"

    @property
    def request(self) -> Path:
        """What was asked for; only until the manifest is written."""
        return self.path / "request.json"

    @property
    def utterances(self) -> Path:
        """The data set's facts, a line an utterance."""
        return self.path / "utterances.jsonl"

    @property
    def ledger(self) -> Path:
        """The records: what is true of the run."""
        return self.path / LEDGER

    @property
    def summary(self) -> Path:
        """What follows from the records; may be deleted."""
        return self.path / "summary.json"

    @property
    def begun(self) -> bool:
        """Whether there is a run."""
        return self.manifest.exists()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes here; the folder is made if it is not there.

        Raises:
            DatasetError: Another process writes the run.
            OutputError: The folder cannot be made.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)  # each time: the process that made it may have been killed before it could
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                f"the run {self.path} is being written by another process; wait for its end, or stop it", path=self.path
            ) from error
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be a run's folder ({error.strerror}); give --run another",
                path=self.path,
                reason=error.strerror or str(error),
            ) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, manifest: RunManifest, utterances: Iterable[UtteranceFacts]) -> None:
        """Write the facts of a run that is about to start.

        Raises:
            DatasetError: The folder holds something else.
            OutputError: They cannot be written.
        """
        there = {entry.name for entry in self.path.iterdir() if not is_part(entry.name)}
        if others := sorted(there - _BEFORE_MANIFEST):
            raise DatasetError(
                f"{self.path} is no run and not empty (it holds {others[0]}); give --run another folder", path=self.path
            )
        write_file(self.request, manifest.request.to_json().encode())
        write_file(self.utterances, b"".join(facts.to_line() for facts in utterances))
        write_file(self.manifest, manifest.to_json().encode())
        self.request.unlink()

    def check_begun(self) -> None:
        """Check that a run has begun here.

        Raises:
            DatasetError: The folder holds what is left of a run that was killed before its manifest was written; the
                message has the command that starts the run again.
        """
        if self.begun or not self.path.is_dir():
            return
        if {entry.name for entry in self.path.iterdir() if not is_part(entry.name)} <= _BEFORE_MANIFEST:
            again = bench_command(self._read_request(), self.path)
            message = f"the run {self.path} never began: it was ended before its manifest was written. Start it again"
            raise DatasetError(f"{message} with: {again}", path=self.path)

    def _read_request(self) -> BenchRequest:
        """Return what was asked for, with placeholders where the file is missing."""
        try:
            return BenchRequest.from_plain(parse_json(self.request.read_bytes()))
        except (OSError, ValueError):
            return BenchRequest(dataset=None, models=("MODEL",))


def runs_root() -> Path:
    """The folder that ``ASRLAB_RUNS`` names, or else ``runs`` in the user's data folder."""
    chosen = os.environ.get(RUNS)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("asrlab") / "runs"


def new_run_path(dataset: str) -> Path:
    """A folder for a run that is not there yet, named by the date and the data set, which it makes.

    Raises:
        OutputError: It cannot be made.
    """
    root = runs_root()
    told = re.sub(r"[^A-Za-z0-9.-]+", "-", dataset).strip("-.") or "run"
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{told[:60]}"
    try:
        for number in range(1, 1000):
            path = root / (name if number == 1 else f"{name}-{number}")
            if not path.exists():
                path.mkdir(parents=True)
                return path
    except FileExistsError:  # another process took it between the two lines
        return new_run_path(dataset)
    except OSError as error:
        raise OutputError(
            f"no folder for the run can be made in {root} ({error.strerror}); give --run DIR, or set {RUNS}",
            path=root,
            reason=error.strerror or str(error),
        ) from error
    raise DatasetError(f"{root} has a thousand runs of {name}; give --run DIR", path=root)


def find_run(name: str | os.PathLike[str]) -> Path:
    """The folder or exported file of a run, by its path or its name under `runs_root`.

    Raises:
        DatasetError: There is none, or it was ended before it began.
    """
    root = runs_root()
    for path in (Path(name).expanduser(), root / name):
        if path.is_file() or RunFolder(path).begun:
            return path
    for path in (Path(name).expanduser(), root / name):
        RunFolder(path).check_begun()
    known = sorted(path.parent.name for path in root.glob("*/manifest.json"))
    near = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DatasetError(f"there is no run {str(name)!r}, neither here nor in {root}; {hint}see: asrlab runs")


LEDGER = "ledger.jsonl"
"""The name of the file in a run's folder."""
# What has to be on the disk before the run goes on; a start that is lost with the power costs nothing.
_DURABLE = (UtteranceOutcome, SessionStart)
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
    for number, plain in read_json_lines(path):
        with at_location(path, number):
            yield parse_record(plain)


@contextmanager
def at_location(path: Path, line: int | None = None) -> Iterator[None]:
    """Add *path*, and the *line* if it is known, to a `DatasetError` that is raised inside."""
    try:
        yield
    except DatasetError as error:
        where = f"{path}, line {line}" if line else str(path)
        raise DatasetError(f"{where}: {error.message}", path=path, line=line) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
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
