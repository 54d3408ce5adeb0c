"""``python -m benchmarks.reading``: time and memory of reading data sets line by line, and their growth."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import measured_by
from benchmarks.records import load_average

from .files import FORMS


def main() -> None:
    """Read each form at each size, every one in a fresh process, and print the table."""
    arguments = _arguments()
    sizes = (100, 200) if arguments.quick else tuple(arguments.size or (10_000, 100_000))
    print("\n".join(_head(sizes)), flush=True)
    record = []
    for form in arguments.form or FORMS:
        figures = [_measured(form, size) for size in sizes]
        print(_row(form, sizes, figures), flush=True)
        record += [{"form": form, **each} for each in figures]
    if arguments.record:
        arguments.record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--form", action="append", choices=tuple(FORMS), help="only this one; repeatable")
    parser.add_argument("--size", action="append", type=int, metavar="N", help="lines; repeatable")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument("--quick", action="store_true", help="100 and 200 lines: shows that it runs")
    return parser.parse_args()


def _measured(form: str, size: int) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        path = FORMS[form](Path(folder), size)
        facts: dict[str, float] = measured_by("benchmarks.reading.measure", path)
    if facts["utterances"] != size:
        raise SystemExit(f"{form}: {facts['utterances']} utterances of {size} lines")
    return facts


def _head(sizes: Sequence[int]) -> Iterator[str]:
    yield f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load average {load_average()}"
    yield "s: reading to the end by the clock; cpu: likewise of the processor; MiB: peak above that before; growth: of"
    yield "cpu and of MiB, of the last size over the first."
    yield f"{'lines':22}" + "".join(f"{size:>24,}" for size in sizes)
    yield f"{'form':22}" + f"{'s':>8} {'cpu':>7} {'MiB':>7}" * len(sizes) + f" {'cpu':>7} {'MiB':>7}"


def _row(form: str, sizes: Sequence[int], figures: Sequence[dict[str, float]]) -> str:
    cells = "".join(
        f"{each['seconds']:8.2f} {each['cpu_seconds']:7.2f} {each['extra_mib'] or 0:7.1f}" for each in figures
    )
    growth = " ".join(f"{_ratio(figures, name):>7}" for name in ("cpu_seconds", "extra_mib"))
    return f"{form:22}{cells} {growth}" if len(sizes) > 1 else f"{form:22}{cells}"


def _ratio(figures: Sequence[dict[str, float]], name: str) -> str:
    first, last = figures[0][name], figures[-1][name]
    return f"{last / first:.1f}x" if first and last else "-"


if __name__ == "__main__":
    main()
