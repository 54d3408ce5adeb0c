"""``asrlab score``, and the texts of a run for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with references, and hypotheses of which one is missing."""
    (tmp_path / "r.trn").write_text("hello there (a)\ngood bye (b)\n", encoding="utf-8")
    (tmp_path / "h.csv").write_text("utt_id,text\na,hello there\n", encoding="utf-8")
    (tmp_path / "whole.csv").write_text("utt_id,text\na,hello there\nb,good buy\n", encoding="utf-8")
    return tmp_path


def test_a_missing_hypothesis_is_told_and_makes_the_exit_code_1(asrlab_cli: Any, texts: Path):
    """The table has the rate, the line below it the id; nothing missing ends with 0."""
    ran = asrlab_cli("score", "h.csv", "-r", "r.trn", cwd=texts)
    assert ran.code == 1
    assert "50.00 % (2/4)" in ran.out
    assert "h.csv: 1 missing, counted as deletions: b" in ran.out
    assert asrlab_cli("score", "whole.csv", "-r", "r.trn", cwd=texts).code == 0


def test_a_language_that_nobody_said_is_told(asrlab_cli: Any, texts: Path):
    """References without a language have the basic rules, which a note says until ``--language`` tells it."""
    (texts / "r.trn").write_text("Mister Colour (a)\ngood bye (b)\n", encoding="utf-8")
    (texts / "h.trn").write_text("mr. color (a)\ngood bye (b)\n", encoding="utf-8")
    note = "note: 2 of 2 utterances do not say their language and have the normalizer basic; if they are English, give"
    unknown = asrlab_cli("score", "h.trn", "-r", "r.trn", cwd=texts).out
    english = asrlab_cli("score", "h.trn", "-r", "r.trn", "--language", "en_US", cwd=texts).out
    assert note in " ".join(unknown.split())
    assert "50.00 % (2/4)" in unknown
    assert "note: 2 of 2" not in english
    assert "0.00 % (0/4)" in english


def test_json_has_every_figure(asrlab_cli: Any, texts: Path):
    """Two files are compared, and all of it is in one object."""
    ran = asrlab_cli("score", "whole.csv", "h.csv", "-r", "r.trn", "--normalizers", "none", "--json", cwd=texts)
    assert [file["name"] for file in ran.json["files"]] == ["whole.csv", "h.csv"]
    assert ran.json["files"][1]["missing"] == ["b"]
    assert ran.json["wer"]["systems"]["whole.csv"]["substitutions"] == 1
    assert [each["normalizer"] for each in ran.json["figures"]["normalizers"]] == ["basic", "none"]


def test_what_cannot_be_scored_ends_with_4(asrlab_cli: Any, texts: Path):
    """A hypothesis without a reference is bad input."""
    (texts / "x.trn").write_text("a (a)\nb (q)\n", encoding="utf-8")
    ran = asrlab_cli("score", "x.trn", "-r", "r.trn", cwd=texts)
    assert ran.code == 4
    assert "'q'" in ran.err


def test_a_runs_texts_score_as_the_run_did(asrlab_cli: Any, tmp_path: Path):
    """What a run wrote, as one file in any form, has the errors that the run has; an unknown form is refused."""
    runs = tmp_path / "run"
    bench = asrlab_cli("bench", "smoke", "-m", "echo", "--run", str(runs), "--json", cwd=tmp_path)
    for form in ("csv", "tsv", "trn", "ctm", "jsonl", "stm"):
        written = asrlab_cli("runs", str(runs), "--texts", f"out.{form}", cwd=tmp_path)
        assert written.code == 0, written.err
    for form in ("csv", "tsv", "trn", "ctm", "jsonl"):
        [file] = asrlab.evaluation.score(tmp_path / f"out.{form}", references="smoke").files
        words = bench.json["models"][0]["score"]["words"]
        assert attrs.asdict(file.score.words) == {name: words[name] for name in attrs.asdict(file.score.words)}
    refused = asrlab_cli("runs", str(runs), "--texts", "out.docx", cwd=tmp_path)
    assert refused.code == 2
    assert ".csv, .tsv, .trn" in refused.err
