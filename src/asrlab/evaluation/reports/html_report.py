"""The report of one run or several as one HTML file, in which only asrlab's own script may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab._version import __version__
from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.metrics import Resampling, describe_normalizers
from asrlab.evaluation.reports.comparison import compare_runs
from asrlab.evaluation.reports.details import Details, build_details
from asrlab.evaluation.reports.extra_metrics import run_metrics
from asrlab.evaluation.reports.formatting import format_percent, format_seconds
from asrlab.evaluation.reports.page_data import (
    Clips,
    embed_clips,
    histograms,
    scatter_plot,
    to_script_json,
    trust_checks,
    utterance_rows,
)
from asrlab.evaluation.reports.scored_system import alignment_spans
from asrlab.evaluation.reports.systems import BootstrapUnit, ComparisonOptions
from asrlab.evaluation.runs.result import BenchResult
from asrlab.output_files import write_file

if TYPE_CHECKING:
    import jinja2

DEFAULT_AUDIO_LIMIT_BYTES = 8 * 2**20
"""Size of clips that many mail servers accept, with the rest of the page."""

_MISSING = "\N{EN DASH}"


@attrs.frozen(kw_only=True)
class Report:
    """A page about runs.

    Attributes:
        html: The whole file in UTF-8.
        notes: Requested parts that the page lacks, a sentence each.
    """

    html: bytes = attrs.field(repr=False)
    notes: tuple[str, ...] = ()

    def write(self, path: str | PathLike[str]) -> None:
        """Write the page to *path* atomically.

        Raises:
            OutputError: If the file cannot be written.
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
    audio_limit_bytes: int = DEFAULT_AUDIO_LIMIT_BYTES,
) -> Report:
    """Build the page of one run, complete or not, or of several over the same utterances.

    The page needs no network and no other file. With two or more systems and only complete runs, the page includes
    their comparison, with the same figures as `asrlab.evaluation.compare`.

    Args:
        results: The runs.
        normalizer: See `asrlab.evaluation.compare`, as for the next four.
        normalizers: Profiles to score the same texts under, side by side.
        bootstrap_unit: The unit that is resampled.
        resampling: The resampling of the bootstrap.
        only_shared: Report on the utterances that all runs share.
        worst_n: Number of utterances with the most errors that are shown with their words.
        audio: Include the clips of those utterances. Pass the data set itself if the run was given it as an object.
        audio_limit_bytes: Maximum size of the clips. Clips that do not fit are left out, and *notes* says so.

    Raises:
        DatasetError: If the runs' utterances differ, or audio is requested and the data set is not available.
        OptionError: If no run is given, or an option has an invalid value.
    """
    runs = (results,) if isinstance(results, BenchResult) else tuple(results)
    if not runs:
        raise OptionError("there is nothing to report; give at least one run", option="runs")
    if worst_n < 0:
        raise OptionError(f"worst_n is {worst_n}; give 0 or more", option="worst_n")
    options = ComparisonOptions(
        normalizer=normalizer,
        normalizers=normalizers,
        bootstrap_unit=bootstrap_unit,
        resampling=resampling,
        only_shared=only_shared,
        worst_n=worst_n,
    )
    details = build_details(runs, options)
    clips = Clips()
    if audio is not False:
        ids = [utterance.id for utterance in details.worst]
        dataset = audio if isinstance(audio, Dataset) else None
        clips = embed_clips(runs[0], ids, dataset=dataset, limit_bytes=audio_limit_bytes)
    return Report(html=_build_page(runs, details, clips, options), notes=clips.notes)


def _build_page(runs: Sequence[BenchResult], details: Details, clips: Clips, options: ComparisonOptions) -> bytes:
    """Render the page in UTF-8; control characters and text that UTF-8 cannot encode are shown as escapes."""
    from markupsafe import Markup

    has_references = any(system.words.reference_length for system in details.systems)
    is_comparable = len(details.systems) > 1 and all(run.complete for run in runs) and has_references
    comparison = compare_runs(runs, options) if is_comparable else None
    metrics = comparison.figures if comparison else None
    if len(runs) == 1:
        metrics = metrics or run_metrics(runs[0], normalizers=options.normalizers)
    notes = comparison.notes if comparison else details.caveats
    style, script = (
        (files(__package__) / "templates" / name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    template = _environment().get_template("report.html.j2")
    page = template.render(
        policy=_content_security_policy(style=style, script=script),
        # Both are asrlab's own and must stay as they were hashed.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        title=" / ".join(dict.fromkeys(run.dataset for run in runs)),
        runs=runs,
        details=details,
        comparison=comparison,
        figures=metrics,
        clips=clips,
        checks=trust_checks(runs, details),
        headline=comparison.headline if comparison else _headline(details),
        notes=(*notes, *(metrics.notes if metrics else ())),
        audio_seconds=sum(details.durations.values()),
        utterances=len(details.systems[0].utterances) if details.systems else 0,
        scatter=scatter_plot(details.systems),
        histograms=histograms(details.latency),
        alignment_spans=alignment_spans,
        data=to_script_json(utterance_rows(details)),
        asrlab=__version__,
    )
    return page.encode("utf-8", "backslashreplace")


def _headline(details: Details) -> tuple[str, ...]:
    """Return each system's figures, as the headline of a page without a comparison."""
    lines = []
    for system in details.systems:
        rate, speed = system.words.rate, system.model.rtfx
        figures = ["no references, so no error rate" if rate is None else f"WER {format_percent(rate)}"]
        figures += [f"RTFx {speed:.2f}"] if speed else []
        lines.append(f"{system.name}: {', '.join(figures)}")
    return tuple(lines) or ("no model loaded, so there is nothing to show",)


def _content_security_policy(*, style: str, script: str) -> str:
    """Return a policy that fetches nothing and allows only *style* and *script*."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def escape_text(value: Any) -> Any:
        """Escape control characters of the texts that a template prints; asrlab's own markup stays."""
        return escape_controls(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=escape_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda rate: format_percent(rate, missing=_MISSING),
        "seconds": _format_latency,
        "label": lambda index: chr(ord("A") + index) if index < 26 else str(index + 1),
        "duration": _format_duration,
        "normalizers": describe_normalizers,
    }
    return environment


def _format_latency(value: float | None) -> str:
    if value is None or value >= 0.1:
        return format_seconds(value, missing=_MISSING)
    return f"{1000 * value:.1f} ms"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
