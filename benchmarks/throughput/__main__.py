"""``python -m benchmarks.throughput``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.records import load_average, write_record
from benchmarks.speech import default_folder, read_clips

from asrlab.environment import usable_cores

from .report import Figures
from .rounds import Plan, run_rounds
from .ways import ENGINES


def main() -> None:
    """Measure, print the table, and write the record."""
    arguments = _parse_arguments()
    clips = read_clips(arguments.folder, count=arguments.clips)
    first, *others = [way.name for way in ENGINES[arguments.engine]]
    plan = Plan(
        engine=arguments.engine,
        ways=(first, *(name for name in others if name in (arguments.way or others))),
        folder=arguments.folder,
        clips=arguments.clips,
        threads=arguments.threads or min(4, usable_cores()),
        rounds=arguments.rounds,
        language_given=arguments.language_given,
    )
    before = load_average()
    figures = Figures(plan=plan, clips=clips, turns=run_rounds(plan), load=(before, load_average()))
    print(figures.table)
    write_record(arguments.record, benchmark="throughput", table=figures.table, **figures.plain)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument(
        "--engine", choices=tuple(ENGINES), default="faster-whisper", help="engine (default: %(default)s)"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help="clips with a refs.tsv (default: ../shared/speech if it exists, else the embedded clips, repeated)",
    )  # fmt: skip
    parser.add_argument("--clips", type=int, help="number of clips (default: all)")
    parser.add_argument("--threads", type=int, help="threads of each inference (default: all cores, at most 4)")
    parser.add_argument("--language-given", action="store_true", help="do not detect the language")
    parser.add_argument("--way", action="append", metavar="NAME", help="only this way; repeatable")
    return parser.parse_args()


if __name__ == "__main__":
    main()
