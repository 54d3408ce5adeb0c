"""How utterances went through an engine together, in words."""

from __future__ import annotations

import re
from collections import Counter

from asrlab.batching import BATCHED, FULL
from asrlab.evaluation.runs.result import ModelResult
from asrlab.options import Batching

__all__ = ["batching_told", "paths_told"]


def batching_told(batching: Batching) -> str:
    """What was chosen; nothing in *batching* is None."""
    encoder = "together" if batching.encode_together else "one by one"
    return (
        f"batches of {batching.batch_size}, {batching.workers} x {batching.threads} threads, "
        f"margin {batching.margin:g} s, encoder {encoder}"
    )


def paths_told(model: ModelResult) -> str:
    """How many utterances were decoded together, and why the others took the full path; empty where none was tried."""
    paths = model.paths
    tried = sum(count for path, count in paths.items() if path.startswith(BATCHED))
    if not tried:
        return ""
    how = f" ({batching_told(model.batching)})" if model.batching else ""
    doubted = {path: count for path, count in paths.items() if path.startswith(BATCHED) and FULL in path}
    told = f"{tried - sum(doubted.values())} of {tried} utterances were decoded together{how}"
    if not doubted:
        return f"{told}; none was in doubt"
    reasons: Counter[str] = Counter()
    for path, count in doubted.items():
        for reason in re.sub(r" \(\d+\)", "", path.partition(f"{FULL}: ")[2]).split(", "):
            reasons[reason] += count
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{told}; {sum(doubted.values())} took the full path, at least in part: {listed}"
