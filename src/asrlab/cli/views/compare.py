"""Tables of comparisons and of scored files for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from asrlab.cli.views.extra_metrics import figures_table, new_table, unknown_languages
from asrlab.evaluation.metrics import (
    AlignedWord,
    Confusion,
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
from asrlab.evaluation.reports.score_files import ScoredFile, Scoring
from asrlab.evaluation.reports.scored_system import alignment_spans
from asrlab.evaluation.reports.sentences import TOO_FEW
from asrlab.terminal.screen import Text

LEGEND = "[-in the reference only-] {+in the hypothesis only+}"
MAX_UTTERANCES_SHOWN = 3
MAX_IDS_SHOWN = 5


def show_comparison(screen: Console, comparison: Comparison, *, words: int) -> None:
    """Print the headline of a comparison, its tables, and notes.

    Args:
        screen: The console.
        comparison: The comparison.
        words: Number of word errors shown of each system; 0 for none.
    """
    for line in comparison.headline:
        screen.print(Text(line, style="bold"), soft_wrap=True)
    for part in comparison_view(comparison, words=words):
        screen.print()
        screen.print(part, soft_wrap=isinstance(part, Text))


def comparison_view(comparison: Comparison, *, words: int) -> Iterator[Table | Text]:
    """Yield everything below the headline."""
    yield _systems(comparison)
    caveats = dict(comparison.language_caveats)
    yield wer_table(comparison.wer, comparison.bootstrap_unit, caveats)
    if comparison.speed:
        yield _speed(comparison.speed, comparison.bootstrap_unit, caveats)
    else:
        yield Text(f"speed is not compared: {comparison.why_no_speed}")
    yield from figures_table(comparison.figures)
    for differences in comparison.differences if words else ():
        yield from differences_view(differences, words)
    if comparison.notes:
        yield Text("\n".join(f"note: {note}" for note in comparison.notes))


def _systems(comparison: Comparison) -> Table:
    columns = [
        "model",
        "run",
        "device requested → used",
        "WER (errors/words)",
        "S D I",
        "failed",
        "WER of the others",
        "RTFx",
    ]
    scored = comparison.wer.utterances
    caption = (
        f"{comparison.utterances} utterances, {scored} with a reference that is not empty; normalizer "
        f"{describe_normalizers(comparison.wer.normalizer, comparison.normalizers)} "
        f"({comparison.wer.normalizer_version}). A failed utterance counts as deletions."
    )
    names = dict.fromkeys(system.dataset for system in comparison.systems)
    table = new_table(f"{' / '.join(names)}: {len(comparison.systems)} systems", columns, texts=3, caption=caption)
    speeds = dict(comparison.speed.systems) if comparison.speed else {}
    for system in comparison.systems:
        table.add_row(*map(Text, _row(system, speeds.get(system.name))))
    return table


def _row(system: ComparedSystem, rtfx: float | None) -> tuple[str, ...]:
    words, finished, info = system.words, system.finished, system.info
    return (
        f"{system.name} (random weights)" if info.model.weights_random else system.name,
        system.run,
        describe_device(info),
        format_error_rate(words.errors, words.reference_length),
        format_edits(words),
        str(system.failed),
        format_percent(finished.rate if system.failed else None),
        format_rtfx(rtfx),
    )


def wer_table(wer: WerComparison, unit: str, caveats: Mapping[str, str] | None = None) -> Table:
    """Return the difference of every two systems, with its verdict; *caveats* are by the system's name."""
    resampling = wer.resampling
    caption = (
        f"Paired bootstrap of {format_count(wer.blocks, unit)}, {resampling.resamples} resamples, "
        f"seed {resampling.seed}; p of a sign-flip test of the same units. A verdict needs an interval without zero "
        f"and p (Holm) under {1 - resampling.confidence:.2g}."
    )
    table = _verdicts("difference in word error rate", "WER, points", "P(fewer errors)", resampling, caption)
    for difference in wer.differences:
        table.add_row(*_verdict(difference, f"{100 * difference.difference:+.2f}", scale=100, caveats=caveats or {}))
    return table


def _speed(speed: SpeedComparison, unit: str, caveats: Mapping[str, str]) -> Table:
    caption = (
        f"Over {speed.utterances} utterances that all transcribed, on one machine, {format_count(speed.blocks, unit)}; "
        "the interval covers the choice of utterances and passes. A verdict needs three alternating passes of each "
        "model in one run on an idle machine, whose speeds do not overlap."
    )
    reasons = dict.fromkeys(ratio.reason for ratio in speed.ratios if ratio.reason)
    caption = "\n".join((caption, *(f"No verdict: {reason}." for reason in reasons)))
    table = _verdicts("speed", "RTFx ratio", "P(less time)", speed.resampling, caption)
    for ratio in speed.ratios:
        table.add_row(*_verdict(ratio, f"{ratio.ratio:.2f}", scale=1, caveats=caveats))
    return table


