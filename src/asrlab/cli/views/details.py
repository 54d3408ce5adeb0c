"""Details of runs for a terminal: latency, errors by group, worst utterances, gates and provenance."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from asrlab.cli.views.compare import LEGEND, marked
from asrlab.cli.views.extra_metrics import new_table
from asrlab.evaluation.metrics import LatencySummary
from asrlab.evaluation.reports.details import Breakdown, Details, GateCounts, RunFacts, SystemFacts
from asrlab.evaluation.reports.formatting import format_error_rate
from asrlab.evaluation.reports.scored_system import LatencyHistograms, WorstUtterance
from asrlab.terminal.screen import Text

GROUPS_SHOWN = 10
_LEVELS = " ▁▂▃▄▅▆▇█"


def show_details(screen: Console, details: Details) -> None:
    """Print the details."""
    for part in details_view(details):
        screen.print()
        screen.print(part, soft_wrap=isinstance(part, Text))


def details_view(details: Details) -> Iterator[Table | Text]:
    """Yield latencies, errors by group, the worst utterances, gates, systems, and machines."""
    if details.latency.edges:
        yield _latency(details.latency)
    names = [system.name for system in details.systems]
    yield from (_breakdown(breakdown, names) for breakdown in details.breakdowns if breakdown.groups)
    if details.worst:
        yield Text("\n").join(_worst(details.worst))
    if details.gates:
        yield Text("\n").join(_gates(details.gates, names))
    if details.provenance:
        yield Text("\n").join(line for facts in details.provenance for line in _provenance(facts))
    yield Text("\n").join(map(_environment, details.runs))


def _latency(view: LatencyHistograms) -> Table:
    columns = ["model", "measured", "p50", "p90", "p95", "p99", "longest", "spread"]
    caption = (
        "Seconds of decoding and inference an utterance, every repeat; p99 from 100 on. spread: from "
        f"{view.edges[0]:.2g} to {view.edges[-1]:.2g} s, each step the same factor."
    )
    table = new_table("latency", columns, texts=1, caption=caption)
    for system in view.systems:
        figures = map(Text, (system.name, str(system.summary.samples), *_percentiles(system.summary)))
        table.add_row(*figures, Text(_spread(system.counts)))
    return table


def _percentiles(summary: LatencySummary) -> Iterator[str]:
    for value in (summary.p50, summary.p90, summary.p95, summary.p99, summary.maximum):
        yield "-" if value is None else f"{value:.3g} s"


def _spread(counts: tuple[int, ...]) -> str:
    """Return a histogram with a character for each bin; a bin that is not empty is always visible."""
    most = max(counts, default=0) or 1
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[max(1, round(top * count / most)) if count else 0] for count in counts)


def _breakdown(breakdown: Breakdown, names: list[str]) -> Table:
    remaining = len(breakdown.groups) - GROUPS_SHOWN
    caption = (
        f"the {GROUPS_SHOWN} with the most errors; {remaining} more are in: asrlab report" if remaining > 0 else ""
    )
    columns = [breakdown.grouped_by, "utterances", *(f"{name} WER" for name in names)]
    table = new_table(f"errors by {breakdown.grouped_by}", columns, texts=1, caption=caption)
    for group in breakdown.groups[:GROUPS_SHOWN]:
        rates = (format_error_rate(counts.errors, counts.reference_length) for counts in group.errors)
        table.add_row(*map(Text, (group.name, str(group.utterances), *rates)))
    return table


def _worst(utterances: tuple[WorstUtterance, ...]) -> Iterator[Text]:
    yield Text(f"utterances with the most errors  {LEGEND}")
    width = max(len(name) for name, _ in utterances[0].scored)
    for utterance in utterances:
        yield Text(utterance.id, style="bold")
        for name, outcome in utterance.scored:
            words = outcome.counts.reference_length if outcome.counts else 0
            yield Text.assemble(f"  {name.ljust(width)}  {outcome.errors}/{words}  ", marked(outcome.words))


def _gates(gates: tuple[GateCounts, ...], names: list[str]) -> Iterator[Text]:
    for index, name in enumerate(names):
        counts = [(gate.gate, *gate.systems[index]) for gate in gates]
        failed = [f"{gate} found something in {number}" for gate, _, number, _ in counts if number]
        unchecked = [f"{gate} did not check {number}" for gate, _, _, number in counts if number]
        whole = sum(not number and not missed for _, _, number, missed in counts)
        summary = ", ".join([*failed, *unchecked, f"{whole} of {len(counts)} passed everywhere"])
        yield Text(f"gates, {name}: {summary}")


def _provenance(facts: SystemFacts) -> Iterator[Text]:
    """Yield a line for each part of a system: device, packages, weights and patches."""
    reason = f" ({facts.device_reason})" if facts.device_reason else ""
    yield Text(f"{facts.name}: device {facts.device}{reason}")
    packages = ", ".join(f"{name} {version}" for name, version in facts.packages) or "no packages reported"
    sha256 = f", sha256 {facts.weights_sha256} ({facts.weights_known})" if facts.weights_sha256 else ""
    yield Text(f"{facts.name}: {packages}; weights: {facts.weights}{sha256}")
    if facts.patches:
        yield Text(f"{facts.name}: patches: {', '.join(f'{patch.name} {patch.status}' for patch in facts.patches)}")


def _environment(run: RunFacts) -> Text:
    facts = dict(run.facts)
    names = ("machine", "system", "load before", "variables", "source tree")
    return Text(f"{run.run}: " + "; ".join(f"{name} {facts[name]}" for name in names if name in facts))
