"""Files of a run: its folder, the lock that admits one writing process, and the append-only ledger of records.

A record counts once its whole line is in the ledger; an outcome counts once it is on the disk. An incomplete line that
a killed process left at the end never counted, and is cut off before the next record is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError, OutputError
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.manifest import BenchRequest, RunManifest, bench_command
from asrlab.evaluation.runs.records import (
    RUN_RECORDS,
    RecordKinds,
    SessionStart,
    UtteranceOutcome,
    json_document,
    parse_record,
    structure,
    to_line,
)
from asrlab.output_files import is_temporary, sync_file, sync_folder, write_all, write_file

RUNS = "ASRLAB_RUNS"
"""The environment variable that names the folder for runs."""
LEDGER = "ledger.jsonl"
"""Name of the ledger in a run's folder."""
_BEFORE_MANIFEST = {"lock"} | {
    name + suffix for name in ("request.json", "utterances.jsonl", "manifest.json") for suffix in ("", ".partial")
}
"""Names that a run may leave in its folder if it was killed before its manifest was written."""
# Records that must be on the disk before the run continues. A `UnitStarted` that is lost with the power costs nothing.
_DURABLE = (UtteranceOutcome, SessionStart)
_BLOCK_BYTES = 1 << 16


def _output_error(message: str, path: Path, error: OSError) -> OutputError:
    return OutputError(message, path=path, reason=error.strerror or str(error))


class RunFolder:
    """The folder of one run.

    Attributes:
        path: Path of the folder.
        manifest: Path of the manifest, the last file written when a run begins, so that it marks a run.
        request: Path of the request, which exists only until the manifest is written.
        utterances: Path of the data set's facts, one line per utterance.
        ledger: Path of the ledger, the source of every result.
        summary: Path of the summary, which is derived from the records and may be deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.json"
        self.request = path / "request.json"
        self.utterances = path / "utterances.jsonl"
        self.ledger = path / LEDGER
        self.summary = path / "summary.json"

    @property
    def has_begun(self) -> bool:
        """True if the folder holds a run."""
        return self.manifest.exists()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that admits one writing process; create the folder if it does not exist.

        Raises:
            DatasetError: If another process writes the run.
            OutputError: If the folder cannot be created.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)  # every time: the process that created the folder may have been killed
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                f"another process is writing the run {self.path}; wait until it ends, or stop it", path=self.path
            ) from error
        except OSError as error:
            message = f"cannot use {self.path} as the folder of a run ({error.strerror}); choose another one with --run"
            raise _output_error(message, self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, manifest: RunManifest, utterances: Iterable[UtteranceFacts]) -> None:
        """Write the facts of a run that is about to start.

        Raises:
            DatasetError: If the folder holds other files.
            OutputError: If the facts cannot be written.
        """
        if others := sorted(self.names() - _BEFORE_MANIFEST):
            raise DatasetError(
                f"{self.path} is not empty and not a run (it holds {others[0]}); choose another folder with --run",
                path=self.path,
            )
        write_file(self.request, json_document(manifest.request))
        write_file(self.utterances, b"".join(facts.to_line() for facts in utterances))
        write_file(self.manifest, json_document(manifest.to_plain()))
        self.request.unlink()

    def names(self) -> set[str]:
        """Return the names in the folder, but for temporary files."""
        return {entry.name for entry in self.path.iterdir() if not is_temporary(entry.name)}


def runs_root() -> Path:
    """Return the folder that ``ASRLAB_RUNS`` names, or else ``runs`` in the user's data folder."""
    if chosen := os.environ.get(RUNS):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("asrlab") / "runs"


def new_run_path(dataset: str) -> Path:
    """Create a folder for a new run, named by the date and the data set, and return its path.

    Raises:
        OutputError: If the folder cannot be created.
    """
    root = runs_root()
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", dataset).strip("-.") or "run"
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{slug[:60]}"
    try:
        for number in range(1, 1000):
            path = root / (name if number == 1 else f"{name}-{number}")
            if not path.exists():
                path.mkdir(parents=True)
                return path
    except FileExistsError:  # another process created the folder between the two lines
        return new_run_path(dataset)
    except OSError as error:
        message = f"cannot create a folder for the run in {root} ({error.strerror}); give --run DIR, or set {RUNS}"
        raise _output_error(message, root, error) from error
    raise DatasetError(f"{root} already has a thousand runs named {name}; give --run DIR", path=root)


