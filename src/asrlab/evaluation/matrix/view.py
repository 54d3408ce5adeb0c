"""The matrix as text for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asrlab.evaluation.matrix.records import CellResult, CheckResult, CheckStatus, Figure, MatrixRecord

_SKIPPED: tuple[CheckStatus, ...] = ("refused", "not here")
_STATUSES: tuple[CheckStatus, ...] = ("ran", "failed", *_SKIPPED)
_SHA256_CHARS = 12


@attrs.frozen(kw_only=True, eq=False)
class _TableColumn:
    """A column of the table: a device of a record.

    Attributes:
        heading: The column's heading.
        cells: Results by model.
    """

    heading: str
    cells: dict[str, CellResult]


def format_matrix(records: Sequence[MatrixRecord], *, width: int) -> str:
    """Format one table of all *records*, followed by skipped checks, failures, figures, machines and kernels."""
    columns = [column for record in records for column in _columns(record, labelled=len(records) > 1)]
    models = list(dict.fromkeys(model for column in columns for model in column.cells))
    parts = [
        _render(_status_table(models, columns), width),
        "\n".join(_skipped(models, columns)),
        "\n".join(_failures(models, columns)),
        _render(figures, width) if (figures := _figures(models, columns)).row_count else "",
        "\n".join(_machines(records)),
        "\n\n".join(_kernels(models, columns)),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part.strip()) + "\n"


def _columns(record: MatrixRecord, *, labelled: bool) -> Iterator[_TableColumn]:
    for name in dict.fromkeys(cell.column for cell in record.cells):
        cells = {cell.model: cell for cell in record.cells if cell.column == name}
        device = f"{name} (simulated)" if any(cell.simulated for cell in cells.values()) else name
        yield _TableColumn(heading=f"{device}\n{record.label}" if labelled else device, cells=cells)


def _render(table: Table, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _new_table(title: str, headings: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.ASCII2, show_lines=True)
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    return table


def _status_table(models: Sequence[str], columns: Sequence[_TableColumn]) -> Table:
    table = _new_table("status of the checks", ["engine/model, weights", *(column.heading for column in columns)])
    for model in models:
        cells = [column.cells.get(model) for column in columns]
        table.add_row(Text(f"{model}\n{_weights(cells)}"), *(Text(_cell(cell)) for cell in cells))
    return table


def _weights(cells: Iterable[CellResult | None]) -> str:
    """Describe the weights of a row: the start of the checksum, random weights, or no weights."""
    infos = [cell.facts.info for cell in cells if cell is not None and cell.facts is not None]
    if not infos:
        return "not loaded"
    checksums = sorted({info.weights_sha256[:_SHA256_CHARS] for info in infos if info.weights_sha256})
    if any(info.weights_random for info in infos):
        return "random weights"
    return f"sha256 {', '.join(checksums)}" if checksums else "no weights"


def _cell(cell: CellResult | None) -> str:
    if cell is None:
        return "-"
    if cell.outcome in _SKIPPED:
        return cell.outcome
    counts = [f"{number} {status}" for status in _STATUSES if (number := cell.count(status))]
    first = cell.first_failure
    return ", ".join(counts) + (f"\n{first.name}: {first.error}" if first else "")


def _all_cells(models: Sequence[str], columns: Sequence[_TableColumn]) -> Iterator[tuple[str, CellResult]]:
    for model in models:
        for column in columns:
            if model in column.cells:
                yield " ".join(column.heading.splitlines()), column.cells[model]


def _skipped(models: Sequence[str], columns: Sequence[_TableColumn]) -> Iterator[str]:
    """Yield the counts of cells, then each reason for skipping with the skipped cells and checks."""
    cells = list(_all_cells(models, columns))
    reasons: dict[tuple[CheckStatus, str], list[str]] = {}
    n_skipped = 0
    for heading, cell in cells:
        n_skipped += cell.outcome in _SKIPPED
        for check in cell.checks:
            if check.outcome in _SKIPPED:
                cell_name = f"{cell.model} on {heading}"
                name = cell_name if cell.outcome in _SKIPPED else f"{check.name} of {cell_name}"
                reasons.setdefault((check.outcome, check.detail), []).append(name)
    n_failed = sum(cell.outcome == "failed" for _, cell in cells)
    yield f"{len(cells)} cells: {len(cells) - n_skipped - n_failed} ran, {n_failed} failed, {n_skipped} skipped"
    for (status, reason), names in reasons.items():
        yield f"  {status}: {', '.join(names)}: {reason}"


def _failures(models: Sequence[str], columns: Sequence[_TableColumn]) -> Iterator[str]:
    for heading, cell in _all_cells(models, columns):
        for check in cell.checks:
            if check.outcome == "failed":
                yield f"failed: {cell.model} on {heading}: {check.name}: {check.error}"


def _figures(models: Sequence[str], columns: Sequence[_TableColumn]) -> Table:
    headings = ("model", "device", "result", "largest", "relative", "tolerance")
    table = _new_table("differences from the CPU", headings)
    table.show_lines = False
    for heading, cell in _all_cells(models, columns):
        for check in cell.checks:
            for figure in check.figures:
                unit = f" {figure.unit}" if figure.unit else ""
                largest = f"{_number(figure.largest)}{unit}"
                texts = (cell.model, heading, figure.name, largest, _number(figure.relative), _tolerance(figure, check))
                table.add_row(*map(Text, texts))
    return table


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
        platform = f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores"
        yield f"{record.label}, {record.date}: {platform}, {machine.python}, {'; '.join(backends) or 'no torch'}"
        yield f"  {', '.join(f'{package.name} {package.version}' for package in record.packages)}"


def _kernels(models: Sequence[str], columns: Sequence[_TableColumn]) -> Iterator[str]:
    """Yield the summary of each simulated cell and its operators without a kernel; the record has all operators."""
    for heading, cell in _all_cells(models, columns):
        lines = cell.kernel_table.splitlines()
        if lines:
            missing = [line for line in lines[1:] if "no kernel" in line]
            yield "\n".join([f"{cell.model} on {heading}: {lines[0]}", *missing])
