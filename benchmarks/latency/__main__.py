"""``python -m benchmarks.latency``: measure, print the table, write the record."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import attrs
import numpy as np
from benchmarks.records import Table, load_average, write_record

import asrlab
from asrlab.environment import usable_cores

MODEL = "faster-whisper/base"
SECONDS = 5.0
RATE = 16_000
Way = Callable[[], str]


@attrs.frozen(kw_only=True)
class Pair:
    """The times of both ways with the same options, measured alternately.

    Attributes:
        case: Name of the options.
        raw: Seconds of each of the engine's own calls.
        ours: Seconds of each call of `transcribe`.
        same: True if the texts are equal.
    """

    case: str
    raw: tuple[float, ...]
    ours: tuple[float, ...]
    same: bool

    @property
    def ratios(self) -> list[float]:
        """Ratio of the times of `transcribe` to those of the engine's own call, by pair."""
        return [ours / raw for raw, ours in zip(self.raw, self.ours, strict=True)]

    @property
    def row(self) -> tuple[str, ...]:
        """Row of the table."""
        return (
            self.case,
            f"{median(self.raw):.3f} ({min(self.raw):.3f} to {max(self.raw):.3f})",
            f"{median(self.ours):.3f} ({min(self.ours):.3f} to {max(self.ours):.3f})",
            f"{median(self.ratios):.3f}",
            f"{min(self.ratios):.2f} to {max(self.ratios):.2f}",
            "yes" if self.same else "no",
        )


def main() -> None:
    """Measure, print the table, and write the record."""
    arguments = _parse_arguments()
    threads = arguments.threads or min(4, usable_cores())
    from faster_whisper import WhisperModel

    weights = asrlab.weights_path(MODEL, offline=True)
    model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
    clip = _load_clip()
    pairs = []
    with asrlab.load(MODEL, device="cpu", threads=threads, offline=True) as transcriber:
        for case, language in (("language given", "en"), ("language detected", None)):

            def raw(language: str | None = language) -> str:
                return " ".join(segment.text.strip() for segment in model.transcribe(clip, language=language)[0])

            def ours(language: str | None = language) -> str:
                return transcriber.transcribe(clip, sample_rate=RATE, language=language).text

            pairs.append(_measure(case, raw, ours, times=arguments.times))
    title = f"{MODEL}, one clip of {SECONDS:g} s from memory, {threads} threads, {arguments.times} times alternately"
    headings = ("case", "raw s", "transcribe s", "ratio", "range", "same text")
    notes = ("s: median and range; ratio: of each pair, the median", f"load average {load_average()}")
    table = Table(title=title, headings=headings, rows=tuple(pair.row for pair in pairs), notes=notes)
    print(table)
    plain = {pair.case: {**attrs.asdict(pair), "ratio": median(pair.ratios)} for pair in pairs}
    write_record(arguments.record, benchmark="latency", table=table, pairs=plain)


def _load_clip() -> np.ndarray:
    """Return five seconds of the embedded speech."""
    first = next(iter(asrlab.evaluation.load_dataset("smoke"))).audio
    return np.ascontiguousarray(asrlab.load_audio(first).samples[: round(SECONDS * RATE)])


def _measure(case: str, raw: Way, ours: Way, *, times: int) -> Pair:
    """Measure each function *times* times in alternating order, after one warm-up."""
    texts = [raw(), ours()]
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(times):
        for index in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            (raw, ours)[index]()
            seconds[index].append(time.perf_counter() - start)
    return Pair(case=case, raw=tuple(seconds[0]), ours=tuple(seconds[1]), same=texts[0] == texts[1])


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all figures to FILE as JSON")
    parser.add_argument("--times", type=int, default=40, help="number of calls of each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="number of threads (default: the number of cores, at most 4)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
