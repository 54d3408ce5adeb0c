"""Rounds in which each way runs once, in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from .ways import ENGINES, ClipResult

__all__ = ["Measurement", "Plan", "run_rounds"]


@attrs.frozen(kw_only=True)
class Plan:
    """The plan of a measurement.

    Attributes:
        engine: Name of the engine.
        ways: Names of the ways; the first is the baseline.
        folder: Folder of the clips; None for the embedded clips.
        clips: Number of clips; None for all.
        threads: Threads of each inference, the same for all ways; the engine's default of four is slow on two cores.
        rounds: Number of rounds, in each of which every way runs once.
        language_given: True to give the language; False to detect it.
    """

    engine: str
    ways: tuple[str, ...]
    folder: Path | None = None
    clips: int | None = None
    threads: int
    rounds: int = 3
    language_given: bool = False


@attrs.frozen(kw_only=True)
class Measurement:
    """The measurement of one way in one round.

    Attributes:
        wall: Seconds by the clock, without loading.
        cpu: Seconds of CPU, over all threads.
        load: Load average at the end; None if the system has none.
        peak_bytes: Peak resident memory of the process; None if unknown.
        texts: Result of each clip.
    """

    wall: float
    cpu: float
    load: float | None
    peak_bytes: int | None
    texts: tuple[ClipResult, ...]


def run_rounds(plan: Plan) -> dict[str, list[Measurement]]:
    """Run all rounds, with an order that rotates by one each round, and return the measurements of each way."""
    turns: dict[str, list[Measurement]] = {name: [] for name in plan.ways}
    for number in range(plan.rounds):
        shift = number % len(plan.ways)
        for name in plan.ways[shift:] + plan.ways[:shift]:
            measurement = _measure(name, plan)
            turns[name].append(measurement)
            print(
                f"round {number + 1}, {name}: {measurement.wall:.1f} s, {measurement.cpu:.1f} s of CPU", file=sys.stderr
            )
    return turns


def _measure(name: str, plan: Plan) -> Measurement:
    index = [way.name for way in ENGINES[plan.engine]].index(name)
    options: Sequence[tuple[str, object]] = (
        ("--folder", plan.folder), ("--clips", plan.clips), ("--threads", plan.threads),
    )  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.throughput.measure", plan.engine, str(index)]
    command += [str(part) for option, value in options if value is not None for part in (option, value)]
    command += ["--language-given"] if plan.language_given else []
    facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    texts = tuple(ClipResult(**text) for text in facts.pop("texts"))
    return Measurement(**facts, texts=texts)
