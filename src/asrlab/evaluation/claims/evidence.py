"""The records that back documents (exported runs, device matrices, benchmarks' JSON) and the figures in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.matrix.records import MatrixRecord
from asrlab.evaluation.reports.formatting import format_mib, format_percent, format_rtfx, format_seconds
from asrlab.evaluation.runs.load import load_run
from asrlab.evaluation.runs.result import BenchResult, ModelResult
from asrlab.transcript import PackageVersion

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_FORMAT = re.compile(r"([^{}]*)\{(?::([^{}]*))?\}([^{}]*)")
_FIGURE_OPTIONS = ("figure", "format", "json", "model", "path", "record", "scale")


@attrs.frozen(kw_only=True)
class Evidence:
    """All records in a folder.

    Attributes:
        folder: The folder.
        runs: The exported runs by file name, relative to the folder.
        matrices: The records of the device matrix by file name, relative to the folder.
        locked: The version that the lock beside the folder (``locks/all.txt``) pins, by distribution; None without a
            lock.
    """

    folder: Path
    runs: Mapping[str, BenchResult] = attrs.field(factory=dict)
    matrices: Mapping[str, MatrixRecord] = attrs.field(factory=dict)
    locked: Mapping[str, str] | None = None

    def run(self, name: str) -> BenchResult:
        """Return the run in the file *name*.

        Raises:
            DatasetError: If the folder has no such run.
        """
        if name not in self.runs:
            raise DatasetError(
                f"no exported run {name!r} in {self.folder}; it has {', '.join(self.runs) or 'no exported runs'}"
            )
        return self.runs[name]

    def read_json(self, name: str) -> Any:
        """Return the JSON in the file *name*.

        Raises:
            DatasetError: If the file is outside of the folder or cannot be read.
        """
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DatasetError(f"{name!r} lies outside of {self.folder}; move the file there")
        return _read_json(path)

    def stale_packages(self, packages: Iterable[PackageVersion]) -> tuple[str, ...]:
        """Return a text for each of *packages* that the lock pins in another version; local build tags do not count."""
        pinned = self.locked or {}
        return tuple(
            f"{package.name} {package.version}, lock {locked}"
            for package in packages
            if (locked := pinned.get(_canonical_name(package.name)))
            and locked.partition("+")[0] != package.version.partition("+")[0]
        )


def read_evidence(folder: Path) -> Evidence:
    """Read every record in *folder* and its subfolders: ``.jsonl`` are runs, ``.json`` with cells are device matrices.

    Raises:
        DatasetError: If a record cannot be read; the message names the file and, where known, the line.
    """
    if not folder.is_dir():
        return Evidence(folder=folder, locked=_read_lock(folder))
    runs = {path.relative_to(folder).as_posix(): load_run(path) for path in sorted(folder.rglob("*.jsonl"))}
    matrices = {
        path.relative_to(folder).as_posix(): MatrixRecord.read(path)
        for path in sorted(folder.rglob("*.json"))
        if _is_matrix(_read_json(path))
    }
    return Evidence(folder=folder, runs=runs, matrices=matrices, locked=_read_lock(folder))


def _is_matrix(plain: Any) -> bool:
    return isinstance(plain, dict) and "cells" in plain


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}: damaged JSON ({error.msg}); copy the file again or regenerate it",
            path=path,
            line=error.lineno,
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read the record {path}: {error}", path=path) from error


def _read_lock(folder: Path) -> dict[str, str] | None:
    path = folder.resolve().parent / "locks" / "all.txt"
    if not path.is_file():
        return None
    return {_canonical_name(name): version for name, version in _PINNED.findall(path.read_text(encoding="utf-8"))}


def _canonical_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _word_count(model: ModelResult, name: str) -> int | None:
    return getattr(model.score.words, name) if model.score else None


def _format_audio(value: float) -> str:
    return f"{value:.1f} s"


# By name: how a figure is read from a model's result, and how it is formatted.
_MODEL_FIGURES: dict[str, tuple[Callable[[ModelResult], float | None], Callable[[Any], str]]] = {
    "wer": (lambda model: model.score.wer if model.score else None, format_percent),
    "finished_wer": (lambda model: model.finished_score.wer if model.finished_score else None, format_percent),
    "cer": (lambda model: model.score.cer if model.score else None, format_percent),
    "errors": (lambda model: _word_count(model, "errors"), str),
    "words": (lambda model: _word_count(model, "reference_length"), str),
    "rtfx": (lambda model: model.rtfx, format_rtfx),
    "rtfx_lowest": (lambda model: min(model.rtfx_by_repeat, default=None), format_rtfx),
    "rtfx_highest": (lambda model: max(model.rtfx_by_repeat, default=None), format_rtfx),
    "p50": (lambda model: model.latency.p50, format_seconds),
    "p90": (lambda model: model.latency.p90, format_seconds),
    "p95": (lambda model: model.latency.p95, format_seconds),
    "p99": (lambda model: model.latency.p99, format_seconds),
    "load": (lambda model: model.load_time, format_seconds),
    "peak_mib": (lambda model: model.peak_resident_bytes, lambda value: f"{format_mib(value)} MiB"),
    "audio": (lambda model: model.audio_seconds, _format_audio),
    "utterances": (lambda model: len(model.utterances), str),
    "failed": (lambda model: model.failed, str),
    "failed_gates": (lambda model: model.failed_gates, str),
    "threads": (lambda model: model.info.threads if model.info else None, str),
}

# The same for a whole run.
_RUN_FIGURES: dict[str, tuple[Callable[[BenchResult], float | None], Callable[[Any], str]]] = {
    "seconds": (lambda run: run.seconds, _format_audio),
    "models": (lambda run: len(run.models), str),
    "repeats": (lambda run: run.manifest.request.repeat, str),
    "warmup": (lambda run: run.manifest.request.warmup, str),
}

FIGURES: tuple[str, ...] = (*_MODEL_FIGURES, *_RUN_FIGURES)
"""Names of the figures of a run."""


def format_figure(model: ModelResult, name: str) -> str:
    """Format a model's figure as documents show it; a dash if the figure is missing."""
    read, write = _MODEL_FIGURES[name]
    value = read(model)
    return "-" if value is None else write(value)


