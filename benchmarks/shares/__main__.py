"""``python -m benchmarks.shares``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.records import Table, load_average, write_record
from benchmarks.speech import Clip, default_folder, read_clips

import asrlab
from asrlab.evaluation.runs.executor import Executor, ModelJob, WorkerMessage, WorkUnit, never
from asrlab.evaluation.runs.records import ModelLoaded
from asrlab.testing.in_process import InProcessExecutor

from .threads import ThreadTimes

MODEL = "faster-whisper/base"
PARTS = {
    "MainThread": "scheduling, outcomes, records, scoring",
    "asrlab-reading": "decoding and checking audio, features",
    "asrlab-decoding": "tokens, text and times",
    "watch": "the sampler of this benchmark",
    "other": "the engine",
}


class MeasuredExecutor:
    """An executor in this process that measures the threads after the model has loaded.

    Attributes:
        times: CPU time of each thread.
    """

    def __init__(self) -> None:
        self.times = ThreadTimes()

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        should_stop: Callable[[], bool] = never,
    ) -> Generator[WorkerMessage]:
        """Run the units, as ``Executor.run`` describes."""
        for message in InProcessExecutor().run(job, units, warmups=warmups, should_stop=should_stop):
            if isinstance(message, ModelLoaded):
                self.times.__enter__()
            yield message


def main() -> None:
    """Measure and print the shares, after a run of two clips that imports all modules."""
    arguments = _parse_arguments()
    clips = read_clips(arguments.folder, count=arguments.clips)
    _run_bench(clips[:2], InProcessExecutor())
    rounds, rates = [], []
    for _ in range(arguments.rounds):
        executor = MeasuredExecutor()
        rates.append(_run_bench(clips, executor))
        executor.times.__exit__(None, None, None)
        rounds.append(sum_by_part(executor.times.seconds))
    table = _table(rounds, clips=len(clips))
    print(table)
    write_record(arguments.record, benchmark="shares", table=table, rounds=rounds, wer=rates)


def _run_bench(clips: Sequence[Clip], executor: Executor) -> float | None:
    """Run *clips* with all records in a temporary folder, and return the WER."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "clips.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "audio", "text", "language"))
            writer.writerows((clip.id, str(clip.path.resolve()), clip.text, clip.language) for clip in clips)
        result = asrlab.evaluation.bench(
            table,
            models=MODEL,
            device="cpu",
            run=folder / "run",
            executor=executor,
            offline=True,
            allow_external_audio=True,
        )
        score = result.models[0].score  # the measurement includes the score
        return score.wer if score else None


def sum_by_part(seconds: dict[str, float]) -> dict[str, float]:
    """Return the CPU seconds of each of `PARTS`; threads without a name are the engine's."""
    known = {name: seconds.get(name, 0.0) for name in PARTS}
    return known | {"other": known["other"] + sum(seconds.values()) - sum(known.values())}


def _table(rounds: Sequence[dict[str, float]], *, clips: int) -> Table:
    totals = [sum(parts.values()) for parts in rounds]
    outside = [sum(seconds for name, seconds in parts.items() if name not in ("other", "watch")) for parts in rounds]
    rows = [_row(label, [parts[name] for parts in rounds], totals) for name, label in PARTS.items()]
    rows.append(_row("all outside of the engine", outside, totals))
    return Table(
        title=f"asrlab.evaluation.bench in one process, {MODEL}, {clips} clips, {len(rounds)} rounds, from the "
        "loaded model to the scores",
        headings=("part", "CPU s", "share", "range"),
        rows=tuple(rows),
        notes=("CPU seconds by thread, measured by the kernel; medians", f"load average {load_average()}"),
    )


def _row(label: str, seconds: Sequence[float], totals: Sequence[float]) -> tuple[str, ...]:
    shares = [part / total for part, total in zip(seconds, totals, strict=True)]
    return label, f"{median(seconds):.2f}", f"{median(shares):.2%}", f"{min(shares):.2%} to {max(shares):.2%}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help="clips with a refs.tsv (default: ../shared/speech if it exists, else the embedded clips, repeated)",
    )  # fmt: skip
    parser.add_argument("--clips", type=int, help="number of clips (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
