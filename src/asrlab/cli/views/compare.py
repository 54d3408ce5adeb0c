"""How a comparison looks in a terminal."""

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
from asrlab.evaluation.reports.comparison import TOO_FEW, ComparedSystem, Comparison
from asrlab.evaluation.reports.formatting import (
    format_count,
    format_edits,
    format_error_rate,
    format_percent,
    format_rtfx,
)
from asrlab.evaluation.reports.provenance import describe_device
from asrlab.evaluation.reports.score_files import ScoredFile, Scoring
from asrlab.evaluation.reports.scored_system import alignment_spans
from asrlab.terminal.screen import Text

LEGEND = "[-in the reference only-] {+in the hypothesis only+}"
MAX_UTTERANCES_SHOWN = 3
MAX_IDS_SHOWN = 5


def show_comparison(screen: Console, comparison: Comparison, *, words: int) -> None:
    """Print it: what it comes to, the tables, and what to know.

    Args:
        screen: Where.
        comparison: What.
        words: How many word-level differences of each system are shown; 0 for none.
    """
    for line in comparison.headline:
        screen.print(Text(line, style="bold"), soft_wrap=True)
    for each in comparison_view(comparison, words=words):
        screen.print()
        screen.print(each, soft_wrap=isinstance(each, Text))


def comparison_view(comparison: Comparison, *, words: int) -> Iterator[Table | Text]:
    """Everything below the headline."""
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
    made = new_table(f"{' / '.join(names)}: {len(comparison.systems)} systems", columns, texts=3, caption=caption)
    speeds = dict(comparison.speed.systems) if comparison.speed else {}
    for system in comparison.systems:
        made.add_row(*map(Text, _row(system, speeds.get(system.name))))
    return made


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


def wer_table(wer: WerComparison, by: str, caveats: Mapping[str, str] | None = None) -> Table:
    """Return the difference of every two systems, with its verdict; *caveats* are by the system's name."""
    drawn = wer.resampling
    caption = (
        f"Paired bootstrap of {format_count(wer.blocks, by)}, {drawn.resamples} resamples, seed {drawn.seed}; p of a "
        "sign-flip test of the same blocks. A verdict asks for an interval without zero and p (Holm) under "
        f"{1 - drawn.confidence:.2g}."
    )
    made = _verdicts("difference in word error rate", "WER, points", "P(fewer errors)", drawn, caption)
    for found in wer.differences:
        made.add_row(*_verdict(found, f"{100 * found.difference:+.2f}", scale=100, caveats=caveats or {}))
    return made


def _speed(speed: SpeedComparison, unit: str, caveats: Mapping[str, str]) -> Table:
    caption = (
        f"Over {speed.utterances} utterances that all transcribed, on one machine, {format_count(speed.blocks, unit)}; "
        "the interval covers the choice of utterances and passes. A verdict needs three alternating passes of each "
        "model in one run on an idle machine, with every pass of one model faster than every pass of the other."
    )
    reasons = dict.fromkeys(found.reason for found in speed.ratios if found.reason)
    caption = "\n".join((caption, *(f"No verdict: {reason}." for reason in reasons)))
    made = _verdicts("speed", "RTFx ratio", "P(less time)", speed.resampling, caption)
    for found in speed.ratios:
        made.add_row(*_verdict(found, f"{found.ratio:.2f}", scale=1, caveats=caveats))
    return made


def _verdicts(title: str, figure: str, probability: str, drawn: Resampling, caption: str) -> Table:
    interval = f"{100 * drawn.confidence:g} % interval"
    columns = ["model", "compared with", figure, interval, probability, "p", "p (Holm)", "verdict"]
    made = new_table(title, columns, texts=2, caption=caption)
    made.columns[-1].no_wrap = False  # a caveat may follow the verdict
    return made


