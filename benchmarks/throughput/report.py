"""The figures as a table for people and as a record for programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import attrs

from asrlab.metrics import Pair, WerDifference, compare_wer, get_normalizer

from .clips import Clip
from .rounds import Plan, Turn

__all__ = ["Figures", "as_record", "as_text"]


@attrs.frozen(kw_only=True)
class Figures:
    """Everything that was measured.

    Attributes:
        plan: What was run.
        clips: On what.
        turns: By way, each round's.
        baseline: The way that the others are compared with.
        normalizer: For the error rates: ``english`` where all clips are English, else ``basic``.
    """

    plan: Plan
    clips: Sequence[Clip]
    turns: Mapping[str, Sequence[Turn]]
    baseline: str

    @property
    def normalizer(self) -> str:
        """The normalizer's name."""
        return "english" if {clip.language for clip in self.clips} == {"en"} else "basic"

    def speedups(self, name: str) -> list[float]:
        """How many times as fast as the baseline, round by round."""
        return [base.wall / turn.wall for base, turn in zip(self.turns[self.baseline], self.turns[name], strict=True)]

    def wer(self, name: str) -> float:
        """Of the first round."""
        return self._compared(name)[0]

    def difference(self, name: str) -> WerDifference:
        """Of the first round's texts from the baseline's."""
        return self._compared(name)[1]

    def _compared(self, name: str) -> tuple[float, WerDifference]:
        systems = {"baseline": self._pairs(self.baseline), "way": self._pairs(name)}
        compared = compare_wer(systems, normalizer=get_normalizer(self.normalizer))
        counts = dict(compared.systems)["way"]
        return counts.errors / counts.reference_length, compared.differences[0]

    def _pairs(self, name: str) -> list[Pair]:
        texts = self.turns[name][0].texts
        return [
            Pair(id=clip.id, reference=clip.text, hypothesis=text.text)
            for clip, text in zip(self.clips, texts, strict=True)
        ]


def as_record(figures: Figures) -> dict[str, Any]:
    """*figures* as plain values for JSON, every turn in them."""
    plan = {**attrs.asdict(figures.plan), "folder": str(figures.plan.folder or "smoke")}
    ways = {
        name: {
            "speedups": figures.speedups(name),
            "wer": figures.wer(name),
            "difference": attrs.asdict(figures.difference(name)),
            "turns": [attrs.asdict(turn) for turn in turns],
        }
        for name, turns in figures.turns.items()
    }
    return {"plan": plan, "baseline": figures.baseline, "normalizer": figures.normalizer, "ways": ways}


def as_text(figures: Figures) -> str:
    """*figures* as a table."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: Figures) -> Iterator[str]:
    plan = figures.plan
    language = "given" if plan.language_given else "detected"
    shared = f"{plan.rounds} rounds, {plan.threads} threads, each way in a process of its own."
    yield f"{len(figures.clips)} clips, language {language}, {shared}"
    yield f"times: as fast as {figures.baseline!r} in the same round, median and range; WER ({figures.normalizer}) and"
    yield "its difference from the baseline's in points with the 95 % interval; MiB: peak resident memory."
    seconds = f"{'s':>7} {'range':>15} {'CPU s':>7} {'times':>6} {'range':>12}"
    yield f"  {'way':24} {seconds} {'WER':>7} {'difference':>22} {'MiB':>5}"
    for name, turns in figures.turns.items():
        yield _row(figures, name, turns)
    yield from _paths(figures)


def _row(figures: Figures, name: str, turns: Sequence[Turn]) -> str:
    walls = [turn.wall for turn in turns]
    times = figures.speedups(name)
    found = figures.difference(name)
    interval = f"{100 * found.interval.low:+.2f}..{100 * found.interval.high:+.2f}"
    peak = max(turn.peak_bytes or 0 for turn in turns) / 2**20
    return (
        f"  {name:24} {median(walls):7.1f} {f'{min(walls):.1f}..{max(walls):.1f}':>15}"
        f" {median(turn.cpu for turn in turns):7.1f} {median(times):6.2f} {f'{min(times):.2f}..{max(times):.2f}':>12}"
        f" {figures.wer(name):7.4f} {100 * found.difference:+6.2f} {interval:>15} {peak:5.0f}"
    )


def _paths(figures: Figures) -> Iterator[str]:
    for name, turns in figures.turns.items():
        counted = Counter(re.sub("^batched, ", "", text.path) for text in turns[0].texts if text.path is not None)
        if counted:
            yield f"  {name}: {', '.join(f'{count} {path}' for path, count in counted.most_common())}"
