"""``python -m benchmarks.growth``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import run_measurement
from benchmarks.records import Table, load_average, write_record

from .measure import MODEL

_MIB = 2**20


def main() -> None:
    """Measure, print the table, and write the record; growth is not an error."""
    arguments = _parse_arguments()
    turns: dict[int, list[dict[str, Any]]] = {count: [] for count in arguments.clips}
    for _ in range(arguments.rounds):
        for count in arguments.clips:
            turns[count].append(run_measurement("benchmarks.growth.measure", count))
    table = _table(turns)
    print(table)
    write_record(
        arguments.record,
        benchmark="growth",
        table=table,
        turns={str(count): figures for count, figures in turns.items()},
    )


def _table(turns: dict[int, list[dict[str, Any]]]) -> Table:
    fewest = min(turns)
    rows = tuple(_row(count, figures, turns[fewest]) for count, figures in turns.items())
    rounds = len(turns[fewest])
    title = f"{MODEL} through transcribe_many, the five embedded clips repeated, {rounds} rounds"
    legend = f"ms a clip: median of the rounds; peak: maximum of the rounds; over {fewest}: ratio to {fewest} clips"
    notes = (legend, f"load average {load_average()}")
    headings = ("clips", "s", "ms a clip", "range", f"over {fewest}", "peak MiB", f"over {fewest} ")
    return Table(title=title, headings=headings, rows=rows, notes=notes)


def _row(count: int, turns: Sequence[dict[str, Any]], baseline: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    times, baseline_times = (
        [1000 * measurement["wall"] / measurement["clips"] for measurement in rounds] for rounds in (turns, baseline)
    )
    peak, baseline_peak = (
        max(measurement["peak_bytes"] or 0 for measurement in rounds) / _MIB for rounds in (turns, baseline)
    )
    return (
        f"{count:,}",
        f"{median(measurement['wall'] for measurement in turns):.1f}",
        f"{median(times):.1f}",
        f"{min(times):.1f} to {max(times):.1f}",
        f"{median(times) / median(baseline_times):.2f}",
        f"{peak:.0f}",
        f"{peak / baseline_peak:.2f}" if baseline_peak else "-",
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--rounds", type=int, default=1, help="number of rounds (default: %(default)s)")
    parser.add_argument(
        "--clips", type=int, nargs="+", default=[40, 400, 4000], help="numbers of clips (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