def _verdict(
    found: WerDifference | SpeedRatio, figure: str, *, scale: int, caveats: Mapping[str, str]
) -> Iterator[Text]:
    interval = f"{scale * found.interval.low:.2f} to {scale * found.interval.high:.2f}"
    drawn = (interval, f"{found.improvement:.3f}", f"{found.p_value:.2g}", f"{found.p_adjusted:.2g}")
    few = found.verdict == TOO_FEW
    yield from map(Text, (found.candidate, found.baseline, figure, *("-" * len(drawn) if few else drawn)))
    remarks = [f"; {name}: {caveats[name]}" for name in (found.candidate, found.baseline) if name in caveats]
    yield Text.assemble((found.verdict, _style(found.verdict)), *remarks)


def _style(verdict: str) -> str:
    return {"better": "green", "faster": "green", "worse": "red", "slower": "red"}.get(verdict, "")


def differences_view(found: WordDifferences, words: int) -> Iterator[Table | Text]:
    """Where two systems differ, word by word."""
    yield Text(
        f"words of the references: both right {found.both_right}, only {found.baseline} {found.baseline_only}, only "
        f"{found.candidate} {found.candidate_only}, neither {found.neither}"
    )
    for name, other, mistakes in (
        (found.baseline, found.candidate, found.baseline_mistakes),
        (found.candidate, found.baseline, found.candidate_mistakes),
    ):
        if mistakes:
            yield _mistakes(f"{name}: mistakes that {other} does not make", mistakes[:words])


def _mistakes(title: str, mistakes: Sequence[Confusion]) -> Table:
    made = new_table(title, ["said", "written", "utterances", "times"], texts=3)
    for each in mistakes:
        places = ", ".join(each.ids[:MAX_UTTERANCES_SHOWN]) + (", …" if len(each.ids) > MAX_UTTERANCES_SHOWN else "")
        said, written = each.reference or "(nothing)", each.hypothesis or "(nothing)"
        made.add_row(*map(Text, (said, written, places, str(each.count))))
    return made


def marked(words: Sequence[AlignedWord]) -> Text:
    """The words of an alignment, what differs with marks around it."""
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
    """Print it: the files, against each other where there are several, what is missing, and the further figures."""
    screen.print(_files(scoring))
    for each in _below(scoring, words):
        screen.print()
        screen.print(each, soft_wrap=isinstance(each, Text))


def _below(scoring: Scoring, words: int) -> Iterator[Table | Text]:
    if scoring.unknown_language:
        cure = "if they are English, give --language en"
        yield Text(unknown_languages(scoring.unknown_language, scoring.utterances, cure=cure))
    for file in scoring.files:
        if file.missing:
            yield Text(f"{file.name}: {len(file.missing)} missing, counted as deletions: {_told(file.missing)}")
        if file.extra:
            yield Text(f"{file.name}: {len(file.extra)} without a reference, left out: {_told(file.extra)}")
    if scoring.wer:
        yield wer_table(scoring.wer, scoring.bootstrap_unit or "utterance")
    yield from figures_table(scoring.figures)
    for differences in scoring.differences if words else ():
        yield from differences_view(differences, words)


def _told(ids: tuple[str, ...]) -> str:
    more = f", and {len(ids) - MAX_IDS_SHOWN} more" if len(ids) > MAX_IDS_SHOWN else ""
    return f"{', '.join(ids[:MAX_IDS_SHOWN])}{more}"


def _files(scoring: Scoring) -> Table:
    columns = ["hypotheses", "form", "WER (errors/words)", "S D I", "CER", "MER", "WIL", "missing"]
    first = scoring.files[0].score
    apart = f"; {first.empty_references} empty references apart" if first.empty_references else ""
    told = describe_normalizers(first.normalizer, first.normalizers)
    caption = f"references: {scoring.references}; normalizer {told} ({first.normalizer_version}){apart}"
    made = new_table(f"{scoring.utterances} utterances", columns, texts=2, caption=caption)
    for file in scoring.files:
        made.add_row(*map(Text, _scored_row(file)))
    return made


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
