"""TODO."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from asrlab.errors import DatasetError, OutputError
from asrlab.evaluation.metrics.normalizers import scoring_version
from asrlab.evaluation.runs.load import RunRecords, load_run_records
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.storage import RunFolder
from asrlab.output_files import write_file

_NAME = "index.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, stamp TEXT NOT NULL, summary TEXT NOT NULL)"


def list_runs(root: Path) -> list[dict[str, Any]]:
    """The summaries of the runs in *root*, the latest first; a damaged run has ``error`` instead of figures."""
    folders = [RunFolder(path.parent) for path in root.glob("*/manifest.json")]
    try:
        found = _indexed(root, folders)
    except sqlite3.Error:  # damaged, in use for long, or on a disk that takes no locks
        found = _made_again(root, folders)
    return sorted(found, key=lambda summary: (summary["created"], summary["run"]), reverse=True)


def _made_again(root: Path, folders: list[RunFolder]) -> list[dict[str, Any]]:
    try:
        (root / _NAME).unlink(missing_ok=True)
        return _indexed(root, folders)
    except (sqlite3.Error, OSError):
        return [_summary(folder) for folder in folders]


def _indexed(root: Path, folders: list[RunFolder]) -> list[dict[str, Any]]:
    if not folders:
        return []
    with closing(sqlite3.connect(root / _NAME, timeout=5)) as index, index:
        index.execute(_TABLE)
        known = {name: (stamp, summary) for name, stamp, summary in index.execute("SELECT * FROM runs")}
        found = list(_refreshed(index, folders, known))
        gone = known.keys() - {folder.path.name for folder in folders}
        index.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in gone])
    return found


def _refreshed(
    index: sqlite3.Connection, folders: list[RunFolder], known: dict[str, tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    scored_by = scoring_version()
    for folder in folders:
        name, stamp = folder.path.name, _stamp(folder)
        if known.get(name, ("", ""))[0] == stamp:
            summary = json.loads(known[name][1])
            # error rates are counted anew where the rules of scoring are not those of then
            if "error" in summary or summary.get("scored_by") == scored_by:
                yield summary
                continue
        summary = _summary(folder)
        index.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (name, stamp, json.dumps(summary)))
        yield summary


def _stamp(folder: RunFolder) -> str:
    """What changes whenever the records do."""
    stamps = []
    for path in (folder.manifest, folder.ledger):
        try:
            facts = path.stat()
        except OSError:
            continue
        stamps.append(f"{facts.st_size}-{facts.st_mtime_ns}")
    return " ".join(stamps)


def _summary(folder: RunFolder) -> dict[str, Any]:
    try:
        records = load_run_records(folder.path)
        return {**summarize_run(records, records.result()), "run": folder.path.name}
    except DatasetError as error:
        return {"run": folder.path.name, "created": "", "error": error.message}


def summarize_run(records: RunRecords, result: BenchResult) -> dict[str, Any]:
    """A run in a few figures, as JSON values; *result* is what *records* say."""
    return {
        "run": records.manifest.run,
        "created": records.manifest.created,
        "dataset": result.dataset,
        "normalizer": records.manifest.normalizer,
        "scored_by": scoring_version(),
        "complete": records.complete,
        "done": len(records.outcomes),
        "expected": records.expected,
        "failed": sum(outcome.failure is not None for outcome in records.outcomes.values()),
        "sessions": len(records.sessions),
        "seconds": result.seconds,
        "models": [
            {
                "model": model.model,
                "device": str(model.info.device) if model.info else None,
                "failure": model.failure.kind if model.failure else None,
                "utterances": len(model.utterances),
                "failed": model.failed,
                "failed_gates": model.failed_gates,
                "wer": model.score.wer if model.score else None,
                "wer_of_finished": model.finished_score.wer if model.finished_score else None,
                "rtfx": model.rtfx,
            }
            for model in result.models
        ],
    }


def write_summary(folder: RunFolder, records: RunRecords, result: BenchResult) -> None:
    """Write the summary beside the records; a disk without room for it has room for none."""
    try:
        write_file(
            folder.summary, (json.dumps(summarize_run(records, result), ensure_ascii=False, indent=1) + "\n").encode()
        )
    except OutputError:
        folder.summary.unlink(missing_ok=True)
