"""``python -m benchmarks.throughput``: measures, prints the table, writes the record."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from asrlab.engines.faster_whisper.devices import default_threads

from .clips import read_clips
from .report import Figures, as_record, as_text
from .rounds import Plan, run_rounds
from .ways import BASELINE, WAYS


def main() -> None:
    """Measure; nothing fails by being slow."""
    arguments = _arguments()
    clips = read_clips(arguments.folder, count=arguments.clips)
    names = tuple(way.name for way in WAYS if way.name in {*(arguments.way or [w.name for w in WAYS]), BASELINE})
    plan = Plan(
        ways=names,
        folder=arguments.folder,
        clips=arguments.clips,
        threads=arguments.threads or default_threads(),
        rounds=arguments.rounds,
        language_given=arguments.language_given,
    )
    before = _load()
    figures = Figures(plan=plan, clips=clips, turns=run_rounds(plan), baseline=BASELINE)
    print(as_text(figures) + f"load average {before} before, {_load()} after")
    if arguments.record:
        record = {**as_record(figures), "load_before": before, "load_after": _load()}
        arguments.record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="of each way (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="clips with a refs.tsv (default: asrlab's embedded ones, repeated)")
    parser.add_argument("--clips", type=int, help="use only so many of them")
    parser.add_argument("--threads", type=int, help="of each inference (default: as many as cores, at most 4)")
    parser.add_argument("--language-given", action="store_true", help="tell each clip's language")
    parser.add_argument("--way", action="append", choices=[way.name for way in WAYS], help="only this one; repeatable")
    return parser.parse_args()


if __name__ == "__main__":
    main()
