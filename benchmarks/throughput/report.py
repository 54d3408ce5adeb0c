"""Tables and records of the figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import attrs
from benchmarks.records import Table
from benchmarks.speech import Clip

from asrlab.evaluation.metrics import TextPair, WerDifference, compare_wer, get_profile, profile_for

from .rounds import Measurement, Plan

__all__ = ["Figures"]

_HEADINGS = ("way", "s", "range", "CPU s", "times", "range of times", "WER", "difference, 95 %", "same", "MiB")


@attrs.frozen(kw_only=True)
class Figures:
    """All measurements.

    Attributes:
        plan: The plan of the runs.
        clips: The recordings.
        turns: Measurements by way, one for each round.
        load: Load average before and after.
    """

    plan: Plan
    clips: Sequence[Clip]
    turns: Mapping[str, Sequence[Measurement]]
    load: tuple[float | None, float | None]

    @property
    def baseline(self) -> str:
        """The first way, with which the others are compared."""
        return self.plan.ways[0]

    @property
    def normalizer(self) -> str:
        """Name of the scoring profile, by the languages of the clips."""
        return profile_for(clip.language for clip in self.clips)

    def speedups(self, name: str) -> list[float]:
        """Return the speedup over the baseline in each round."""
        return [
            base.wall / measurement.wall
            for base, measurement in zip(self.turns[self.baseline], self.turns[name], strict=True)
        ]

    def compare(self, name: str) -> tuple[float, WerDifference]:
        """Return the WER of the first round, and its difference from the baseline."""
        profile = get_profile(self.normalizer)
        ways = {"baseline": self.baseline, "way": name}
        systems = {system: tuple(profile.prepare(self._pairs(way))) for system, way in ways.items()}
        comparison = compare_wer(systems, normalizer=profile.normalizer)
        counts = dict(comparison.systems)["way"]
        return counts.errors / counts.reference_length, comparison.differences[0]

    def same(self, name: str) -> int:
        """Count the texts of the first round that equal the baseline's."""
        pairs = zip(self.turns[self.baseline][0].texts, self.turns[name][0].texts, strict=True)
        return sum(base.text == text.text for base, text in pairs)

    def paths(self, name: str) -> dict[str, int]:
        """Count the clips by decoding path in the first round; empty for the engine's own calls."""
        counts = Counter(text.path for text in self.turns[name][0].texts if text.path is not None)
        return dict(counts.most_common())

    @property
    def table(self) -> Table:
        """Return the table."""
        plan = self.plan
        language = "given" if plan.language_given else "detected"
        title = (
            f"{plan.engine}/base, {len(self.clips)} clips, language {language}, {plan.rounds} rounds, "
            f"{plan.threads} threads, each way in a new process each time"
        )
        notes = (
            f"s, CPU s, times: medians; times: speedup over {self.baseline!r} in the same round",
            f"WER ({self.normalizer}) in the first round, its difference in points; same: identical texts",
            "MiB: peak resident memory",
            *self._format_paths(),
            f"load average {self.load[0]} before, {self.load[1]} after",
        )
        return Table(title=title, headings=_HEADINGS, rows=tuple(map(self._row, self.turns)), notes=notes)

    @property
    def plain(self) -> dict[str, Any]:
        """Return plain values for JSON, with every measurement."""
        plan = {**attrs.asdict(self.plan), "folder": self.plan.folder.name if self.plan.folder else "smoke"}
        return {
            "plan": plan,
            "normalizer": self.normalizer,
            "ways": {name: self._plain_way(name) for name in self.turns},
        }

    def _plain_way(self, name: str) -> dict[str, Any]:
        wer, difference = self.compare(name)
        return {
            "speedup": median(self.speedups(name)),
            "speedups": self.speedups(name),
            "wer": wer,
            "difference": attrs.asdict(difference),
            "paths": self.paths(name),
            "turns": [
                attrs.asdict(measurement, filter=lambda field, _: field.name != "texts")
                for measurement in self.turns[name]
            ],
            "texts": [text.text for text in self.turns[name][0].texts],
        }

    def _pairs(self, name: str) -> list[TextPair]:
        texts = self.turns[name][0].texts
        return [
            TextPair(id=clip.id, reference=clip.text, hypothesis=text.text, language=clip.language)
            for clip, text in zip(self.clips, texts, strict=True)
        ]

    def _row(self, name: str) -> tuple[str, ...]:
        turns, speedups = self.turns[name], self.speedups(name)
        walls = [measurement.wall for measurement in turns]
        wer, difference = self.compare(name)
        interval = f"{100 * difference.interval.low:+.2f} to {100 * difference.interval.high:+.2f}"
        return (
            name,
            f"{median(walls):.1f}",
            f"{min(walls):.1f} to {max(walls):.1f}",
            f"{median(measurement.cpu for measurement in turns):.1f}",
            f"{median(speedups):.2f}",
            f"{min(speedups):.2f} to {max(speedups):.2f}",
            f"{wer:.4f}",
            f"{100 * difference.difference:+.2f} ({interval})",
            f"{self.same(name)}",
            f"{max(measurement.peak_bytes or 0 for measurement in turns) / 2**20:.0f}",
        )

    def _format_paths(self) -> Iterator[str]:
        for name in self.turns:
            if paths := self.paths(name):
                summary = ", ".join(f"{count} {re.sub('^batched, ', '', path)}" for path, count in paths.items())
                yield f"{name}: {summary}"
