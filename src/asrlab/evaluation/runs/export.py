"""A run as one small file: what is needed to believe it and to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from asrlab.control_characters import escape_json
from asrlab.errors import DatasetError
from asrlab.evaluation.runs.ledger import write_whole
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.manifest import Manifest
from asrlab.evaluation.runs.records import Outcome, json_line, to_line


def export(records: RunRecords, path: Path) -> None:
    """Write the facts and outcomes of a run to *path*, one JSON object a line; ``load_run`` reads it.

    Segments, and the starts and losses on the way, stay behind; so do the names of folders in the user's home.

    Raises:
        DatasetError: The run is not complete.
        OutputError: *path* cannot be written.
    """
    write_whole(path, exported(records))


def exported(records: RunRecords) -> bytes:
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


def _small(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, recognized=outcome.recognized and attrs.evolve(outcome.recognized, segments=()))


def _without_home(manifest: Manifest) -> Manifest:
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
