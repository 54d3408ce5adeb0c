"""Details and further metrics of runs for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asrlab.evaluation.metrics import (
    AlignedWord,
    EntityCounts,
    EntityScore,
    SuspectReport,
    describe_normalizers,
)
from asrlab.evaluation.reports.details import Breakdown, Details, GateCounts, RunFacts, SystemFacts
from asrlab.evaluation.reports.extra_metrics import MissedEntity, NormalizerScores, RunMetrics
from asrlab.evaluation.reports.formatting import format_error_rate
from asrlab.evaluation.reports.scored_system import LatencyHistograms, WorstUtterance, alignment_spans
from asrlab.terminal.screen import Text
from asrlab.terminal.table import Table

LEGEND = "[-in the reference only-] {+in the hypothesis only+}"
GROUPS_SHOWN, MISSED_SHOWN, SUSPECTS_SHOWN = 10, 10, 20
_LEVELS = " ▁▂▃▄▅▆▇█"


def marked(words: Sequence[AlignedWord]) -> Text:
    """Return the words of an alignment with marks around the differences."""
    parts = []
    for span in alignment_spans(words):
        if span.is_equal:
            parts.append(Text(span.reference))
            continue
        if span.reference:
            parts.append(Text(f"[-{span.reference}-]", style="red"))
        if span.hypothesis:
            parts.append(Text(f"{{+{span.hypothesis}+}}", style="green"))
    return Text(" ").join(parts)


def details_view(details: Details) -> Iterator[Table | Text]:
    """Yield latencies, errors by group, the worst utterances, gates, systems, and machines."""
    if details.latency.edges:
        yield _latency(details.latency)
    names = [system.name for system in details.systems]
    yield from (_breakdown(breakdown, names) for breakdown in details.breakdowns if breakdown.groups)
    if details.worst:
        yield worst_view(details.worst)
    if details.gates:
        yield Text("\n".join(f"gates, {name}: {_gates(details.gates, i)}" for i, name in enumerate(names)))
    if details.provenance:
        yield Text("\n".join(line for facts in details.provenance for line in _provenance(facts)))
    yield Text("\n".join(map(_environment, details.runs)))


def _latency(view: LatencyHistograms) -> Table:
    columns = ("model", "measured", "p50", "p90", "p95", "p99", "longest", "spread")
    caption = (
        "Seconds of decoding and inference an utterance, every repeat; p99 from 100 on. spread: from "
        f"{view.edges[0]:.2g} to {view.edges[-1]:.2g} s, each step the same factor."
    )
    rows = []
    for system in view.systems:
        summary = system.summary
        times = (summary.p50, summary.p90, summary.p95, summary.p99, summary.maximum)
        cells = ("-" if value is None else f"{value:.3g} s" for value in times)
        rows.append((system.name, str(summary.samples), *cells, _spread(system.counts)))
    optional = ("p95", "longest", "spread", "p90", "p99", "measured")
    return Table(columns=columns, rows=rows, texts=1, optional=optional, title="latency", caption=caption)


def _spread(counts: tuple[int, ...]) -> str:
    """Return a histogram with a character for each bin; a bin that is not empty is always visible."""
    most = max(counts, default=0) or 1
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[max(1, round(top * count / most)) if count else 0] for count in counts)


def _breakdown(breakdown: Breakdown, names: list[str]) -> Table:
    remaining = len(breakdown.groups) - GROUPS_SHOWN
    caption = f"the {GROUPS_SHOWN} with the most errors; {remaining} more are in: asrlab report"
    columns = (breakdown.grouped_by, "utterances", *(f"{name} WER" for name in names))
    rows = (
        (
            group.name,
            str(group.utterances),
            *(format_error_rate(counts.errors, counts.reference_length) for counts in group.errors),
        )
        for group in breakdown.groups[:GROUPS_SHOWN]
    )
    return Table(
        columns=columns,
        rows=rows,
        texts=1,
        optional=("utterances",),
        title=f"errors by {breakdown.grouped_by}",
        caption=caption if remaining > 0 else "",
    )


def worst_view(utterances: tuple[WorstUtterance, ...]) -> Text:
    """Return utterances with the differences of each system marked."""
    lines = [Text(f"utterances with the most errors  {LEGEND}")]
    width = max(len(name) for name, _ in utterances[0].scored)
    for utterance in utterances:
        lines.append(Text(utterance.id, style="bold"))
        for name, outcome in utterance.scored:
            words = outcome.counts.reference_length if outcome.counts else 0
            lines.append(Text.assemble(f"  {name.ljust(width)}  {outcome.errors}/{words}  ", marked(outcome.words)))
    return Text("\n").join(lines)


def _gates(gates: tuple[GateCounts, ...], index: int) -> str:
    """Summarize the gates of the system at *index*."""
    counts = [(gate.gate, *gate.systems[index]) for gate in gates]
    failed = [f"{gate} found something in {number}" for gate, _, number, _ in counts if number]
    unchecked = [f"{gate} did not check {number}" for gate, _, _, number in counts if number]
    whole = sum(not number and not missed for _, _, number, missed in counts)
    return ", ".join([*failed, *unchecked, f"{whole} of {len(counts)} passed everywhere"])


def _provenance(facts: SystemFacts) -> Iterator[str]:
    """Yield a line for each part of a system: device, packages, weights and patches."""
    reason = f" ({facts.device_reason})" if facts.device_reason else ""
    yield f"{facts.name}: device {facts.device}{reason}"
    packages = ", ".join(f"{name} {version}" for name, version in facts.packages) or "no packages reported"
    sha256 = f", sha256 {facts.weights_sha256} ({facts.weights_known})" if facts.weights_sha256 else ""
    yield f"{facts.name}: {packages}; weights: {facts.weights}{sha256}"
    if facts.patches:
        yield f"{facts.name}: patches: {', '.join(f'{patch.name} {patch.status}' for patch in facts.patches)}"


def _environment(run: RunFacts) -> str:
    facts = dict(run.facts)
    names = ("machine", "system", "load before", "variables", "source tree")
    return f"{run.run}: " + "; ".join(f"{name} {facts[name]}" for name in names if name in facts)


def metrics_view(figures: RunMetrics) -> Iterator[Table | Text]:
    """Yield a table for each available further metric, then the notes."""
    if figures.normalizers:
        yield _normalizers(figures.normalizers)
    if any(score.total.references for _, score in figures.entities):
        yield _entities(figures.entities)
    elif figures.entities:
        yield Text("the references hold no numbers, dates, amounts of money or names")
    if figures.missed:
        yield _missed(figures.missed, figures.systems)
    if figures.suspects:
        yield from _suspects(figures.suspects)
    for note in figures.notes:
        yield Text(f"note: {note}")


def unknown_languages(unknown: int, total: int, *, cure: str) -> str:
    """Return a note on utterances that have the normalizer ``basic`` because their language is unknown."""
    return f"note: {unknown} of {total} utterances do not say their language and have the normalizer basic; {cure}"


def _normalizers(scores: Sequence[NormalizerScores]) -> Table:
    systems = [name for name, _ in scores[0].scores]
    rows = []
    for row in scores:
        order = " < ".join(" = ".join(group) for group in row.order) if len(systems) > 1 else "-"
        rates = (format_error_rate(score.words.errors, score.words.reference_length) for _, score in row.scores)
        normalizer = describe_normalizers(row.normalizer, row.scores[0][1].normalizers)
        rows.append((normalizer, f"changes: {order}" if row.order_changes else order, *rates))
    columns = ("normalizer", "order by WER", *(f"{name} WER" for name in systems))
    caption = "\n".join(f"{row.normalizer}: {row.normalizer_version}" for row in scores)
    title = "the same texts under several normalizers"
    return Table(columns=columns, rows=rows, texts=2, title=title, caption=caption)


def _entities(scores: Sequence[tuple[str, EntityScore]]) -> Table:
    rows = (
        (name, *map(_entity_rate, (score.total, score.numbers, score.dates, score.money, score.names)))
        for name, score in scores
    )
    columns = ("model", "all entities", "numbers", "dates", "money", "names")
    caption = "wrong or missed, of those in the references; names are recognized by the references' capitals"
    title, optional = "entity error rate (English)", ("numbers", "names", "dates", "money")
    return Table(columns=columns, rows=rows, texts=1, optional=optional, title=title, caption=caption)


def _entity_rate(counts: EntityCounts | None) -> str:
    return "-" if counts is None else format_error_rate(counts.missed + counts.wrong, counts.references)


def _missed(missed: Sequence[MissedEntity], systems: Sequence[str]) -> Table:
    caption = f"{len(missed) - MISSED_SHOWN} more are in --json" if len(missed) > MISSED_SHOWN else ""
    rows = []
    for entity in missed[:MISSED_SHOWN]:
        instead = dict(entity.instead)
        written = ((instead[name] or "(nothing)") if name in instead else "as said" for name in systems)
        rows.append((entity.id, entity.kind, entity.reference, *written))
    columns = ("utterance", "kind", "said", *systems)
    title = "entities that most missed"
    return Table(columns=columns, rows=rows, texts=len(columns), optional=("kind",), title=title, caption=caption)


def _suspects(report: SuspectReport) -> Iterator[Table | Text]:
    n_places = len(report.suspects)
    if not n_places:
        yield Text("no reference is contradicted alike by two models or more")
        return
    more = f" ({n_places - SUSPECTS_SHOWN} more are in --json)" if n_places > SUSPECTS_SHOWN else ""
    caption = (
        f"{n_places} places{more}; listen to them: models trained on the same data make the same mistakes, too. Models "
        "of the same weights count once."
    )
    columns = ("utterance", "word", "reference", "instead", "agree")
    rows = (
        (
            suspect.id,
            str(suspect.word + 1),
            suspect.reference or "(nothing)",
            suspect.instead or "(nothing)",
            ", ".join(suspect.agreeing),
        )
        for suspect in report.suspects[:SUSPECTS_SHOWN]
    )
    title, optional = "references that models doubt", ("agree", "word")
    yield Table(columns=columns, rows=rows, texts=5, optional=optional, title=title, caption=caption)
    rates = (
        (row.system, *(format_error_rate(words.errors, words.reference_length) for words in (row.words, row.without)))
        for row in report.systems
    )
    title = "WER with those places and without"
    yield Table(columns=("model", "with", "without"), rows=rates, texts=1, title=title)
