"""A process that reads one data set once and prints its time and memory as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.metrics import peak_resident_bytes, resident_bytes

__all__ = ["measure"]


def measure(path: Path) -> dict[str, float | None]:
    """Read the data set at *path* to its end without storing utterances."""
    before = resident_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in load_dataset(path))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_resident_bytes()
    return {
        "utterances": count,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "extra_mib": None if peak is None or before is None else (peak - before) / 2**20,
        "peak_mib": None if peak is None else peak / 2**20,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))) + "\n")
