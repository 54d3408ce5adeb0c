"""What a model wrote over a whole run, as one file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.evaluation.datasets.delimited import write_rows
from asrlab.evaluation.runs.ledger import write_whole
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.transcript.document import DocumentMetadata, escape_formula

_COLUMNS = ("utt_id", "text", "reference", "speaker", "recording")


def write_texts(result: BenchResult, path: Path, *, model: str | None = None) -> int:
    """Write the texts of one model to *path*, and give the number of utterances that failed and are not in it.

    Args:
        result: The run.
        path: Its ending says the form: one of `TEXT_FORMATS`.
        model: Whose; None where the run has one.

    Raises:
        OptionError: The ending is no form, or there is no such model, or several.
        OutputError: *path* cannot be written.
    """
    document, left_out = texts_document(result, form_of(path), model=model)
    write_whole(path, document)
    return left_out


def texts_document(result: BenchResult, form: str, *, model: str | None = None) -> tuple[bytes, int]:
    """Return the texts of one model as a document, and the number of utterances that failed and are not in it.

    Args:
        result: The run.
        form: One of `TEXT_FORMATS`.
        model: Whose; None where the run has one.

    Raises:
        OptionError: There is no such model, or several.
    """
    chosen = _model(result, model)
    done = [each for each in chosen.utterances if each.transcript is not None]
    return TEXT_FORMATS[form](done).encode(), len(chosen.utterances) - len(done)


def form_of(path: Path) -> str:
    """Return the form that the ending of *path* names.

    Raises:
        OptionError: It names none.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in TEXT_FORMATS:
        raise OptionError(
            f"{path} does not say in which form; end its name with .{', .'.join(TEXT_FORMATS)}",
            option="texts",
            supported=tuple(TEXT_FORMATS),
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


TEXT_FORMATS: Mapping[str, Callable[[Iterable[UtteranceResult]], str]] = {
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
    **{form: partial(_documents, form=form) for form in ("trn", "ctm", "stm", "jsonl")},
}
"""How each form is written, by the file's ending."""
