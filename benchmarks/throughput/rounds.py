"""The ways in turn, round after round, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from .ways import ENGINES, Text

__all__ = ["Plan", "Turn", "run_rounds"]


@attrs.frozen(kw_only=True)
class Plan:
    """What to run.

    Attributes:
        engine: Whose ways.
        ways: Their names; the first is what the others are compared with.
        folder: Of the clips; None for the embedded ones.
        clips: How many of them; None for all.
        threads: Of each inference, the same for all ways: the engine's own four on two cores are several times slower.
        rounds: How often each way runs.
        language_given: Otherwise it is detected.
    """

    engine: str
    ways: tuple[str, ...]
    folder: Path | None = None
    clips: int | None = None
    threads: int
    rounds: int = 3
    language_given: bool = False


@attrs.frozen(kw_only=True)
class Turn:
    """One way in one round.

    Attributes:
        wall: Seconds by the clock, without loading.
        cpu: Seconds of CPU, over all threads.
        load: The system's load average at the end; None where it has none.
        peak_bytes: Peak resident memory of the process; None if the system does not tell.
        texts: One for each clip.
    """

    wall: float
    cpu: float
    load: float | None
    peak_bytes: int | None
    texts: tuple[Text, ...]


def run_rounds(plan: Plan) -> dict[str, list[Turn]]:
    """Each way's turns. The order moves on by one each round, so that none always has the same neighbour's heat."""
    turns: dict[str, list[Turn]] = {name: [] for name in plan.ways}
    for number in range(plan.rounds):
        shift = number % len(plan.ways)
        for name in plan.ways[shift:] + plan.ways[:shift]:
            turn = _turn(name, plan)
            turns[name].append(turn)
            print(f"round {number + 1}, {name}: {turn.wall:.1f} s, {turn.cpu:.1f} s of CPU", file=sys.stderr)
    return turns


def _turn(name: str, plan: Plan) -> Turn:
    place = [way.name for way in ENGINES[plan.engine]].index(name)
    options: Sequence[tuple[str, object]] = (
        ("--folder", plan.folder), ("--clips", plan.clips), ("--threads", plan.threads),
    )  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.throughput.turn", plan.engine, str(place)]
    command += [str(part) for option, value in options if value is not None for part in (option, value)]
    command += ["--language-given"] if plan.language_given else []
    facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    texts = tuple(Text(**text) for text in facts.pop("texts"))
    return Turn(**facts, texts=texts)
