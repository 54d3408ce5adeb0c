"""A process that runs one way once and prints the measurement as JSON."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import attrs
from benchmarks.speech import read_clips

from asrlab.evaluation.metrics import peak_resident_bytes

from .ways import ENGINES

__all__ = ["main"]


def main() -> None:
    """Load the model, warm up on the shortest clips, and time the work on all clips."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("way", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--clips", type=int)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--language-given", action="store_true")
    arguments = parser.parse_args()
    clips = read_clips(arguments.folder, count=arguments.clips)
    work = ENGINES[arguments.engine][arguments.way].load(arguments.language_given, arguments.threads)
    work(sorted(clips, key=lambda clip: clip.path.stat().st_size)[:2])
    wall, cpu = time.perf_counter(), time.process_time()
    texts = work(clips)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    facts = {"wall": wall, "cpu": cpu, "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    print(json.dumps({**facts, "peak_bytes": peak_resident_bytes(), "texts": [attrs.asdict(text) for text in texts]}))


if __name__ == "__main__":
    main()
