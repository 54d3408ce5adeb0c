"""Tables of comparisons and of scored files for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from asrlab.cli.details_view import metrics_view, unknown_languages
from asrlab.evaluation.metrics import (
    Resampling,
    SpeedComparison,
    SpeedRatio,
    WerComparison,
    WerDifference,
    WordDifferences,
    describe_normalizers,
)
from asrlab.evaluation.reports.comparison import ComparedSystem, Comparison
from asrlab.evaluation.reports.details import describe_device
from asrlab.evaluation.reports.formatting import (
    format_count,
    format_edits,
    format_error_rate,
    format_percent,
    format_rtfx,
)
from asrlab.evaluation.reports.scoring import ScoredFile, Scoring
from asrlab.evaluation.reports.sentences import TOO_FEW
from asrlab.terminal.screen import Text
from asrlab.terminal.table import Table

MAX_UTTERANCES_SHOWN = 3
MAX_IDS_SHOWN = 5
_STYLES = {"better": "green", "faster": "green", "worse": "red", "slower": "red"}


def comparison_view(comparison: Comparison, *, top_words: int) -> Iterator[Table | Text]:
    """Yield everything below the headline, with *top_words* word errors of each system; 0 for none."""
    yield _systems(comparison)
    caveats = dict(comparison.language_caveats)
    yield _wer(comparison.wer, comparison.bootstrap_unit, caveats)
    if comparison.speed:
        yield _speed(comparison.speed, comparison.bootstrap_unit, caveats)
    else:
        yield Text(f"speed is not compared: {comparison.why_no_speed}")
    yield from metrics_view(comparison.figures)
    for differences in comparison.differences if top_words else ():
        yield from _differences(differences, top_words)
    if comparison.notes:
        yield Text("\n".join(f"note: {note}" for note in comparison.notes))


def _systems(comparison: Comparison) -> Table:
    columns = (
        *("model", "run", "device requested → used", "WER (errors/words)", "S D I", "failed"),
        *("WER of the others", "RTFx"),
    )
    wer = comparison.wer
    caption = (
        f"{comparison.utterances} utterances, {wer.utterances} with a reference that is not empty; normalizer "
        f"{describe_normalizers(wer.normalizer, comparison.normalizers)} ({wer.normalizer_version}). A failed "
        "utterance counts as deletions."
    )
    names = dict.fromkeys(system.dataset for system in comparison.systems)
    speeds = dict(comparison.speed.systems) if comparison.speed else {}
    rows = (_system(system, speeds.get(system.name)) for system in comparison.systems)
    title = f"{' / '.join(names)}: {len(comparison.systems)} systems"
    optional = ("S D I", "failed", "WER of the others", "run")
    return Table(columns=columns, rows=rows, texts=3, optional=optional, title=title, caption=caption)


def _system(system: ComparedSystem, rtfx: float | None) -> tuple[str, ...]:
    words = system.words
    return (
        f"{system.name} (random weights)" if system.info.model.weights_random else system.name,
        system.run,
        describe_device(system.info),
        format_error_rate(words.errors, words.reference_length),
        format_edits(words),
        str(system.failed),
        format_percent(system.finished.rate if system.failed else None),
        format_rtfx(rtfx),
    )


def _wer(wer: WerComparison, unit: str, caveats: Mapping[str, str]) -> Table:
    """Return the difference of every two systems, with its verdict; *caveats* are by the system's name."""
    resampling = wer.resampling
    caption = (
        f"Paired bootstrap of {format_count(wer.blocks, unit)}, {resampling.resamples} resamples, "
        f"seed {resampling.seed}; p of a sign-flip test of the same units. A verdict needs an interval without zero "
        f"and p (Holm) under {1 - resampling.confidence:.2g}."
    )
    rows = (
        _verdict(difference, f"{100 * difference.difference:+.2f}", scale=100, caveats=caveats)
        for difference in wer.differences
    )
    figures = ("WER, points", "P(fewer errors)")
    return _verdicts("difference in word error rate", figures, rows, resampling=resampling, caption=caption)


def _speed(speed: SpeedComparison, unit: str, caveats: Mapping[str, str]) -> Table:
    reasons = dict.fromkeys(ratio.reason for ratio in speed.ratios if ratio.reason)
    caption = (
        f"Over {speed.utterances} utterances that all transcribed, on one machine, {format_count(speed.blocks, unit)}; "
        "the interval covers the choice of utterances and passes. A verdict needs three alternating passes of each "
        "model in one run on an idle machine, whose speeds do not overlap."
    ) + "".join(f"\nNo verdict: {reason}." for reason in reasons)
    rows = (_verdict(ratio, f"{ratio.ratio:.2f}", scale=1, caveats=caveats) for ratio in speed.ratios)
    figures = ("RTFx ratio", "P(less time)")
    return _verdicts("speed", figures, rows, resampling=speed.resampling, caption=caption)