def find_run(name: str | os.PathLike[str]) -> Path:
    """Return the folder or exported file of a run, by its path or its name under `runs_root`.

    Raises:
        DatasetError: If there is no such run, or if it was killed before it began.
    """
    root = runs_root()
    candidates = (Path(name).expanduser(), root / name)
    for path in candidates:
        if path.is_file() or RunFolder(path).has_begun:
            return path
    for path in candidates:
        if path.is_dir() and RunFolder(path).names() <= _BEFORE_MANIFEST:
            try:
                request = structure(parse_json(RunFolder(path).request.read_bytes()), BenchRequest, "damaged")
            except (OSError, ValueError):
                request = BenchRequest(models=("MODEL",))  # a placeholder, as for the data set
            message = f"the run {path} never began, because it was killed before its manifest was written"
            raise DatasetError(f"{message}; start it again with: {bench_command(request, path)}", path=path)
    known = sorted(path.parent.name for path in root.glob("*/manifest.json"))
    close = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise DatasetError(f"there is no run {str(name)!r}, neither here nor in {root}; {hint}list runs with: asrlab runs")


class Ledger:
    """A ledger open for writing by one process; a context manager.

    Args:
        path: Path of the file, which is created if it does not exist.
        kinds: Classes of its records.

    Raises:
        OutputError: If the file cannot be written.
    """

    def __init__(self, path: Path, kinds: RecordKinds = RUN_RECORDS) -> None:
        self.path = path
        self._kinds = kinds
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._size = _end_of_last_line(self._file)
            os.ftruncate(self._file, self._size)
            sync_folder(path.parent)  # syncing a file need not sync its name, nor names from a killed process
        except OSError as error:
            raise self._error(error) from error

    def append(self, record: object) -> None:
        """Write *record*; it counts once this method returns.

        Raises:
            OutputError: If it cannot be written, as on a full disk. The ledger is then as it was before.
        """
        line = to_line(record, self._kinds)
        try:
            write_all(self._file, line)
            if isinstance(record, _DURABLE):
                sync_file(self._file)
                self._check_path()
        except OSError as error:
            with suppress(OSError):  # the next reader cuts off an incomplete line if this does not succeed
                os.ftruncate(self._file, self._size)
            raise self._error(error) from error
        self._size += len(line)

    def _check_path(self) -> None:
        """Check that the run's folder was not deleted, moved or replaced, so that the records would be lost."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - compared with fstat
        except FileNotFoundError:
            status = None
        if status is None or not os.path.samestat(status, os.fstat(self._file)):
            raise DatasetError(
                f"{self.path} was deleted, moved or replaced while the run was writing it; move the folder back and"
                f" continue with: asrlab resume {self.path.parent}, or start a new run",
                path=self.path,
            )

    def _error(self, error: OSError) -> OutputError:
        cure = f"Free disk space or correct the permissions, then continue with: asrlab resume {self.path.parent}"
        message = f"cannot write {self.path} ({error.strerror}); the earlier records are complete. {cure}"
        return _output_error(message, self.path, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _end_of_last_line(file: int) -> int:
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def read_records(path: Path, kinds: RecordKinds = RUN_RECORDS) -> Iterator[Any]:
    """Yield the records of a ledger in order, without an incomplete line at the end.

    Raises:
        DatasetError: If the file cannot be read or a line is damaged; the message names the line.
    """
    for number, plain in read_json_lines(path):
        with at_location(path, number):
            yield parse_record(plain, kinds)


@contextmanager
def at_location(path: Path, line: int | None = None) -> Iterator[None]:
    """Add *path*, and *line* if given, to a `DatasetError` that is raised inside."""
    try:
        yield
    except DatasetError as error:
        where = f"{path}, line {line}" if line else str(path)
        raise DatasetError(f"{where}: {error.message}", path=path, line=line) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the complete lines of a file of JSON lines as JSON values, with line numbers from 1.

    Raises:
        DatasetError: If the file cannot be read or a line is not JSON.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield number, parse_json(line)
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror})", path=path) from error
    except ValueError as error:
        cure = "restore the file, or start a new run"
        if path.name == LEDGER:
            cure = "delete the line; asrlab resume then repeats what it recorded"
        message = f"damaged JSON ({error}); {cure}"
        raise DatasetError(f"{path}, line {number}: {message}", path=path, line=number) from error
