"""Tables and records of the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from .engines import EngineRun
from .machine import Machine
from .memory import Decoding
from .pairs import Comparison
from .startup import STARTUP_TARGETS, Startup
from .wrapper import Wrapper

__all__ = ["TARGET_MIB", "TARGET_RATIO", "Figures", "as_record", "as_text"]

TARGET_RATIO = 1.02
TARGET_MIB = 120.0


@attrs.frozen(kw_only=True)
class Figures:
    """All measurements.

    Attributes:
        machine: The machine before the first measurement.
        load_after: Load average after the last measurement.
        rounds: Number of rounds of each case.
        clips: Number of clips of each case.
        clip_seconds: Total duration of the clips.
        wrappers: Times of asrlab without an engine.
        engines: Comparisons with each engine.
        starts: Start-up times.
        decodings: Memory of decoding.
    """

    machine: Machine
    load_after: float | None
    rounds: int
    clips: int
    clip_seconds: float
    wrappers: Sequence[Wrapper]
    engines: Sequence[EngineRun]
    starts: Sequence[Startup]
    decodings: Sequence[Decoding]


def as_record(figures: Figures) -> dict[str, Any]:
    """Return *figures* as plain values for JSON, with the targets and every clip."""
    plain = attrs.asdict(figures)
    plain["targets"] = {"ratio_per_clip": TARGET_RATIO, "decoding_mib": TARGET_MIB, "startup_ratio": STARTUP_TARGETS}
    for run, measured in zip(plain["engines"], figures.engines, strict=True):
        run["cases"] = [{**attrs.asdict(case), **_plain(comparison)} for case, comparison in measured.cases]
    for decoding, measured_decoding in zip(plain["decodings"], figures.decodings, strict=True):
        decoding["extra_mib"] = measured_decoding.extra_mib
    return plain


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {"median_wall": comparison.wall, "median_cpu": comparison.cpu, **attrs.asdict(comparison)}


def as_text(figures: Figures) -> str:
    """Format *figures* as tables; a figure over its target is marked ``OVER``."""
    machine = figures.machine
    head = [
        f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}",
        ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        f"load average {machine.load} before, {figures.load_after} after",
    ]
    return "\n".join([*head, *_ratios(figures), *_wrappers(figures), *_starts(figures), *_decodings(figures)]) + "\n"


def _ratios(figures: Figures) -> Iterator[str]:
    yield ""
    yield (
        f"Time with asrlab over time with the engine's own API: {figures.clips} clips, {figures.clip_seconds:.1f} s in "
        f"all, {figures.rounds} rounds."
    )
    yield "wall: wall time; cpu: CPU time of all threads. A clip's ratio is the median of its rounds. Columns: the"
    yield "median of the clips, the range of the rounds' medians (spread), and the worst clip."
    half = f"{'spread':>12} {'worst':>6} {'':4}"
    for run in figures.engines:
        yield ""
        yield f"{run.model}, {run.compute_type}, {run.threads} threads, other beam: {run.other_beam}"
        yield f"  {'case':26} {'wall':>6} {half} {'cpu':>6} {half} {'extra ms':>8}"
        yield from (_row(case.name, comparison, control=case.control) for case, comparison in run.cases)


def _row(name: str, comparison: Comparison, *, control: bool) -> str:
    wall = _half(comparison.wall, comparison.rounds_wall, comparison.worst_wall.wall, control=control)
    cpu = _half(comparison.cpu, comparison.rounds_cpu, comparison.worst_cpu.cpu, control=control)
    extra = sorted(clip.extra_ms for clip in comparison.clips)[len(comparison.clips) // 2]
    differing = [clip.id for clip in comparison.clips if not clip.same_text]
    note = f"  texts differ: {', '.join(differing)}" if differing else ""
    return f"  {name:26} {wall} {cpu} {extra:8.1f}{note}"


def _half(ratio: float, rounds: Sequence[float], worst: float, *, control: bool) -> str:
    mark = "" if control else _mark(worst, TARGET_RATIO)
    return f"{ratio:6.3f} {min(rounds):5.3f}..{max(rounds):5.3f} {worst:6.3f} {mark:4}"


def _mark(value: float, target: float) -> str:
    return "OVER" if value > target else ""


def _wrappers(figures: Figures) -> Iterator[str]:
    yield ""
    yield "asrlab with an engine that takes no time (echo/echo), ms of CPU; soundfile: decoding the file without asrlab"
    yield f"  {'clip':42} {'array':>6} {'file':>6} {'soundfile':>10}"
    for wrapper in figures.wrappers:
        yield f"  {wrapper.id:42} {wrapper.array_ms:6.2f} {wrapper.file_ms:6.2f} {wrapper.decode_ms:10.2f}"


def _starts(figures: Figures) -> Iterator[str]:
    yield ""
    yield f"Start-up of a fresh process, median of {figures.starts[0].runs} alternating starts"
    yield f"  {'command':26} {'ms':>6} {'least':>6} {'times python':>12}"
    for start in figures.starts:
        mark = _mark(start.ratio, STARTUP_TARGETS.get(start.name, 1.0))
        yield f"  {start.name:26} {start.median_ms:6.0f} {start.least_ms:6.0f} {start.ratio:12.2f} {mark:4}".rstrip()


def _decodings(figures: Figures) -> Iterator[str]:
    yield ""
    yield "Peak memory of reading a recording in blocks, 44.1 kHz stereo, above the interpreter alone"
    yield f"  {'format':8} {'decoder':10} {'minutes':>7} {'MiB':>6}      {'times real time':>15}"
    yield from map(_decoding, figures.decodings)


def _decoding(decoding: Decoding) -> str:
    speed = decoding.seconds / decoding.decoding_seconds
    memory = f"{decoding.extra_mib:6.1f} {_mark(decoding.extra_mib, TARGET_MIB):4}"
    return f"  {decoding.format:8} {decoding.decoder:10} {decoding.seconds / 60:7.1f} {memory} {speed:15.0f}"
