"""Single figures of records, as documents show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from asrlab.errors import DatasetError
from asrlab.evaluation.claims.evidence import Evidence
from asrlab.evaluation.runs.result import BenchResult, ModelResult

_FORMAT = re.compile(r"([^{}]*)\{(?::([^{}]*))?\}([^{}]*)")
_BYTES_PER_MIB = 2**20


def percent(rate: float) -> str:
    """A fraction as per cent."""
    return f"{100 * rate:.2f} %"


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.2f} s"


def speed(value: float) -> str:
    """Seconds of audio per second of work."""
    return f"{value:.2f}x"


def _mib(value: float) -> str:
    return f"{value:.0f} MiB"


def _words(model: ModelResult, name: str) -> int | None:
    return getattr(model.score.words, name) if model.score else None


def _peak(model: ModelResult) -> float | None:
    return model.peak_resident_bytes / _BYTES_PER_MIB if model.peak_resident_bytes else None


def _threads(model: ModelResult) -> int | None:
    return model.info.threads if model.info else None


# Name to what it is of a model in a run, and how it is written.
_OF_MODEL: dict[str, tuple[Callable[[ModelResult], float | None], Callable[[Any], str]]] = {
    "wer": (lambda model: model.score.wer if model.score else None, percent),
    "finished_wer": (lambda model: model.finished_score.wer if model.finished_score else None, percent),
    "cer": (lambda model: model.score.cer if model.score else None, percent),
    "errors": (lambda model: _words(model, "errors"), str),
    "words": (lambda model: _words(model, "reference_length"), str),
    "rtfx": (lambda model: model.rtfx, speed),
    "rtfx_lowest": (lambda model: min(model.rtfx_of_repeats, default=None), speed),
    "rtfx_highest": (lambda model: max(model.rtfx_of_repeats, default=None), speed),
    "p50": (lambda model: model.latency.p50, seconds),
    "p90": (lambda model: model.latency.p90, seconds),
    "p95": (lambda model: model.latency.p95, seconds),
    "p99": (lambda model: model.latency.p99, seconds),
    "load": (lambda model: model.load_time, seconds),
    "peak_mib": (_peak, _mib),
    "audio": (lambda model: model.audio_seconds, lambda value: f"{value:.1f} s"),
    "utterances": (lambda model: len(model.utterances), str),
    "failed": (lambda model: model.failed, str),
    "failed_gates": (lambda model: model.failed_gates, str),
    "threads": (_threads, str),
}

# The same of a whole run.
_OF_RUN: dict[str, tuple[Callable[[BenchResult], float | None], Callable[[Any], str]]] = {
    "seconds": (lambda run: run.seconds, lambda value: f"{value:.1f} s"),
    "models": (lambda run: len(run.models), str),
    "repeats": (lambda run: run.manifest.request.repeat, str),
    "warmup": (lambda run: run.manifest.request.warmup, str),
}

FIGURES: tuple[str, ...] = (*_OF_MODEL, *_OF_RUN)
"""The names of the figures of a run."""


def format_figure(model: ModelResult, name: str) -> str:
    """A model's figure as documents show it; a dash where there is none."""
    find, write = _OF_MODEL[name]
    value = find(model)
    return "-" if value is None else write(value)


def render_figure(options: dict[str, str], evidence: Evidence) -> str:
    """What stands in a marker ``figure`` with these options.

    Args:
        options: ``record``, ``figure`` and for most ``model``; or ``json`` and ``path``, keys and indices with dots
            between them; with either ``format``, such as ``{:.1f} s``, and ``scale``, by which the value is multiplied.
        evidence: Where the records are.

    Raises:
        DatasetError: There is no such record, model or figure, or an option is unknown.
    """
    known = {"record", "model", "figure", "json", "path", "format", "scale"}
    if unknown := sorted({*options} - known):
        raise DatasetError(f"a figure has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    value, write = _of_json(options, evidence) if "json" in options else _of_record(options, evidence)
    if value is None:
        raise DatasetError(f"the record has no {options.get('figure') or options.get('path')}; name another figure")
    value = value * _number(options["scale"]) if "scale" in options else value
    return _formatted(value, options["format"]) if "format" in options else write(value)


def _of_record(options: dict[str, str], evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    name = options.get("figure", "")
    if "record" not in options or name not in FIGURES:
        raise DatasetError(f"a figure needs record=FILE and figure=NAME; the names are {', '.join(FIGURES)}")
    result = evidence.run(options["record"])
    if name in _OF_RUN:
        of_run, write = _OF_RUN[name]
        return of_run(result), write
    of_model, write = _OF_MODEL[name]
    return of_model(_model(result, options)), write


def _model(result: BenchResult, options: dict[str, str]) -> ModelResult:
    wanted = options.get("model")
    found = [model for model in result.models if wanted in (None, model.model)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(model.model for model in result.models)
    raise DatasetError(f"which model of {options['record']}? give model=NAME, one of {names}")


def _of_json(options: dict[str, str], evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    value = evidence.plain(options["json"])
    for key in filter(None, options.get("path", "").split(".")):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DatasetError(f"{options['json']} has nothing at {options['path']!r} (no {key!r})") from error
    if isinstance(value, dict | list):
        raise DatasetError(f"{options['json']} has no single value at {options.get('path', '')!r}; go on with path=")
    return value, str


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DatasetError(f"scale={text!r} is no number") from error


def _formatted(value: Any, pattern: str) -> str:
    found = _FORMAT.fullmatch(pattern)
    try:
        if found is None:
            raise ValueError("it has not one {}")
        return f"{found[1]}{format(value, found[2] or '')}{found[3]}"
    except (ValueError, TypeError) as error:
        raise DatasetError(f"format={pattern!r} does not fit ({error}); such as format='{{:.1f}} s'") from error


def find_figure(text: str, evidence: Evidence) -> str:
    """A marker whose figure is *text*, for a reader who has to write one; empty where no record has it."""
    wanted = _bare(text)
    return next((marker for marker, shown in _all(evidence) if _bare(shown) == wanted), "")


def _bare(text: str) -> str:
    return text.replace(" ", "").lower()


def _all(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for run in evidence.runs:
        for model in run.result.models:
            for name in _OF_MODEL:
                yield f"record={run.name} model={model.model} figure={name}", format_figure(model, name)
