"""``python -m benchmarks.growth``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import measured_by
from benchmarks.records import Table, load_average, write_record

from .turn import MODEL

_MIB = 2**20


def main() -> None:
    """Measure; nothing fails by growing."""
    arguments = _arguments()
    turns: dict[int, list[dict[str, Any]]] = {count: [] for count in arguments.clips}
    for _ in range(arguments.rounds):
        for count in arguments.clips:
            turns[count].append(measured_by("benchmarks.growth.turn", count))
    table = _table(turns)
    print(table)
    write_record(arguments.record, benchmark="growth", table=table, turns={str(count): t for count, t in turns.items()})


def _table(turns: dict[int, list[dict[str, Any]]]) -> Table:
    least = min(turns)
    rows = tuple(_row(count, found, turns[least]) for count, found in turns.items())
    rounds = len(turns[least])
    title = f"{MODEL} through transcribe_many, the five embedded clips again and again, {rounds} rounds"
    explained = f"ms a clip: median of the rounds; peak: the largest; over {least}: of both"
    notes = (explained, f"load average {load_average()}")
    headings = ("clips", "s", "ms a clip", "range", f"over {least}", "peak MiB", f"over {least} ")
    return Table(title=title, headings=headings, rows=rows, notes=notes)


def _row(count: int, turns: Sequence[dict[str, Any]], least: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    each, first = ([1000 * turn["wall"] / turn["clips"] for turn in some] for some in (turns, least))
    peak, smallest = (max(turn["peak_bytes"] or 0 for turn in some) / _MIB for some in (turns, least))
    return (
        f"{count:,}",
        f"{median(turn['wall'] for turn in turns):.1f}",
        f"{median(each):.1f}",
        f"{min(each):.1f} to {max(each):.1f}",
        f"{median(each) / median(first):.2f}",
        f"{peak:.0f}",
        f"{peak / smallest:.2f}" if smallest else "-",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument("--rounds", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--clips", type=int, nargs="+", default=[40, 400, 4000], help="how many (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
