"""``python -m benchmarks.scoring``: time and memory of scoring and comparing, and their growth."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.processes import run_measurement
from benchmarks.records import load_average

from .measure import TASKS


def main() -> None:
    """Measure each task at each size in a fresh process, and print the table."""
    arguments = _parse_arguments()
    sizes = (100, 200) if arguments.quick else tuple(arguments.size or (10_000, 100_000))
    print("\n".join(_head(sizes)), flush=True)
    record = []
    for task in arguments.task or TASKS:
        figures = [_measure(task, size) for size in sizes]
        print(_row(task, sizes, figures), flush=True)
        record += [
            {"task": task, "utterances": size, **measurement} for size, measurement in zip(sizes, figures, strict=True)
        ]
    if arguments.record:
        arguments.record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--task", action="append", choices=tuple(TASKS), help="only this task; repeatable")
    parser.add_argument("--size", action="append", type=int, metavar="N", help="number of utterances; repeatable")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--quick", action="store_true", help="100 and 200 utterances, to check that the benchmark runs")
    return parser.parse_args()


def _measure(task: str, size: int) -> dict[str, float]:
    return run_measurement("benchmarks.scoring.measure", task, size)


def _head(sizes: Sequence[int]) -> Iterator[str]:
    yield f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load average {load_average()}"
    yield "s: wall time of the task; cpu: CPU seconds of all threads; MiB: increase of the peak memory over the corpus;"
    yield "growth: ratio of cpu of the last size to the first size."
    yield f"{'utterances':26}" + "".join(f"{size:>28,}" for size in sizes)
    yield f"{'task':26}" + f"{'s':>12} {'cpu':>7} {'MiB':>7}" * len(sizes) + f" {'growth':>7}"


def _row(task: str, sizes: Sequence[int], figures: Sequence[dict[str, float]]) -> str:
    cells = "".join(
        f"{figure['seconds']:12.2f} {figure['cpu_seconds']:7.2f} {figure['extra_mib'] or 0:7.1f}" for figure in figures
    )
    growth = figures[-1]["cpu_seconds"] / figures[0]["cpu_seconds"]
    return f"{task:26}{cells} {growth:6.1f}x" if len(sizes) > 1 else f"{task:26}{cells}"


if __name__ == "__main__":
    main()
