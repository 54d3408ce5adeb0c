"""Evaluation of models: data sets, runs, scores, comparisons and reports."""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.environment": "GitState Machine MachineLoad",
        "asrlab.evaluation.datasets": "Dataset DatasetSpec Utterance",
        "asrlab.evaluation.catalog": "list_datasets load_dataset",
        "asrlab.evaluation.reports.comparison": "ComparedSystem Comparison compare",
        "asrlab.evaluation.reports.extra_metrics": "MissedEntity NormalizerScores RunMetrics",
        "asrlab.evaluation.reports.html_report": "Report report",
        "asrlab.evaluation.reports.score_files": "ScoreOptions score",
        "asrlab.evaluation.reports.scoring": "ScoredFile Scoring",
        "asrlab.evaluation.runs.bench": "bench resume",
        "asrlab.evaluation.runs.load": "load_run",
        "asrlab.evaluation.runs.manifest": "BenchRequest DatasetFacts ModelFacts RunManifest",
        "asrlab.evaluation.runs.records": "Failure GateResult ModelLoaded ModelPass Recognized",
        "asrlab.evaluation.runs.result": "BenchResult ModelResult RepeatResult UtteranceResult",
        "asrlab.evaluation.runs.runner": "RunProgress",
    },
)
