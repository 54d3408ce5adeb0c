"""``python -m benchmarks.overhead``: measure, print the tables, write the record."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import attrs

import asrlab
from asrlab.evaluation.datasets import AUDIO_SUFFIXES

from .engines import CASES, ENGINES, SAMPLE_RATE, EngineRun, Plan, Recording, decode, run_engine
from .machine import this_machine
from .memory import measure_decoding
from .report import Figures, as_record, as_text
from .startup import measure_startups
from .wrapper import measure_wrapper


def main() -> None:
    """Measure, print the tables, and write the record; mark figures over their target."""
    arguments = _parse_arguments()
    machine = this_machine()
    plan = _plan(arguments)
    starts = measure_startups(runs=1 if arguments.quick else 15)
    decodings = measure_decoding(minutes=1 if arguments.quick else 60)
    figures = Figures(
        machine=machine,
        rounds=plan.rounds,
        clips=len(plan.recordings),
        clip_seconds=sum(len(recording.samples) for recording in plan.recordings) / SAMPLE_RATE,
        wrappers=measure_wrapper(plan.recordings, runs=3 if arguments.quick else 100),
        engines=[_engine(name, plan) for name in arguments.engine or ENGINES],
        starts=starts,
        decodings=decodings,
        load_after=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )
    print(as_text(figures), end="")
    if arguments.record:
        arguments.record.write_text(json.dumps(as_record(figures), indent=2) + "\n", encoding="utf-8")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to this file as JSON")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="clips to transcribe (default: the embedded clips)")
    parser.add_argument("--clips", type=int, help="number of clips to use")
    parser.add_argument("--language", default="en", help="language of the clips (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of each inference; 1 varies least (default: the engine's)")
    parser.add_argument("--engine", action="append", choices=tuple(ENGINES), help="only this engine; repeatable")
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in CASES], help="only this case; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="one clip and one round, to check that the benchmark runs")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    clips = _clips(arguments.folder)[: arguments.clips]
    plan = Plan(
        recordings=[Recording(id=path.stem, path=path, samples=decode(path)) for path in clips],
        language=arguments.language,
        rounds=arguments.rounds,
        threads=arguments.threads,
        cases=[case for case in CASES if case.name in (arguments.case or [known.name for known in CASES])],
    )
    if not arguments.quick:
        return plan
    shortest = min(plan.recordings, key=lambda recording: len(recording.samples))
    cases = [case for case in CASES if case.name in ("array", "file")]
    return attrs.evolve(plan, recordings=[shortest], cases=cases, rounds=1)


def _clips(folder: Path | None) -> list[Path]:
    if folder is None:
        return [Path(str(utterance.audio)) for utterance in asrlab.evaluation.load_dataset("smoke")]
    clips = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return clips or sys.exit(f"no audio files in {folder}")


def _engine(name: str, plan: Plan) -> EngineRun:
    print(f"{name}: {len(plan.cases)} cases, {len(plan.recordings)} clips, {plan.rounds} rounds", file=sys.stderr)
    return run_engine(name, plan)


if __name__ == "__main__":
    main()
