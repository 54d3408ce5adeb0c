"""``python -m benchmarks.longform``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from benchmarks.processes import measured_by
from benchmarks.records import Table, load_average, write_record
from benchmarks.speech import default_folder

from asrlab.environment import usable_cores
from asrlab.evaluation.metrics import ErrorCounts, TextPair, get_normalizer, score

from .recording import join
from .times import apart, early
from .turn import MODEL, WAYS

_TURN = "benchmarks.longform.turn"


def main() -> None:
    """Measure, print the table, and write the record."""
    arguments = _arguments()
    options = ["--seconds", arguments.seconds, "--threads", arguments.threads or min(4, usable_cores())]
    if arguments.folder is not None:
        options += ["--folder", arguments.folder]
    turns: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    names = list(WAYS)
    for number in range(arguments.rounds):
        for way in names[number % len(names) :] + names[: number % len(names)]:
            turns[way].append(measured_by(_TURN, way, *options))
    joined = join(arguments.folder, seconds=arguments.seconds)
    first = next(iter(WAYS))
    timed = {way: measured_by(_TURN, way, *options, "--words") for way in (first, "asrlab")}
    distances = apart(timed["asrlab"], timed[first], joined.spans).plain
    begun = {way: early(made["words"], joined) for way, made in timed.items()}
    counts = {way: _counts(joined.text, found[0]["text"]) for way, found in turns.items()}
    table = Table(
        title=f"{MODEL}, a recording of {joined.duration:.0f} s joined from {len(joined.spans)} English clips, "
        f"language detected, {options[3]} threads, {arguments.rounds} rounds, each way in a process of its own",
        headings=("way", "s", "range", "times", "range of times", "WER", "S D I", "segments", "MiB"),
        rows=tuple(_row(way, turns[way], turns[first], counts[way]) for way in turns),
        notes=(
            f"times: as fast as {first!r} in the same round; WER (english) of the first; MiB: peak resident memory",
            f"asrlab: {turns['asrlab'][0]['path']}",
            *(
                f"{name} apart from the sequential mode's ({found['count']}): {_told(found)}"
                for name, found in distances.items()
            ),
            *(
                f"{way}: the first word of a clip begins before its first sample ({found['count']}): {_told(found)}"
                for way, found in begun.items()
            ),
            f"load average {load_average()}",
        ),
    )
    print(table)
    plain = {
        way: {
            "speedup": median(_times(found, turns[first])),
            "wer": counts[way].errors / counts[way].reference_length,
            "counts": attrs.asdict(counts[way]),
            "turns": [{name: turn[name] for name in ("wall", "cpu", "peak_bytes")} for turn in found],
            "text": found[0]["text"],
        }
        for way, found in turns.items()
    }
    write_record(arguments.record, benchmark="longform", table=table, ways=plain, apart=distances, early=begun)


def _counts(reference: str, hypothesis: str) -> ErrorCounts:
    pair = TextPair(id="recording", reference=reference, hypothesis=hypothesis)
    return score([pair], normalizer=get_normalizer("english")).words


def _times(turns: list[dict[str, Any]], first: list[dict[str, Any]]) -> list[float]:
    return [base["wall"] / turn["wall"] for base, turn in zip(first, turns, strict=True)]


def _row(way: str, turns: list[dict[str, Any]], first: list[dict[str, Any]], counts: ErrorCounts) -> tuple[str, ...]:
    walls, times = [turn["wall"] for turn in turns], _times(turns, first)
    return (
        way,
        f"{median(walls):.1f}",
        f"{min(walls):.1f} to {max(walls):.1f}",
        f"{median(times):.2f}",
        f"{min(times):.2f} to {max(times):.2f}",
        f"{counts.errors / counts.reference_length:.4f}",
        f"{counts.substitutions} {counts.deletions} {counts.insertions}",
        str(len(turns[0]["segments"])),
        f"{max(turn['peak_bytes'] or 0 for turn in turns) / 2**20:.0f}",
    )


def _told(found: dict[str, Any]) -> str:
    if not found["count"]:
        return "none to compare"
    quantiles = ", ".join(f"{key} {found[key]:.2f} s" for key in ("p50", "p95", "p99", "p100"))
    return f"{quantiles}; within 0.5 s {found['within']:.1%}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.longform", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="of each way (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the recording (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help="clips with a refs.tsv (default: ../shared/speech if it is there, else the embedded ones, repeated)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="default: as many as cores, at most 4")
    return parser.parse_args()


if __name__ == "__main__":
    main()
