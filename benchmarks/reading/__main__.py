"""``python -m benchmarks.reading``: time and memory of reading data sets line by line, and their growth."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import run_measurement
from benchmarks.records import load_average

from .files import FORMS


def main() -> None:
    """Read each format at each size in a fresh process, and print the table."""
    arguments = _parse_arguments()
    sizes = (100, 200) if arguments.quick else tuple(arguments.size or (10_000, 100_000))
    print("\n".join(_head(sizes)), flush=True)
    record = []
    for form in arguments.form or FORMS:
        figures = [_measure(form, size) for size in sizes]
        print(_row(form, sizes, figures), flush=True)
        record += [{"form": form, **measurement} for measurement in figures]
    if arguments.record:
        arguments.record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--form", action="append", choices=tuple(FORMS), help="only this format; repeatable")
    parser.add_argument("--size", action="append", type=int, metavar="N", help="number of lines; repeatable")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--quick", action="store_true", help="100 and 200 lines, to check that the benchmark runs")
    return parser.parse_args()


def _measure(form: str, size: int) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        path = FORMS[form](Path(folder), size)
        facts: dict[str, float] = run_measurement("benchmarks.reading.measure", path)
    if facts["utterances"] != size:
        raise SystemExit(f"{form}: {facts['utterances']} utterances of {size} lines")
    return facts


def _head(sizes: Sequence[int]) -> Iterator[str]:
    yield f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load average {load_average()}"
    yield "s: wall time to read the data set; cpu: CPU seconds; MiB: increase of the peak memory; at the end: ratios of"
    yield "cpu and MiB of the last size to the first size."
    yield f"{'lines':22}" + "".join(f"{size:>24,}" for size in sizes)
    yield f"{'form':22}" + f"{'s':>8} {'cpu':>7} {'MiB':>7}" * len(sizes) + f" {'cpu':>7} {'MiB':>7}"


def _row(form: str, sizes: Sequence[int], figures: Sequence[dict[str, float]]) -> str:
    cells = "".join(
        f"{figure['seconds']:8.2f} {figure['cpu_seconds']:7.2f} {figure['extra_mib'] or 0:7.1f}" for figure in figures
    )
    growth = " ".join(f"{_ratio(figures, name):>7}" for name in ("cpu_seconds", "extra_mib"))
    return f"{form:22}{cells} {growth}" if len(sizes) > 1 else f"{form:22}{cells}"


def _ratio(figures: Sequence[dict[str, float]], name: str) -> str:
    first, last = figures[0][name], figures[-1][name]
    return f"{last / first:.1f}x" if first and last else "-"


if __name__ == "__main__":
    main()
