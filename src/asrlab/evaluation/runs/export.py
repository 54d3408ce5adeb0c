"""Exports of a run: the whole run as one small file, and one model's hypotheses for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import attrs

from asrlab.control_characters import escape_controls, escape_json
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.delimited import write_rows
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.manifest import RunManifest
from asrlab.evaluation.runs.records import json_line, to_line
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.transcript.document import DocumentMetadata, escape_formula

_COLUMNS = ("utt_id", "text", "reference", "speaker", "recording")


def render_export(records: RunRecords) -> bytes:
    """Return the facts and outcomes of a run, one JSON object per line, for ``load_run``.

    The document lacks segments, starts and lost attempts, and the names of folders in the user's home.

    Raises:
        DatasetError: If the run is not complete.
    """
    if not records.is_complete:
        raise DatasetError(f"the run {records.path} is not complete; resume it with: asrlab resume {records.path}")
    return escape_json(b"".join(_export_lines(records)).decode()).encode()


def _export_lines(records: RunRecords) -> Iterator[bytes]:
    yield json_line({"record": "manifest", **_without_home(records.manifest).to_plain()})
    for facts in records.utterances:
        yield json_line({"record": "utterance", **json.loads(facts.to_line())})
    for session in records.sessions:
        yield to_line(session)
        if session.session in records.ends:
            yield to_line(records.ends[session.session])
    yield from map(to_line, (*records.loaded.values(), *records.not_loaded.values(), *records.passes))
    for outcome in records.outcomes.values():
        recognized = outcome.recognized and attrs.evolve(outcome.recognized, segments=())
        yield to_line(attrs.evolve(outcome, recognized=recognized))


def _without_home(manifest: RunManifest) -> RunManifest:
    def shorten(text: str) -> str:
        return text.replace(str(Path.home()), "~")

    request, dataset = manifest.request, manifest.dataset
    name, models = request.dataset and shorten(request.dataset), tuple(map(shorten, request.models))
    return attrs.evolve(
        manifest,
        request=attrs.evolve(request, dataset=name, models=models),
        dataset=attrs.evolve(dataset, source=shorten(dataset.source)),
    )


def render_hypotheses(
    result: BenchResult,
    format: str,  # noqa: A002 - the word of the command line
    *,
    model: str | None = None,
) -> tuple[bytes, int]:
    """Return the hypotheses of one model as a document, and the number of failed utterances, which are not in it.

    Args:
        result: The run.
        format: One of `HYPOTHESIS_FORMATS`.
        model: Full name of the model; may be None if the run has a single one.

    Raises:
        OptionError: If the model is missing or ambiguous.
    """
    utterances = _select_model(result, model).utterances
    finished = [utterance for utterance in utterances if utterance.transcript is not None]
    return HYPOTHESIS_FORMATS[format](finished).encode(), len(utterances) - len(finished)


def hypothesis_format(path: Path) -> str:
    """Return the format that the extension of *path* names.

    Raises:
        OptionError: If it names none.
    """
    extension = path.suffix.lower().removeprefix(".")
    if extension not in HYPOTHESIS_FORMATS:
        raise OptionError(
            f"the extension of {path} names no format; use .{', .'.join(HYPOTHESIS_FORMATS)}",
            option="texts",
            supported=tuple(HYPOTHESIS_FORMATS),
        )
    return extension


def _select_model(result: BenchResult, name: str | None) -> ModelResult:
    names = tuple(model.model for model in result.models)
    matches = [model for model in result.models if name in (None, model.model)]
    if len(matches) != 1:
        problem = f"the run has no model {name!r}" if name else f"the run has {len(names)} models"
        raise OptionError(f"{problem}; choose one with --model: {', '.join(names)}", option="model", supported=names)
    return matches[0]


def _render_table(utterances: Iterable[UtteranceResult], *, delimiter: str) -> str:
    """Return a table with ``'`` before cells that a spreadsheet would compute, and with escaped control characters."""
    rows = (
        (utterance.id, utterance.hypothesis, utterance.reference, utterance.speaker, utterance.recording)
        for utterance in utterances
    )
    cells = ([escape_formula(escape_controls(cell or "", reversible=True)) for cell in row] for row in rows)
    return write_rows(_COLUMNS, cells, delimiter)


def _render_documents(utterances: Iterable[UtteranceResult], *, format: str) -> str:  # noqa: A002 - as above
    return "".join(
        utterance.transcript.render(
            format, DocumentMetadata(name=utterance.id, speaker=utterance.speaker, reference=utterance.reference)
        )
        for utterance in utterances
        if utterance.transcript is not None
    )


HYPOTHESIS_FORMATS: Mapping[str, Callable[[Iterable[UtteranceResult]], str]] = {
    "csv": partial(_render_table, delimiter=","),
    "tsv": partial(_render_table, delimiter="\t"),
    **{name: partial(_render_documents, format=name) for name in ("trn", "ctm", "stm", "jsonl")},
}
"""Function that renders each format, by the file's extension."""
