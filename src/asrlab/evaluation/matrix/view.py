"""How the matrix looks in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asrlab.evaluation.matrix.records import CellResult, CheckResult, Figure, MatrixRecord, Outcome

_ABSENT: tuple[Outcome, ...] = ("refused", "not here")
_SHA256_SHOWN = 12


@attrs.frozen(kw_only=True, eq=False)
class _Column:
    """A device of a record.

    Attributes:
        heading: Of the column.
        cells: By model.
    """

    heading: str
    cells: dict[str, CellResult]


def view(records: Sequence[MatrixRecord], *, width: int) -> str:
    """One table of all *records*, and below it what was skipped and why, the figures, the machines, the kernels."""
    columns = [column for record in records for column in _columns(record, labelled=len(records) > 1)]
    models = list(dict.fromkeys(model for column in columns for model in column.cells))
    parts = [
        _rendered(_table(models, columns), width),
        "\n".join(_skipped(models, columns)),
        "\n".join(_failures(models, columns)),
        _rendered(figures, width) if (figures := _figures(models, columns)).row_count else "",
        "\n".join(_machines(records)),
        "\n\n".join(_kernels(models, columns)),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part.strip()) + "\n"


def _columns(record: MatrixRecord, *, labelled: bool) -> Iterator[_Column]:
    for name in dict.fromkeys(cell.column for cell in record.cells):
        cells = {cell.model: cell for cell in record.cells if cell.column == name}
        said = f"{name} (simulated)" if any(cell.simulated for cell in cells.values()) else name
        yield _Column(heading=f"{said}\n{record.label}" if labelled else said, cells=cells)


def _rendered(table: Table, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _new_table(title: str, headings: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.ASCII2, show_lines=True)
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    return table


def _table(models: Sequence[str], columns: Sequence[_Column]) -> Table:
    table = _new_table("what ran", ["engine/model, weights", *(column.heading for column in columns)])
    for model in models:
        cells = [column.cells.get(model) for column in columns]
        table.add_row(Text(f"{model}\n{_weights(cells)}"), *(Text(_cell(cell)) for cell in cells))
    return table


def _weights(cells: Iterable[CellResult | None]) -> str:
    """The weights of a row: a checksum's beginning, or that they are random, or that there are none."""
    infos = [cell.facts.info for cell in cells if cell is not None and cell.facts is not None]
    if not infos:
        return "not loaded"
    sums = sorted({info.weights_sha256[:_SHA256_SHOWN] for info in infos if info.weights_sha256})
    if any(info.weights_random for info in infos):
        return "random weights"
    return f"sha256 {', '.join(sums)}" if sums else "no weights"


def _cell(cell: CellResult | None) -> str:
    if cell is None:
        return "-"
    if cell.outcome in _ABSENT:
        return cell.outcome
    counts = [f"{number} {each}" for each in ("ran", "failed", *_ABSENT) if (number := cell.count(each))]
    first = cell.first_failure
    return ", ".join(counts) + (f"\n{first.name}: {first.error}" if first else "")


def _all(models: Sequence[str], columns: Sequence[_Column]) -> Iterator[tuple[str, CellResult]]:
    for model in models:
        for column in columns:
            if model in column.cells:
                yield " ".join(column.heading.splitlines()), column.cells[model]


def _skipped(models: Sequence[str], columns: Sequence[_Column]) -> Iterator[str]:
    """How many cells and single checks were skipped, and each reason with those that it is the reason of."""
    cells = list(_all(models, columns))
    reasons: dict[tuple[Outcome, str], list[str]] = {}
    skipped = 0
    for heading, cell in cells:
        skipped += cell.outcome in _ABSENT
        for check in cell.checks:
            if check.outcome in _ABSENT:
                whole = f"{cell.model} on {heading}"
                named = whole if cell.outcome in _ABSENT else f"{check.name} of {whole}"
                reasons.setdefault((check.outcome, check.detail), []).append(named)
    failed = sum(cell.outcome == "failed" for _, cell in cells)
    yield f"{len(cells)} cells: {len(cells) - skipped - failed} ran, {failed} failed, {skipped} skipped"
    for (outcome, reason), names in reasons.items():
        yield f"  {outcome}: {', '.join(names)}: {reason}"


def _failures(models: Sequence[str], columns: Sequence[_Column]) -> Iterator[str]:
    for heading, cell in _all(models, columns):
        for check in cell.checks:
            if check.outcome == "failed":
                yield f"failed: {cell.model} on {heading}: {check.name}: {check.error}"


def _figures(models: Sequence[str], columns: Sequence[_Column]) -> Table:
    headings = ("model", "device", "of", "largest", "relative", "tolerance")
    table = _new_table("differences from the CPU", headings)
    table.show_lines = False
    for heading, cell in _all(models, columns):
        for check, figure in _measured(cell):
            unit = f" {figure.unit}" if figure.unit else ""
            cells = (cell.model, heading, figure.name, f"{_number(figure.largest)}{unit}", _number(figure.relative))
            table.add_row(*map(Text, (*cells, _tolerance(figure, check))))
    return table


def _measured(cell: CellResult) -> Iterator[tuple[CheckResult, Figure]]:
    for check in cell.checks:
        for figure in check.figures:
            yield check, figure


def _tolerance(figure: Figure, check: CheckResult) -> str:
    if figure.tolerance is None:
        return "none set"
    return f"{figure.tolerance:.3g}" if figure.within else f"{figure.tolerance:.3g}: {check.outcome}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _machines(records: Iterable[MatrixRecord]) -> Iterator[str]:
    for record in records:
        machine = record.machine
        backends = sorted({cell.facts.backend for cell in record.cells if cell.facts and cell.facts.backend})
        where = f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores"
        yield f"{record.label}, {record.date}: {where}, {machine.python}, {'; '.join(backends) or 'no torch loaded'}"
        yield f"  {', '.join(f'{package.name} {package.version}' for package in record.packages)}"


def _kernels(models: Sequence[str], columns: Sequence[_Column]) -> Iterator[str]:
    """The summary and the operators without a kernel; all of them are in the record."""
    for heading, cell in _all(models, columns):
        lines = cell.kernel_table.splitlines()
        if lines:
            lacking = [line for line in lines[1:] if "no kernel" in line]
            yield "\n".join([f"{cell.model} on {heading}: {lines[0]}", *lacking])
