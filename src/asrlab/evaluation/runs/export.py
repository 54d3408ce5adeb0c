"""A run as one small file: what is needed to believe it and to repeat it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from asrlab.control_characters import escape_controls, escape_json
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.delimited import write_rows
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.manifest import RunManifest
from asrlab.evaluation.runs.records import UtteranceOutcome, json_line, to_line
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.output_files import write_file
from asrlab.transcript.document import DocumentMetadata, escape_formula


def export(records: RunRecords, path: Path) -> None:
    """Write the facts and outcomes of a run to *path*, one JSON object a line; ``load_run`` reads it.

    Segments, and the starts and losses on the way, stay behind; so do the names of folders in the user's home.

    Raises:
        DatasetError: The run is not complete.
        OutputError: *path* cannot be written.
    """
    write_file(path, render_export(records))


def render_export(records: RunRecords) -> bytes:
    """Return what `export` writes.

    Raises:
        DatasetError: The run is not complete.
    """
    if not records.complete:
        raise DatasetError(f"the run {records.path} is not complete; go on with: asrlab resume {records.path}")
    return escape_json(b"".join(_lines(records)).decode()).encode()


def _lines(records: RunRecords) -> Iterator[bytes]:
    yield _line("manifest", _without_home(records.manifest).to_plain())
    for facts in records.utterances:
        yield _line("utterance", json.loads(facts.to_line()))
    for session in records.sessions:
        yield to_line(session)
        if session.session in records.ends:
            yield to_line(records.ends[session.session])
    for loaded in records.loaded.values():
        yield to_line(loaded)
    for refused in records.not_loaded.values():
        yield to_line(refused)
    for one_pass in records.passes:
        yield to_line(one_pass)
    for outcome in records.outcomes.values():
        yield to_line(_small(outcome))


def _line(kind: str, plain: dict[str, Any]) -> bytes:
    return json_line({"record": kind, **plain})


def _small(outcome: UtteranceOutcome) -> UtteranceOutcome:
    return attrs.evolve(outcome, recognized=outcome.recognized and attrs.evolve(outcome.recognized, segments=()))


def _without_home(manifest: RunManifest) -> RunManifest:
    def told(text: str) -> str:
        return text.replace(str(Path.home()), "~")

    request, facts = manifest.request, manifest.dataset
    return attrs.evolve(
        manifest,
        request=attrs.evolve(
            request,
            dataset=request.dataset and told(request.dataset),
            models=tuple(map(told, request.models)),
        ),
        dataset=attrs.evolve(facts, source=told(facts.source)),
    )


_COLUMNS = ("utt_id", "text", "reference", "speaker", "recording")


def export_hypotheses(result: BenchResult, path: Path, *, model: str | None = None) -> int:
    """Write the texts of one model to *path*, and give the number of utterances that failed and are not in it.

    Args:
        result: The run.
        path: Its ending says the form: one of `HYPOTHESIS_FORMATS`.
        model: Whose; None where the run has one.

    Raises:
        OptionError: The ending is no form, or there is no such model, or several.
        OutputError: *path* cannot be written.
    """
    document, left_out = render_hypotheses(result, hypothesis_format(path), model=model)
    write_file(path, document)
    return left_out


def render_hypotheses(result: BenchResult, form: str, *, model: str | None = None) -> tuple[bytes, int]:
    """Return the texts of one model as a document, and the number of utterances that failed and are not in it.

    Args:
        result: The run.
        form: One of `HYPOTHESIS_FORMATS`.
        model: Whose; None where the run has one.

    Raises:
        OptionError: There is no such model, or several.
    """
    chosen = _model(result, model)
    done = [each for each in chosen.utterances if each.transcript is not None]
    return HYPOTHESIS_FORMATS[form](done).encode(), len(chosen.utterances) - len(done)


def hypothesis_format(path: Path) -> str:
    """Return the form that the ending of *path* names.

    Raises:
        OptionError: It names none.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in HYPOTHESIS_FORMATS:
        raise OptionError(
            f"{path} does not say in which form; end its name with .{', .'.join(HYPOTHESIS_FORMATS)}",
            option="texts",
            supported=tuple(HYPOTHESIS_FORMATS),
        )
    return form


def _model(result: BenchResult, name: str | None) -> ModelResult:
    names = tuple(each.model for each in result.models)
    found = [each for each in result.models if name in (None, each.model)]
    if len(found) != 1:
        problem = f"the run has no model {name!r}" if name else f"the run has {len(names)} models"
        raise OptionError(f"{problem}; choose one with --model: {', '.join(names)}", option="model", supported=names)
    return found[0]


def _table(utterances: Iterable[UtteranceResult], *, delimiter: str) -> str:
    """Cells that a spreadsheet would compute have ``'`` in front; control characters are escaped."""
    rows = ((each.id, each.hypothesis, each.reference, each.speaker, each.recording) for each in utterances)
    cells = ([escape_formula(escape_controls(cell or "", reversible=True)) for cell in row] for row in rows)
    return write_rows(_COLUMNS, cells, delimiter)


def _documents(utterances: Iterable[UtteranceResult], *, form: str) -> str:
    return "".join(
        each.transcript.render(form, DocumentMetadata(name=each.id, speaker=each.speaker, reference=each.reference))
        for each in utterances
        if each.transcript is not None
    )


HYPOTHESIS_FORMATS: Mapping[str, Callable[[Iterable[UtteranceResult]], str]] = {
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
    **{form: partial(_documents, form=form) for form in ("trn", "ctm", "stm", "jsonl")},
}
"""How each form is written, by the file's ending."""
