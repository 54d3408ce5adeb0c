"""What a reader of a comparison has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from asrlab.metrics.comparison import LEAST_BLOCKS
from asrlab.reports.batching import paths_told
from asrlab.reports.provenance import made_up
from asrlab.reports.systems import Blocks, System
from asrlab.runs.result import BenchResult

__all__ = ["notes"]

_SOME_BLOCKS = 20
_BUSY = 0.5  # of the cores, before the run itself began


def notes(
    results: Sequence[BenchResult], systems: Sequence[System], *, blocks: Blocks, drawn: int, left_out: int
) -> tuple[str, ...]:
    """A sentence for each thing that limits what a comparison shows.

    Args:
        results: The runs.
        systems: With the utterances that are compared.
        blocks: What was drawn together.
        drawn: How many blocks there were.
        left_out: How many utterances are not in all runs.
    """
    return (
        *_models(results, systems),
        *_drawing(blocks, drawn),
        *([f"{left_out} utterances are not shared by all and were left out"] if left_out else []),
        *_unlike(results),
        *_load(results),
    )


def _models(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from made_up(system)
        yield from _outcomes(system)
    for result in results:
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} of {result.manifest.run} is not compared: it did not load ({model.failure.kind})"


def _outcomes(system: System) -> Iterator[str]:
    total = len(system.utterances)
    failed = sum(utterance.transcript is None for utterance in system.utterances)
    if failed:
        yield f"{system.name}: {failed} of {total} utterances failed and count as deletions"
    gates = Counter(verdict.gate for utterance in system.utterances for verdict in utterance.failed_gates)
    if gates:
        told = ", ".join(f"{gate} in {number}" for gate, number in gates.most_common())
        yield f"{system.name}: gates found something: {told} of {total} utterances"
    if paths := paths_told(system.model):
        yield f"{system.name}: {paths}"
    unstable = sum(not utterance.stable for utterance in system.utterances)
    if unstable:
        yield f"{system.name}: {unstable} of {total} utterances gave another text when they were repeated"


def _drawing(blocks: Blocks, drawn: int) -> Iterator[str]:
    if blocks.alone:
        yield f"{blocks.alone} utterances have no {blocks.by} and were drawn by themselves"
    if drawn < LEAST_BLOCKS:
        hint = "; --by utterance takes them for independent" if blocks.by != "utterance" else ""
        yield f"with fewer than {LEAST_BLOCKS} {blocks.by}s, no difference can be shown{hint}"
    elif drawn < _SOME_BLOCKS:
        yield f"with {drawn} {blocks.by}s, intervals are narrower than they should be; a verdict asks for the test, too"


def _unlike(results: Sequence[BenchResult]) -> Iterator[str]:
    first, *others = results
    mine = attrs.asdict(first.manifest.request.options)
    for other in others:
        theirs = attrs.asdict(other.manifest.request.options)
        unlike = [f"{name} {mine[name]!r} and {theirs[name]!r}" for name in mine if mine[name] != theirs[name]]
        if unlike:
            yield f"{first.manifest.run} and {other.manifest.run} ran with different options: {', '.join(unlike)}"


def _load(results: Sequence[BenchResult]) -> Iterator[str]:
    for result in results:
        cores = result.manifest.machine.cores
        highest = max((average[0] for average in result.load_averages if average), default=0.0)
        if highest > _BUSY * cores:
            yield (
                f"{result.manifest.run} began on a busy machine (load average {highest:.1f} on {cores} cores), so its "
                "times may be too long"
            )
