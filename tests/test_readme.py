"""The figures that README.md shows are those of the record it names."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_shown_run_is_the_recorded_one():
    """Every figure in README's table stands in evidence/smoke-base.json, and the texts are those recorded."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    record = json.loads((ROOT / "evidence" / "smoke-base.json").read_text(encoding="utf-8"))
    rows = {line.split("│")[1].strip(): line for line in readme.splitlines() if line.startswith("│")}
    assert list(rows) == [model["model"] for model in record["models"]]
    for model in record["models"]:
        words, latency = model["score"]["words"], model["latency_seconds"]
        length = words["hits"] + words["substitutions"] + words["deletions"]
        errors = words["substitutions"] + words["deletions"] + words["insertions"]
        shown = [cell.strip() for cell in rows[model["model"]].split("│")[3:-1]]
        assert shown == [
            f"{errors / length:.2%}".replace("%", " %") + f" ({errors}/{length})",
            f"{words['substitutions']} {words['deletions']} {words['insertions']}",
            f"{model['score']['cer']:.2%}".replace("%", " %"),
            f"{model['rtfx']:.2f}x",
            f"{latency['p50']:.2f} s",
            f"{latency['p95']:.2f} s",
            f"{model['load_seconds']:.2f} s",
            f"{model['peak_resident_bytes'] / 2**20:.0f}",
            str(len([one for one in model["utterances"] if one["failure"]])),
        ]
    clip = next(one for one in record["models"][0]["utterances"] if one["id"].endswith("0920"))
    assert clip["reference"] in readme
    assert clip["hypothesis"] in readme