def render_figure(options: dict[str, str], evidence: Evidence) -> str:
    """Return the text of a marker ``figure``.

    Args:
        options: Either ``record``, ``figure`` and for most figures ``model``; or ``json`` and ``path``, keys and
            indices separated by dots. Both accept ``format``, such as ``{:.1f} s``, and ``scale``, a factor.
        evidence: The records.

    Raises:
        DatasetError: If an option is unknown, or a record, model or figure is missing.
    """
    if unknown := sorted({*options} - {*_FIGURE_OPTIONS}):
        raise DatasetError(f"a figure has no option {unknown[0]!r}; use {', '.join(_FIGURE_OPTIONS)}")
    value, write = _read_json_value(options, evidence) if "json" in options else _read_run_figure(options, evidence)
    if value is None:
        raise DatasetError(f"the record has no {options.get('figure') or options.get('path')}; name another figure")
    value = value * _parse_scale(options["scale"]) if "scale" in options else value
    return _apply_format(value, options["format"]) if "format" in options else write(value)


def _read_run_figure(options: dict[str, str], evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    name = options.get("figure", "")
    if "record" not in options or name not in FIGURES:
        raise DatasetError(f"a figure needs record=FILE and figure=NAME; the names are {', '.join(FIGURES)}")
    result = evidence.run(options["record"])
    if name in _RUN_FIGURES:
        read_run, write = _RUN_FIGURES[name]
        return read_run(result), write
    read_model, write = _MODEL_FIGURES[name]
    return read_model(_select_model(result, options)), write


def _select_model(result: BenchResult, options: dict[str, str]) -> ModelResult:
    wanted = options.get("model")
    matches = [model for model in result.models if wanted in (None, model.model)]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(model.model for model in result.models)
    raise DatasetError(f"{options['record']} needs model=NAME for this figure, one of {names}")


def _read_json_value(options: dict[str, str], evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    value = evidence.read_json(options["json"])
    for key in filter(None, options.get("path", "").split(".")):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DatasetError(f"{options['json']} has nothing at {options['path']!r} (no {key!r})") from error
    if isinstance(value, dict | list):
        raise DatasetError(f"{options['json']} has no single value at {options.get('path', '')!r}; extend path=")
    return value, str


def _parse_scale(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DatasetError(f"scale={text!r} is not a number") from error


def _apply_format(value: Any, pattern: str) -> str:
    match = _FORMAT.fullmatch(pattern)
    try:
        if match is None:
            raise ValueError("the pattern needs exactly one {}")
        return f"{match[1]}{format(value, match[2] or '')}{match[3]}"
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"cannot apply format={pattern!r} ({error}); use, for example, format='{{:.1f}} s'"
        ) from error


def find_figure(text: str, evidence: Evidence) -> str:
    """Return the options of a marker whose figure is *text*; empty if no record has that figure."""
    wanted = _squeeze(text)
    return next((marker for marker, shown in _iterate_figures(evidence) if _squeeze(shown) == wanted), "")


def _squeeze(text: str) -> str:
    return text.replace(" ", "").lower()


def _iterate_figures(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for run, result in evidence.runs.items():
        for model in result.models:
            for name in _MODEL_FIGURES:
                yield f"record={run} model={model.model} figure={name}", format_figure(model, name)
