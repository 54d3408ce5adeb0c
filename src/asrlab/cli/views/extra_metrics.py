"""Further metrics of runs for a terminal: normalizers, entities and suspect references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from asrlab.evaluation.metrics import EntityCounts, EntityScore, SuspectReference, SuspectReport, describe_normalizers
from asrlab.evaluation.reports.extra_metrics import MissedEntity, NormalizerScores, RunMetrics
from asrlab.evaluation.reports.formatting import format_error_rate
from asrlab.terminal.screen import Text

SUSPECTS_SHOWN = 20
MISSED_SHOWN = 10


def show_figures(screen: Console, figures: RunMetrics) -> None:
    """Print the metrics that are available."""
    for part in figures_table(figures):
        screen.print()
        screen.print(part, soft_wrap=isinstance(part, Text))


def figures_table(figures: RunMetrics) -> Iterator[Table | Text]:
    """Yield a table for each available metric, then the notes."""
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


def new_table(title: str, columns: Iterable[str], *, texts: int, caption: str = "") -> Table:
    """Return a table whose first *texts* columns are aligned left, and the others right."""
    table = Table(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    for index, name in enumerate(columns):
        is_text = index < texts
        table.add_column(Text(name), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    return table


def unknown_languages(unknown: int, total: int, *, cure: str) -> str:
    """Return a note on utterances that have the normalizer ``basic`` because their language is unknown."""
    return f"note: {unknown} of {total} utterances do not say their language and have the normalizer basic; {cure}"


def _normalizers(rows: Sequence[NormalizerScores]) -> Table:
    systems = [name for name, _ in rows[0].scores]
    columns = ["normalizer", "order by WER", *(f"{name} WER" for name in systems)]
    caption = "\n".join(f"{row.normalizer}: {row.normalizer_version}" for row in rows)
    table = new_table("the same texts under several normalizers", columns, texts=2, caption=caption)
    for row in rows:
        rates = [format_error_rate(score.words.errors, score.words.reference_length) for _, score in row.scores]
        normalizer = describe_normalizers(row.normalizer, row.scores[0][1].normalizers)
        table.add_row(*map(Text, (normalizer, _order(row, systems), *rates)))
    return table


def _order(row: NormalizerScores, systems: Sequence[str]) -> str:
    if len(systems) < 2:
        return "-"
    order = " < ".join(" = ".join(group) for group in row.order)
    return f"changes: {order}" if row.order_changes else order


def _entities(rows: Sequence[tuple[str, EntityScore]]) -> Table:
    columns = ["model", "all entities", "numbers", "dates", "money", "names"]
    caption = "wrong or missed, of those in the references; names are recognized by the references' capitals"
    table = new_table("entity error rate (English)", columns, texts=1, caption=caption)
    for name, score in rows:
        kinds = (score.total, score.numbers, score.dates, score.money, score.names)
        table.add_row(Text(name), *(Text(_entity_rate(counts)) for counts in kinds))
    return table


def _entity_rate(counts: EntityCounts | None) -> str:
    return "-" if counts is None else format_error_rate(counts.missed + counts.wrong, counts.references)


def _missed(missed: Sequence[MissedEntity], systems: Sequence[str]) -> Table:
    caption = f"{len(missed) - MISSED_SHOWN} more are in --json" if len(missed) > MISSED_SHOWN else ""
    columns = ["utterance", "kind", "said", *systems]
    table = new_table("entities that most missed", columns, texts=len(columns), caption=caption)
    for entity in missed[:MISSED_SHOWN]:
        instead = dict(entity.instead)
        written = ((instead[name] or "(nothing)") if name in instead else "as said" for name in systems)
        table.add_row(*map(Text, (entity.id, entity.kind, entity.reference, *written)))
    return table


def _suspects(report: SuspectReport) -> Iterator[Table | Text]:
    if not report.suspects:
        yield Text("no reference is contradicted alike by two models or more")
        return
    more = f" ({len(report.suspects) - SUSPECTS_SHOWN} more are in --json)"
    caption = (
        f"{len(report.suspects)} places{more if len(report.suspects) > SUSPECTS_SHOWN else ''}; listen to them: models "
        "trained on the same data make the same mistakes, too. Models of the same weights count once."
    )
    table = new_table(
        "references that models doubt", ["utterance", "word", "reference", "instead", "agree"], texts=5, caption=caption
    )
    for suspect in report.suspects[:SUSPECTS_SHOWN]:
        table.add_row(*map(Text, _suspect(suspect)))
    yield table
    without = new_table("WER with those places and without", ["model", "with", "without"], texts=1)
    for row in report.systems:
        rates = (format_error_rate(counts.errors, counts.reference_length) for counts in (row.words, row.without))
        without.add_row(*map(Text, (row.system, *rates)))
    yield without


def _suspect(suspect: SuspectReference) -> tuple[str, ...]:
    position = str(suspect.word + 1)
    return (
        suspect.id,
        position,
        suspect.reference or "(nothing)",
        suspect.instead or "(nothing)",
        ", ".join(suspect.agreeing),
    )
