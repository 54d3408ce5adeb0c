"""The report of one run or several, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import attrs

from asrlab._version import __version__
from asrlab.errors import OptionError
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.reports.comparison import Comparison, compare
from asrlab.evaluation.reports.details import Details, build_details
from asrlab.evaluation.reports.extra_metrics import RunMetrics, run_metrics
from asrlab.evaluation.reports.html.charts import histograms, scatter_plot
from asrlab.evaluation.reports.html.page_data import Clips, embed_clips, to_script_json, utterance_rows
from asrlab.evaluation.reports.html.render import render_page
from asrlab.evaluation.reports.html.trust_checks import trust_checks
from asrlab.evaluation.reports.systems import BootstrapUnit
from asrlab.evaluation.reports.worst import alignment_spans
from asrlab.evaluation.runs.result import BenchResult
from asrlab.output_files import write_file

AUDIO_LIMIT_BYTES = 8 * 2**20
"""What many mail servers let through, with the rest of the page."""


@attrs.frozen(kw_only=True)
class Report:
    """A page about runs.

    Attributes:
        html: The whole file, UTF-8.
        notes: What was asked for and is not in it, a sentence each.
    """

    html: bytes = attrs.field(repr=False)
    notes: tuple[str, ...] = ()

    def write(self, path: str | PathLike[str]) -> None:
        """Write it to *path*, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        write_file(Path(path), self.html)


def report(
    results: Sequence[BenchResult] | BenchResult,
    *,
    normalizer: str | None = None,
    normalizers: Sequence[str] = (),
    bootstrap_unit: BootstrapUnit = "auto",
    resampling: Resampling | None = None,
    only_shared: bool = False,
    worst_n: int = 20,
    audio: Dataset | bool = False,
    audio_limit_bytes: int = AUDIO_LIMIT_BYTES,
) -> Report:
    """One run, complete or not, or several over the same utterances, as a page to look at.

    It needs no network and no other file. Where there are two systems or more and all runs are complete, it has their
    comparison, too, with the same figures as `asrlab.evaluation.compare`.

    Args:
        results: The runs.
        normalizer: As for `asrlab.evaluation.compare`, like those that follow.
        normalizers: See there.
        bootstrap_unit: See there.
        resampling: See there.
        only_shared: See there.
        worst_n: How many of the utterances with the most errors are shown with their words.
        audio: Whether to put the clips of those in; the data set itself where the run was given it as an object.
        audio_limit_bytes: What the clips may take up. Those that do not fit are left out, which *notes* says.

    Raises:
        DatasetError: The runs are not over the same utterances; or audio is asked for, and the data set is not there.
        OptionError: No run is given, or an option has a value that it cannot have.
    """
    runs = (results,) if isinstance(results, BenchResult) else tuple(results)
    if not runs:
        raise OptionError("there is nothing to report; give at least one run", option="runs")
    if worst_n < 0:
        raise OptionError(f"worst_n is {worst_n}; give 0 or more", option="worst_n")
    options = {
        "normalizer": normalizer,
        "bootstrap_unit": bootstrap_unit,
        "resampling": resampling,
        "only_shared": only_shared,
    }
    details = build_details(runs, **options, worst_n=worst_n)  # type: ignore[arg-type]
    comparison = None
    if len(details.systems) > 1 and all(run.complete for run in runs) and _has_references(details):
        comparison = compare(runs, **options, normalizers=normalizers)  # type: ignore[arg-type]
    figures = comparison.figures if comparison else _figures(runs, normalizers)
    clips = _clips(runs[0], details, wanted=audio, limit_bytes=audio_limit_bytes)
    return Report(html=_page(runs, details, comparison, figures, clips), notes=clips.notes)


def _has_references(details: Details) -> bool:
    return any(system.words.reference_length for system in details.systems)


def _figures(runs: Sequence[BenchResult], normalizers: Sequence[str]) -> RunMetrics | None:
    return run_metrics(runs[0], normalizers=normalizers) if len(runs) == 1 else None


def _clips(result: BenchResult, details: Details, *, wanted: Dataset | bool, limit_bytes: int) -> Clips:
    if wanted is False:
        return Clips()
    ids = [utterance.id for utterance in details.worst]
    dataset = wanted if isinstance(wanted, Dataset) else None
    return embed_clips(result, ids, dataset=dataset, limit_bytes=limit_bytes)


def _page(
    runs: Sequence[BenchResult],
    details: Details,
    comparison: Comparison | None,
    figures: RunMetrics | None,
    clips: Clips,
) -> bytes:
    names = tuple(dict.fromkeys(run.dataset for run in runs))
    return render_page(
        title=" / ".join(names),
        runs=runs,
        details=details,
        comparison=comparison,
        figures=figures,
        clips=clips,
        checks=trust_checks(runs, details),
        headline=comparison.headline if comparison else _headline(details),
        notes=(*(comparison.notes if comparison else details.caveats), *(figures.notes if figures else ())),
        audio_seconds=sum(details.durations.values()),
        utterances=len(details.systems[0].utterances) if details.systems else 0,
        scatter=scatter_plot(details.systems),
        strips=histograms(details.latency),
        alignment_spans=alignment_spans,
        data=to_script_json(utterance_rows(details)),
        asrlab=__version__,
    )


def _headline(details: Details) -> tuple[str, ...]:
    """What there is to say without a comparison: each system's figures."""
    lines = []
    for system in details.systems:
        rate, speed = system.words.rate, system.model.rtfx
        told = [f"WER {100 * rate:.2f} %"] if rate is not None else ["no references, so no error rate"]
        told += [f"RTFx {speed:.2f}"] if speed else []
        lines.append(f"{system.name}: {', '.join(told)}")
    return tuple(lines) or ("no model loaded, so there is nothing to show",)
