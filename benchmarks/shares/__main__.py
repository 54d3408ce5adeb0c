"""``python -m benchmarks.shares``: measures, prints the table, writes the record."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.records import Table, load_average, write_record
from benchmarks.speech import Clip, default_folder, read_clips

import asrlab
from asrlab.runs.executor import Executor
from asrlab.runs.messages import Hello, Job, Message, Unit
from asrlab.testing.in_process import InProcessExecutor

from .threads import ThreadTimes

MODEL = "faster-whisper/base"
PARTS = {
    "MainThread": "scheduling, outcomes, records, scoring",
    "asrlab-reading": "decoding and checking audio, features",
    "asrlab-decoding": "tokens, text and times",
    "watch": "this benchmark's own watch",
    "other": "the engine",
}


class Watched:
    """Runs units in this process, and watches the threads from when the model has loaded.

    Attributes:
        times: What each took.
    """

    def __init__(self) -> None:
        self.times = ThreadTimes()

    def run(
        self, job: Job, units: Sequence[Unit], *, warmups: Sequence[Unit] = (), stop: Callable[[], bool] = bool
    ) -> Generator[Message]:
        """As ``Executor.run`` says."""
        for message in InProcessExecutor().run(job, units, warmups=warmups, stop=stop):
            if isinstance(message, Hello):
                self.times.__enter__()
            yield message


def main() -> None:
    """Measure; nothing fails by a share that is too large. A run of two clips comes first, so that all is imported."""
    arguments = _arguments()
    clips = read_clips(arguments.folder, count=arguments.clips)
    _benched(clips[:2], InProcessExecutor())
    executor = Watched()
    rate = _benched(clips, executor)
    executor.times.__exit__(None, None, None)
    shown = _table(executor.times.seconds, clips=len(clips))
    print(shown)
    write_record(arguments.record, benchmark="shares", table=shown, seconds=executor.times.seconds, wer=rate)


def _benched(clips: Sequence[Clip], executor: Executor) -> float | None:
    """The WER of a run of *clips*, records and all, in a folder that is thrown away."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "clips.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "audio", "text", "language"))
            writer.writerows((clip.id, str(clip.path.resolve()), clip.text, clip.language) for clip in clips)
        result = asrlab.bench(
            table, models=MODEL, device="cpu", run=folder / "run", executor=executor, offline=True, allow_outside=True
        )
        score = result.models[0].score  # scoring is part of it
        return score.wer if score else None


def _table(seconds: dict[str, float], *, clips: int) -> Table:
    total = sum(seconds.values())
    known = {name: seconds.get(name, 0.0) for name in PARTS}
    known["other"] += sum(seconds.values()) - sum(known.values())
    rows = tuple((PARTS[name], f"{taken:.2f}", f"{taken / total:.2%}") for name, taken in known.items())
    outside = sum(taken for name, taken in known.items() if name not in ("other", "watch"))
    rows += (("all outside of the engine", f"{outside:.2f}", f"{outside / total:.2%}"),)
    title = f"asrlab.bench in one process, {MODEL}, {clips} clips, from when the model has loaded to the scores"
    notes = ("CPU seconds by thread, as the kernel counts them", f"load average {load_average()}")
    return Table(title=title, headings=("part", "CPU s", "share"), rows=rows, notes=notes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help="clips with a refs.tsv (default: ../shared/speech if it is there, else the embedded ones, repeated)",
    )  # fmt: skip
    parser.add_argument("--clips", type=int, help="use only so many of them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
