"""``python -m benchmarks.longform``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from benchmarks.processes import run_measurement
from benchmarks.records import Table, load_average, write_record
from benchmarks.speech import default_folder

from asrlab.environment import usable_cores
from asrlab.evaluation.metrics import ErrorCounts, TextPair, get_normalizer, score

from .measure import MODEL, WAYS
from .recording import join
from .times import compare_times, early_starts

_MODULE = "benchmarks.longform.measure"


def main() -> None:
    """Measure, print the table, and write the record."""
    arguments = _parse_arguments()
    options = ["--seconds", arguments.seconds, "--threads", arguments.threads or min(4, usable_cores())]
    if arguments.folder is not None:
        options += ["--folder", arguments.folder]
    turns: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    names = list(WAYS)
    for number in range(arguments.rounds):
        for way in names[number % len(names) :] + names[: number % len(names)]:
            turns[way].append(run_measurement(_MODULE, way, *options))
    joined = join(arguments.folder, seconds=arguments.seconds)
    first = next(iter(WAYS))
    timed = {way: run_measurement(_MODULE, way, *options, "--words") for way in (first, "asrlab")}
    differences = compare_times(timed["asrlab"], timed[first], joined.spans).plain
    early = {way: early_starts(result["words"], joined) for way, result in timed.items()}
    counts = {way: _count_errors(joined.text, results[0]["text"]) for way, results in turns.items()}
    table = Table(
        title=f"{MODEL}, a recording of {joined.duration:.0f} s joined from {len(joined.spans)} English clips, "
        f"language detected, {options[3]} threads, {arguments.rounds} rounds, each way in a new process",
        headings=("way", "s", "range", "times", "range of times", "WER", "S D I", "segments", "MiB"),
        rows=tuple(_row(way, turns[way], turns[first], counts[way]) for way in turns),
        notes=(
            f"times: speedup over {first!r} in the same round; WER (english) of round 1; MiB: peak resident memory",
            f"asrlab: {turns['asrlab'][0]['path']}",
            *(
                f"{name}, difference from the sequential mode ({figures['count']}): {_format_quantiles(figures)}"
                for name, figures in differences.items()
            ),
            *(
                f"{way}: first words that begin before their clip ({figures['count']}): {_format_quantiles(figures)}"
                for way, figures in early.items()
            ),
            f"load average {load_average()}",
        ),
    )
    print(table)
    plain = {
        way: {
            "speedup": median(_speedups(results, turns[first])),
            "wer": counts[way].errors / counts[way].reference_length,
            "counts": attrs.asdict(counts[way]),
            "turns": [{name: measurement[name] for name in ("wall", "cpu", "peak_bytes")} for measurement in results],
            "text": results[0]["text"],
        }
        for way, results in turns.items()
    }
    write_record(arguments.record, benchmark="longform", table=table, ways=plain, apart=differences, early=early)


def _count_errors(reference: str, hypothesis: str) -> ErrorCounts:
    pair = TextPair(id="recording", reference=reference, hypothesis=hypothesis)
    return score([pair], normalizer=get_normalizer("english")).words


def _speedups(turns: list[dict[str, Any]], first: list[dict[str, Any]]) -> list[float]:
    return [base["wall"] / measurement["wall"] for base, measurement in zip(first, turns, strict=True)]


def _row(way: str, turns: list[dict[str, Any]], first: list[dict[str, Any]], counts: ErrorCounts) -> tuple[str, ...]:
    walls, speedups = [measurement["wall"] for measurement in turns], _speedups(turns, first)
    return (
        way,
        f"{median(walls):.1f}",
        f"{min(walls):.1f} to {max(walls):.1f}",
        f"{median(speedups):.2f}",
        f"{min(speedups):.2f} to {max(speedups):.2f}",
        f"{counts.errors / counts.reference_length:.4f}",
        f"{counts.substitutions} {counts.deletions} {counts.insertions}",
        str(len(turns[0]["segments"])),
        f"{max(measurement['peak_bytes'] or 0 for measurement in turns) / 2**20:.0f}",
    )


def _format_quantiles(figures: dict[str, Any]) -> str:
    if not figures["count"]:
        return "none to compare"
    quantiles = ", ".join(f"{key} {figures[key]:.2f} s" for key in ("p50", "p95", "p99", "p100"))
    return f"{quantiles}; within 0.5 s {figures['within']:.1%}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.longform", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600.0, help="duration of the recording (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help="clips with a refs.tsv (default: ../shared/speech if it exists, else the embedded clips, repeated)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="number of threads (default: the number of cores, at most 4)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
