"""A process that runs one task on one corpus and prints its time and memory as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from asrlab.evaluation.metrics import (
    compare_speed,
    compare_wer,
    entity_errors,
    get_normalizer,
    get_profile,
    peak_resident_bytes,
    resident_bytes,
    score,
    suspect_references,
    word_differences,
)

from .corpus import create_blocks, create_pairs, create_times

__all__ = ["TASKS", "measure"]


def _score(count: int) -> Callable[[], object]:
    pairs = create_pairs(count, seed=1, errors=0.1)
    return lambda: score(pairs, normalizer=get_normalizer("english"))


def _leaderboard(count: int) -> Callable[[], object]:
    pairs = create_pairs(count, seed=1, errors=0.1)
    return lambda: get_profile("leaderboard").score(pairs)


def _entities(count: int) -> Callable[[], object]:
    pairs = create_pairs(count, seed=1, errors=0.1)
    return lambda: entity_errors(pairs)


def _compare(count: int) -> Callable[[], object]:
    systems = {"a": create_pairs(count, seed=1, errors=0.1), "b": create_pairs(count, seed=2, errors=0.09)}
    return lambda: compare_wer(systems, normalizer=get_normalizer("english"))


def _resample(count: int) -> Callable[[], object]:
    systems = {"a": create_pairs(count, seed=1, errors=0.1), "b": create_pairs(count, seed=2, errors=0.09)}
    return lambda: compare_wer(systems, normalizer=get_normalizer("none"))


def _by_speaker(count: int) -> Callable[[], object]:
    systems = {"a": create_pairs(count, seed=1, errors=0.1), "b": create_pairs(count, seed=2, errors=0.09)}
    blocks = create_blocks(count)
    return lambda: compare_wer(systems, normalizer=get_normalizer("none"), blocks=blocks)


def _speed(count: int) -> Callable[[], object]:
    systems = {"a": create_times(count, seed=1), "b": create_times(count, seed=2)}
    return lambda: compare_speed(systems)


def _differences(count: int) -> Callable[[], object]:
    systems = {"a": create_pairs(count, seed=1, errors=0.1), "b": create_pairs(count, seed=2, errors=0.09)}
    return lambda: word_differences(systems, normalizer=get_normalizer("none"))


def _suspects(count: int) -> Callable[[], object]:
    systems = {"a": create_pairs(count, seed=1, errors=0.1), "b": create_pairs(count, seed=2, errors=0.09)}
    return lambda: suspect_references(systems, normalizer=get_normalizer("none"))


TASKS = {
    "score, english": _score,
    "score, leaderboard": _leaderboard,
    "entities": _entities,
    "compare 2, english": _compare,
    "compare 2, none": _resample,
    "compare 2, none, speakers": _by_speaker,
    "compare speed of 2": _speed,
    "differences of 2, none": _differences,
    "suspects of 2, none": _suspects,
}


def measure(task: str, count: int) -> dict[str, float | None]:
    """Measure *task*, and return its times, the MiB of corpus and imports, and the increase to the peak in MiB."""
    run = TASKS[task](count)
    before = resident_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    run()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_resident_bytes()
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "corpus_mib": before / 2**20 if before else None,
        "extra_mib": max(0, peak - before) / 2**20 if peak and before else None,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
