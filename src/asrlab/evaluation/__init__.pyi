from asrlab.environment import GitState as GitState, Machine as Machine, MachineLoad as MachineLoad
from asrlab.evaluation.catalog import list_datasets as list_datasets, load_dataset as load_dataset
from asrlab.evaluation.datasets import Dataset as Dataset, DatasetSpec as DatasetSpec, Utterance as Utterance
from asrlab.evaluation.reports.comparison import (
    ComparedSystem as ComparedSystem,
    Comparison as Comparison,
    compare as compare,
)
from asrlab.evaluation.reports.extra_metrics import (
    MissedEntity as MissedEntity,
    NormalizerScores as NormalizerScores,
    RunMetrics as RunMetrics,
)
from asrlab.evaluation.reports.html_report import Report as Report, report as report
from asrlab.evaluation.reports.score_files import ScoreOptions as ScoreOptions, score as score
from asrlab.evaluation.reports.scoring import ScoredFile as ScoredFile, Scoring as Scoring
from asrlab.evaluation.runs.bench import bench as bench, resume as resume
from asrlab.evaluation.runs.load import load_run as load_run
from asrlab.evaluation.runs.manifest import (
    BenchRequest as BenchRequest,
    DatasetFacts as DatasetFacts,
    ModelFacts as ModelFacts,
    RunManifest as RunManifest,
)
from asrlab.evaluation.runs.records import (
    Failure as Failure,
    GateResult as GateResult,
    ModelLoaded as ModelLoaded,
    ModelPass as ModelPass,
    Recognized as Recognized,
)
from asrlab.evaluation.runs.result import (
    BenchResult as BenchResult,
    ModelResult as ModelResult,
    RepeatResult as RepeatResult,
    UtteranceResult as UtteranceResult,
)
from asrlab.evaluation.runs.runner import RunProgress as RunProgress
