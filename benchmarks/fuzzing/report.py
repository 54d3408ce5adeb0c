"""The table of a fuzzing run, and the list of its findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import av
import soundfile
from benchmarks.records import Table

from asrlab.environment import this_machine

from .verdicts import FINDINGS, FuzzResult

__all__ = ["findings_text", "results_table"]

_ALLOWED = ("decoded", "refused", "header declares less", "not detectable")


def results_table(results: Sequence[FuzzResult], unknown: Sequence[str], *, seed: int, seconds: float) -> Table:
    """Return the verdicts by container, with the libraries' versions and the processor.

    Args:
        results: One result for each file.
        unknown: Containers that were skipped, because their content does not identify them.
        seed: Seed of the mutations.
        seconds: Duration of the run.
    """
    headings = ("container", "files", *_ALLOWED, *FINDINGS)
    counts = Counter((result.container, result.verdict) for result in results)
    containers = sorted({result.container for result in results})
    rows = [_row(name, [counts[name, verdict] for verdict in headings[2:]]) for name in containers]
    totals = Counter(result.verdict for result in results)
    rows.append(_row("all", [totals[verdict] for verdict in headings[2:]]))
    notes = (
        "header declares less: a changed header declares the shorter length. not detectable: the container declares no",
        "length and marks no end. "
        + (f"Skipped, not recognizable by content: {', '.join(unknown)}." if unknown else ""),
    )
    title = f"{len(results):,} mutated files, seed {seed}, {seconds:.0f} s; {_libraries()}; {this_machine().processor}"
    return Table(title=title, headings=headings, rows=tuple(rows), notes=notes)


def _row(name: str, counts: Sequence[int]) -> tuple[str, ...]:
    return (name, str(sum(counts)), *(str(count or "-") for count in counts))


def _libraries() -> str:
    versions = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    ffmpeg = ", ".join(f"{name} {versions[name]}" for name in ("libavformat", "libavcodec"))
    return f"libsndfile {soundfile.__libsndfile_version__}, FFmpeg's {ffmpeg} (PyAV {av.__version__})"


def findings_text(results: Sequence[FuzzResult]) -> str:
    """Return a line for each finding."""
    findings = [result for result in results if result.verdict in FINDINGS]
    return "".join(
        f"{result.verdict}: file {result.index}, {result.container} {result.codec}, {result.mutation} from byte "
        f"{result.start}: {dict(result.outcome)}\n"
        for result in findings
    )
