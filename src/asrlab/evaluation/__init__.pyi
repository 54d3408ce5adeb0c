from asrlab.evaluation.datasets import Dataset as Dataset, DatasetSpec as DatasetSpec, Utterance as Utterance
from asrlab.evaluation.catalog import list_datasets as list_datasets, load_dataset as load_dataset
from asrlab.evaluation.reports.comparison import compare as compare
from asrlab.evaluation.reports.html.report import Report as Report, report as report
from asrlab.evaluation.reports.score_files import score as score
from asrlab.evaluation.runs.bench import bench as bench, resume as resume
from asrlab.evaluation.runs.load import load_run as load_run
