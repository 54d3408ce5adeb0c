"""The records that back documents: exported runs, records of the matrix, and other benchmarks' JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.matrix.records import MatrixRecord
from asrlab.evaluation.runs.load import load_run
from asrlab.evaluation.runs.result import BenchResult
from asrlab.transcript import PackageVersion

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@attrs.frozen(kw_only=True)
class RunFile:
    """An exported run.

    Attributes:
        name: The file's, below the folder of evidence.
        result: What its records say.
    """

    name: str
    result: BenchResult


@attrs.frozen(kw_only=True)
class MatrixFile:
    """A record of the matrix.

    Attributes:
        name: The file's, below the folder of evidence.
        record: What it says.
    """

    name: str
    record: MatrixRecord


@attrs.frozen(kw_only=True)
class Evidence:
    """All records in a folder.

    Attributes:
        folder: Where they are.
        runs: The exported runs, by name.
        matrices: The records of the matrix, by name.
        lock: The version that the lock beside the folder (``locks/all.txt``) pins, by distribution; None where there
            is no lock.
    """

    folder: Path
    runs: tuple[RunFile, ...] = ()
    matrices: tuple[MatrixFile, ...] = ()
    lock: dict[str, str] | None = None

    def run(self, name: str) -> BenchResult:
        """The run in the file *name*.

        Raises:
            DatasetError: There is none.
        """
        for run in self.runs:
            if run.name == name:
                return run.result
        known = ", ".join(run.name for run in self.runs) or "none"
        raise DatasetError(f"there is no exported run {name!r} in {self.folder} (there: {known})")

    def plain(self, name: str) -> Any:
        """The JSON in the file *name*.

        Raises:
            DatasetError: There is none, or it cannot be read.
        """
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DatasetError(f"{name!r} lies outside of {self.folder}; keep what documents quote in there")
        return _json(path)

    def stale(self, packages: Iterable[PackageVersion]) -> tuple[str, ...]:
        """What of *packages* the lock pins in another version, in words."""
        pinned = self.lock or {}
        return tuple(
            f"{package.name} {package.version}, lock {locked}"
            for package in packages
            if (locked := pinned.get(_canonical(package.name))) and _public(locked) != _public(package.version)
        )


def read_evidence(folder: Path) -> Evidence:
    """Every record in *folder* and below: ``.jsonl`` are runs, ``.json`` with cells are records of the matrix.

    Raises:
        DatasetError: One cannot be read; it names the file, and the line where one is at fault.
    """
    if not folder.is_dir():
        return Evidence(folder=folder, lock=_lock(folder))
    runs = tuple(
        RunFile(name=path.relative_to(folder).as_posix(), result=load_run(path))
        for path in sorted(folder.rglob("*.jsonl"))
    )
    matrices = tuple(
        MatrixFile(name=path.relative_to(folder).as_posix(), record=MatrixRecord.read(path))
        for path in sorted(folder.rglob("*.json"))
        if _is_matrix(_json(path))
    )
    return Evidence(folder=folder, runs=runs, matrices=matrices, lock=_lock(folder))


def _is_matrix(plain: Any) -> bool:
    return isinstance(plain, dict) and "cells" in plain


def _json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}: damaged, not JSON ({error.msg}); take it from where it was made again",
            path=path,
            line=error.lineno,
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read the record {path}: {error}", path=path) from error


def _lock(folder: Path) -> dict[str, str] | None:
    path = folder.resolve().parent / "locks" / "all.txt"
    if not path.is_file():
        return None
    return {_canonical(name): version for name, version in _PINNED.findall(path.read_text(encoding="utf-8"))}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _public(version: str) -> str:
    """Without the build, such as ``+cpu``."""
    return version.partition("+")[0]
