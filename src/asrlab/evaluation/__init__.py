"""Evaluation of models: data sets, runs, scores, comparisons and reports."""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.evaluation.datasets": "Dataset DatasetSpec Utterance",
        "asrlab.evaluation.catalog": "list_datasets load_dataset",
        "asrlab.evaluation.reports.comparison": "compare",
        "asrlab.evaluation.reports.html.report": "Report report",
        "asrlab.evaluation.reports.score_files": "score",
        "asrlab.evaluation.runs.bench": "bench resume",
        "asrlab.evaluation.runs.load": "load_run",
    },
)
