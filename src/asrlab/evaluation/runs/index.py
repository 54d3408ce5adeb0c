"""Summaries of runs, and the list of all runs with an index that saves reading them again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
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


def summarize_run(records: RunRecords, result: BenchResult) -> dict[str, Any]:
    """Return a few figures of a run as JSON values; *result* is the result of *records*."""
    return {
        "run": records.manifest.run,
        "created": records.manifest.created,
        "dataset": result.dataset,
        "normalizer": records.manifest.normalizer,
        "scored_by": scoring_version(),
        "complete": records.is_complete,
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
    """Write the summary beside the records, or delete it if the disk is full."""
    document = json.dumps(summarize_run(records, result), ensure_ascii=False, indent=1) + "\n"
    try:
        write_file(folder.summary, document.encode())
    except OutputError:
        folder.summary.unlink(missing_ok=True)


def list_runs(root: Path) -> list[dict[str, Any]]:
    """Return summaries of the runs in *root*, the latest first; a damaged run has ``error`` instead of figures."""
    folders = [RunFolder(path.parent) for path in root.glob("*/manifest.json")]
    try:
        summaries = _read_index(root, folders)
    except sqlite3.Error:  # damaged, in use for long, or on a disk without locks
        try:
            (root / _NAME).unlink(missing_ok=True)
            summaries = _read_index(root, folders)
        except (sqlite3.Error, OSError):
            summaries = [_summarize_folder(folder) for folder in folders]
    return sorted(summaries, key=lambda summary: (summary["created"], summary["run"]), reverse=True)


def _read_index(root: Path, folders: list[RunFolder]) -> list[dict[str, Any]]:
    if not folders:
        return []
    summaries, scored_by = [], scoring_version()
    with closing(sqlite3.connect(root / _NAME, timeout=5)) as index, index:
        index.execute(_TABLE)
        known = {name: (stamp, summary) for name, stamp, summary in index.execute("SELECT * FROM runs")}
        for folder in folders:
            name, stamp = folder.path.name, _change_stamp(folder)
            summary = json.loads(known[name][1]) if known.get(name, ("", ""))[0] == stamp else {}
            # error rates are computed again after a change of the scoring rules
            if "error" not in summary and summary.get("scored_by") != scored_by:
                summary = _summarize_folder(folder)
                index.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (name, stamp, json.dumps(summary)))
            summaries.append(summary)
        deleted = known.keys() - {folder.path.name for folder in folders}
        index.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in deleted])
    return summaries


def _change_stamp(folder: RunFolder) -> str:
    """Return a text that changes whenever the records do."""
    stamps = []
    for path in (folder.manifest, folder.ledger):
        with suppress(OSError):
            stamps.append(f"{path.stat().st_size}-{path.stat().st_mtime_ns}")
    return " ".join(stamps)


def _summarize_folder(folder: RunFolder) -> dict[str, Any]:
    try:
        records = load_run_records(folder.path)
        return {**summarize_run(records, records.result()), "run": folder.path.name}
    except DatasetError as error:
        return {"run": folder.path.name, "created": "", "error": error.message}
