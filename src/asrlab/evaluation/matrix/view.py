"""The matrix as text for a terminal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asrlab.evaluation.matrix.records import COLUMNS, CellResult, CheckStatus, MatrixRecord

_SKIPPED: tuple[CheckStatus, ...] = ("refused", "not here")
_STATUSES: tuple[CheckStatus, ...] = ("ran", "failed", *_SKIPPED)
_SHA256_CHARS = 12
type _Column = tuple[str, dict[str, CellResult]]
type _HeadedCell = tuple[str, CellResult]
"""The heading of a cell's column in one line, and the cell."""


def format_matrix(records: Sequence[MatrixRecord], *, width: int) -> str:
    """Format one table of all *records*, followed by skipped checks, failures, figures, machines and kernels."""
    columns = [column for record in records for column in _columns(record, labelled=len(records) > 1)]
    models = list(dict.fromkeys(model for _, column in columns for model in column))
    cells = [
        (" ".join(heading.splitlines()), column[model])
        for model in models
        for heading, column in columns
        if model in column
    ]
    parts = [
        _status_table(models, columns, width),
        "\n".join(_skipped(cells)),
        "\n".join(
            f"failed: {cell.model} on {heading}: {check.name}: {check.error}"
            for heading, cell in cells
            for check in cell.failures
        ),
        _figures(cells, width),
        "\n".join(_machines(records)),
        "\n\n".join(_kernels(cells)),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part.strip()) + "\n"


def _columns(record: MatrixRecord, *, labelled: bool) -> Iterator[_Column]:
    """Yield the heading of each device of *record*, and its cells by model."""
    for name in dict.fromkeys(cell.column for cell in record.cells):
        device = f"{name} (simulated)" if COLUMNS[name].simulated else name
        heading = f"{device}\n{record.label}" if labelled else device
        yield heading, {cell.model: cell for cell in record.cells if cell.column == name}


def _render(title: str, headings: Iterable[str], rows: Sequence[Iterable[str]], *, width: int, lines: bool) -> str:
    """Render a table; empty without rows."""
    if not rows:
        return ""
    table = Table(title=title, title_justify="left", box=box.ASCII2, show_lines=lines)
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _status_table(models: Sequence[str], columns: Sequence[_Column], width: int) -> str:
    rows = []
    for model in models:
        cells = [column.get(model) for _, column in columns]
        rows.append([f"{model}\n{_weights(cells)}", *map(_cell, cells)])
    headings = ["engine/model, weights", *(heading for heading, _ in columns)]
    return _render("status of the checks", headings, rows, width=width, lines=True)


def _weights(cells: Iterable[CellResult | None]) -> str:
    """Describe the weights of a row: the start of the checksum, random weights, or no weights."""
    infos = [cell.facts.info for cell in cells if cell is not None and cell.facts is not None]
    if not infos:
        return "not loaded"
    if any(info.weights_random for info in infos):
        return "random weights"
    checksums = sorted({info.weights_sha256[:_SHA256_CHARS] for info in infos if info.weights_sha256})
    return f"sha256 {', '.join(checksums)}" if checksums else "no weights"


def _cell(cell: CellResult | None) -> str:
    if cell is None or cell.outcome in _SKIPPED:
        return cell.outcome if cell else "-"
    outcomes = Counter(check.outcome for check in cell.checks)
    counts = ", ".join(f"{outcomes[status]} {status}" for status in _STATUSES if outcomes[status])
    return counts + "".join(f"\n{check.name}: {check.error}" for check in cell.failures[:1])


def _skipped(cells: Sequence[_HeadedCell]) -> Iterator[str]:
    """Yield the counts of cells, then each reason for skipping with the skipped cells and checks."""
    reasons: dict[tuple[CheckStatus, str], list[str]] = {}
    for heading, cell in cells:
        for check in cell.checks:
            if check.outcome in _SKIPPED:
                cell_name = f"{cell.model} on {heading}"
                name = cell_name if cell.outcome in _SKIPPED else f"{check.name} of {cell_name}"
                reasons.setdefault((check.outcome, check.detail), []).append(name)
    outcomes = Counter(cell.outcome for _, cell in cells)
    n_skipped = sum(outcomes[status] for status in _SKIPPED)
    yield f"{len(cells)} cells: {outcomes['ran']} ran, {outcomes['failed']} failed, {n_skipped} skipped"
    for (status, reason), names in reasons.items():
        yield f"  {status}: {', '.join(names)}: {reason}"


def _figures(cells: Sequence[_HeadedCell], width: int) -> str:
    rows = []
    for heading, cell in cells:
        for check in cell.checks:
            for figure in check.figures:
                tolerance = "none set" if figure.tolerance is None else _number(figure.tolerance)
                rows.append(
                    (
                        *(cell.model, heading, figure.name),
                        f"{_number(figure.largest)} {figure.unit}".rstrip(),
                        _number(figure.relative),
                        tolerance if figure.within else f"{tolerance}: {check.outcome}",
                    )
                )
    headings = ("model", "device", "result", "largest", "relative", "tolerance")
    return _render("differences from the CPU", headings, rows, width=width, lines=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _machines(records: Iterable[MatrixRecord]) -> Iterator[str]:
    for record in records:
        machine = record.machine
        backends = sorted({cell.facts.backend for cell in record.cells if cell.facts and cell.facts.backend})
        platform = f"{machine.system}, {machine.architecture}, {machine.processor}, {machine.cores} cores"
        yield f"{record.label}, {record.date}: {platform}, {machine.python}, {'; '.join(backends) or 'no torch'}"
        yield f"  {', '.join(f'{package.name} {package.version}' for package in record.packages)}"


def _kernels(cells: Sequence[_HeadedCell]) -> Iterator[str]:
    """Yield the summary of each simulated cell and its operators without a kernel; the record has all operators."""
    for heading, cell in cells:
        if lines := cell.kernel_table.splitlines():
            missing = [line for line in lines[1:] if "no kernel" in line]
            yield "\n".join([f"{cell.model} on {heading}: {lines[0]}", *missing])