def _verdicts(title: str, figure: str, probability: str, resampling: Resampling, caption: str) -> Table:
    interval = f"{100 * resampling.confidence:g} % interval"
    columns = ["model", "compared with", figure, interval, probability, "p", "p (Holm)", "verdict"]
    table = new_table(title, columns, texts=2, caption=caption)
    table.columns[-1].no_wrap = False  # a caveat may follow the verdict
    return table


def _verdict(
    difference: WerDifference | SpeedRatio, figure: str, *, scale: int, caveats: Mapping[str, str]
) -> Iterator[Text]:
    interval = f"{scale * difference.interval.low:.2f} to {scale * difference.interval.high:.2f}"
    statistics = (
        interval,
        f"{difference.improvement:.3f}",
        f"{difference.p_value:.2g}",
        f"{difference.p_adjusted:.2g}",
    )
    few = difference.verdict == TOO_FEW
    yield from map(
        Text, (difference.candidate, difference.baseline, figure, *("-" * len(statistics) if few else statistics))
    )
    remarks = [f"; {name}: {caveats[name]}" for name in (difference.candidate, difference.baseline) if name in caveats]
    yield Text.assemble((difference.verdict, _style(difference.verdict)), *remarks)


def _style(verdict: str) -> str:
    return {"better": "green", "faster": "green", "worse": "red", "slower": "red"}.get(verdict, "")


def differences_view(differences: WordDifferences, words: int) -> Iterator[Table | Text]:
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
        if mistakes:
            yield _mistakes(f"{name}: mistakes that {other} does not make", mistakes[:words])


def _mistakes(title: str, mistakes: Sequence[Confusion]) -> Table:
    table = new_table(title, ["reference", "hypothesis", "utterances", "times"], texts=3)
    for mistake in mistakes:
        ids = ", ".join(mistake.ids[:MAX_UTTERANCES_SHOWN]) + (", …" if len(mistake.ids) > MAX_UTTERANCES_SHOWN else "")
        reference, hypothesis = mistake.reference or "(nothing)", mistake.hypothesis or "(nothing)"
        table.add_row(*map(Text, (reference, hypothesis, ids, str(mistake.count))))
    return table


def marked(words: Sequence[AlignedWord]) -> Text:
    """Return the words of an alignment with marks around the differences."""
    return Text(" ").join(_parts(words))


def _parts(words: Sequence[AlignedWord]) -> Iterator[Text]:
    for span in alignment_spans(words):
        if span.is_equal:
            yield Text(span.reference)
            continue
        if span.reference:
            yield Text(f"[-{span.reference}-]", style="red")
        if span.hypothesis:
            yield Text(f"{{+{span.hypothesis}+}}", style="green")


def show_scoring(screen: Console, scoring: Scoring, *, words: int) -> None:
    """Print the scores of the files, their comparison, missing utterances, and further metrics."""
    screen.print(_files(scoring))
    for part in _below_scores(scoring, words):
        screen.print()
        screen.print(part, soft_wrap=isinstance(part, Text))


def _below_scores(scoring: Scoring, words: int) -> Iterator[Table | Text]:
    if scoring.unknown_language:
        cure = "if they are English, give --language en"
        yield Text(unknown_languages(scoring.unknown_language, scoring.utterances, cure=cure))
    for file in scoring.files:
        if file.missing:
            yield Text(f"{file.name}: {len(file.missing)} missing, counted as deletions: {_shorten_ids(file.missing)}")
        if file.extra:
            yield Text(f"{file.name}: {len(file.extra)} without a reference, left out: {_shorten_ids(file.extra)}")
    if scoring.wer:
        yield wer_table(scoring.wer, scoring.bootstrap_unit or "utterance")
    yield from figures_table(scoring.figures)
    for differences in scoring.differences if words else ():
        yield from differences_view(differences, words)


def _shorten_ids(ids: tuple[str, ...]) -> str:
    more = f", and {len(ids) - MAX_IDS_SHOWN} more" if len(ids) > MAX_IDS_SHOWN else ""
    return f"{', '.join(ids[:MAX_IDS_SHOWN])}{more}"


def _files(scoring: Scoring) -> Table:
    columns = ["hypotheses", "format", "WER (errors/words)", "S D I", "CER", "MER", "WIL", "missing"]
    first = scoring.files[0].score
    apart = f"; {first.empty_references} empty references apart" if first.empty_references else ""
    normalizer = describe_normalizers(first.normalizer, first.normalizers)
    caption = f"references: {scoring.references}; normalizer {normalizer} ({first.normalizer_version}){apart}"
    table = new_table(f"{scoring.utterances} utterances", columns, texts=2, caption=caption)
    for file in scoring.files:
        table.add_row(*map(Text, _scored_row(file)))
    return table


def _scored_row(file: ScoredFile) -> tuple[str, ...]:
    words, score = file.score.words, file.score
    return (
        file.name,
        file.format,
        format_error_rate(words.errors, words.reference_length),
        format_edits(words),
        format_percent(score.cer),
        format_percent(score.mer),
        format_percent(score.wil),
        str(len(file.missing)),
    )