def _verdicts(
    title: str, figures: tuple[str, str], rows: Iterable[Iterable[str | Text]], *, resampling: Resampling, caption: str
) -> Table:
    figure, probability = figures
    interval = f"{100 * resampling.confidence:g} % interval"
    columns = ("model", "compared with", "verdict", figure, interval, probability, "p", "p (Holm)")
    optional = ("p (Holm)", probability, "p")
    return Table(columns=columns, rows=rows, texts=3, optional=optional, title=title, caption=caption)


def _verdict(
    difference: WerDifference | SpeedRatio, figure: str, *, scale: int, caveats: Mapping[str, str]
) -> Iterator[str | Text]:
    remarks = [f"; {name}: {caveats[name]}" for name in (difference.candidate, difference.baseline) if name in caveats]
    yield from (difference.candidate, difference.baseline)
    yield Text.assemble((difference.verdict, _STYLES.get(difference.verdict, "")), *remarks)
    yield figure
    if difference.verdict == TOO_FEW:
        yield from ("-",) * 4
    else:
        yield f"{scale * difference.interval.low:.2f} to {scale * difference.interval.high:.2f}"
        yield f"{difference.improvement:.3f}"
        yield from (f"{p_value:.2g}" for p_value in (difference.p_value, difference.p_adjusted))


def _differences(differences: WordDifferences, top_words: int) -> Iterator[Table | Text]:
    """Yield the word errors in which two systems differ."""
    yield Text(
        f"words of the references: both right {differences.both_right}, "
        f"only {differences.baseline} {differences.baseline_only}, "
        f"only {differences.candidate} {differences.candidate_only}, neither {differences.neither}"
    )
    for name, other, mistakes in (
        (differences.baseline, differences.candidate, differences.baseline_mistakes),
        (differences.candidate, differences.baseline, differences.candidate_mistakes),
    ):
        rows = [
            (
                mistake.reference or "(nothing)",
                mistake.hypothesis or "(nothing)",
                ", ".join(mistake.ids[:MAX_UTTERANCES_SHOWN]) + (", …" if mistake.ids[MAX_UTTERANCES_SHOWN:] else ""),
                str(mistake.count),
            )
            for mistake in mistakes[:top_words]
        ]
        if rows:
            title = f"{name}: mistakes that {other} does not make"
            columns = ("reference", "hypothesis", "utterances", "times")
            yield Table(columns=columns, rows=rows, texts=3, optional=("utterances",), title=title)


def scoring_view(scoring: Scoring, *, top_words: int) -> Iterator[Table | Text]:
    """Yield the scores of the files, missing utterances, the comparison of the files, and further metrics."""
    yield _files(scoring)
    if scoring.unknown_language:
        cure = "if they are English, give --language en"
        yield Text(unknown_languages(scoring.unknown_language, scoring.utterances, cure=cure))
    for file in scoring.files:
        if file.missing:
            yield Text(f"{file.name}: {len(file.missing)} missing, counted as deletions: {_shorten_ids(file.missing)}")
        if file.extra:
            yield Text(f"{file.name}: {len(file.extra)} without a reference, left out: {_shorten_ids(file.extra)}")
    if scoring.wer:
        yield _wer(scoring.wer, scoring.bootstrap_unit or "utterance", {})
    yield from metrics_view(scoring.figures)
    for differences in scoring.differences if top_words else ():
        yield from _differences(differences, top_words)


def _shorten_ids(ids: tuple[str, ...]) -> str:
    more = f", and {len(ids) - MAX_IDS_SHOWN} more" if len(ids) > MAX_IDS_SHOWN else ""
    return f"{', '.join(ids[:MAX_IDS_SHOWN])}{more}"


def _files(scoring: Scoring) -> Table:
    first = scoring.files[0].score
    apart = f"; {first.empty_references} empty references apart" if first.empty_references else ""
    normalizer = describe_normalizers(first.normalizer, first.normalizers)
    caption = f"references: {scoring.references}; normalizer {normalizer} ({first.normalizer_version}){apart}"
    columns = ("hypotheses", "format", "WER (errors/words)", "S D I", "CER", "MER", "WIL", "missing")
    rows = map(_scored_file, scoring.files)
    optional = ("missing", "CER", "S D I", "format", "MER", "WIL")
    title = f"{scoring.utterances} utterances"
    return Table(columns=columns, rows=rows, texts=2, optional=optional, title=title, caption=caption)


def _scored_file(file: ScoredFile) -> tuple[str, ...]:
    words, score = file.score.words, file.score
    return (
        file.name,
        file.format,
        format_error_rate(words.errors, words.reference_length),
        format_edits(words),
        *map(format_percent, (score.cer, score.mer, score.wil)),
        str(len(file.missing)),
    )
