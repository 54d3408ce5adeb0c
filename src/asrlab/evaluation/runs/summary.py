"""What follows from a run's records, in a few figures; it may be deleted and is made again."""

from __future__ import annotations

import json
from typing import Any

from asrlab.errors import OutputError
from asrlab.evaluation.metrics.normalizers import scoring_version
from asrlab.evaluation.runs.folder import RunFolder
from asrlab.evaluation.runs.ledger import write_whole
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.result import BenchResult


def summary_of(records: RunRecords, result: BenchResult) -> dict[str, Any]:
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
        write_whole(
            folder.summary, (json.dumps(summary_of(records, result), ensure_ascii=False, indent=1) + "\n").encode()
        )
    except OutputError:
        folder.summary.unlink(missing_ok=True)
