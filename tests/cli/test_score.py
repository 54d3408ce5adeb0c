"""Tests of ``asrlab score``, also with the hypotheses of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with references and hypotheses, one of which is missing."""
    (tmp_path / "r.trn").write_text("hello there (a)\ngood bye (b)\n", encoding="utf-8")
    (tmp_path / "h.csv").write_text("utt_id,text\na,hello there\n", encoding="utf-8")
    (tmp_path / "whole.csv").write_text("utt_id,text\na,hello there\nb,good buy\n", encoding="utf-8")
    return tmp_path


def test_a_missing_hypothesis_is_reported_and_exits_with_1(asrlab_cli: Any, folder: Path):
    """The id of a missing hypothesis is below the table, and the command exits with 1."""
    result = asrlab_cli("score", "h.csv", "-r", "r.trn", cwd=folder)
    assert result.code == 1
    assert "50.00 % (2/4)" in result.out
    assert "h.csv: 1 missing, counted as deletions: b" in result.out
    assert asrlab_cli("score", "whole.csv", "-r", "r.trn", cwd=folder).code == 0


def test_an_unknown_language_is_noted(asrlab_cli: Any, folder: Path):
    """A note says that references without a language have the basic rules, unless --language is given."""
    (folder / "r.trn").write_text("Mister Colour (a)\ngood bye (b)\n", encoding="utf-8")
    (folder / "h.trn").write_text("mr. color (a)\ngood bye (b)\n", encoding="utf-8")
    note = "note: 2 of 2 utterances do not say their language and have the normalizer basic; if they are English, give"
    unknown = asrlab_cli("score", "h.trn", "-r", "r.trn", cwd=folder).out
    english = asrlab_cli("score", "h.trn", "-r", "r.trn", "--language", "en_US", cwd=folder).out
    assert note in " ".join(unknown.split())
    assert "50.00 % (2/4)" in unknown
    assert "note: 2 of 2" not in english
    assert "0.00 % (0/4)" in english


def test_json_has_every_figure(asrlab_cli: Any, folder: Path):
    """Two files are compared, and one JSON object has all their figures."""
    result = asrlab_cli("score", "whole.csv", "h.csv", "-r", "r.trn", "--normalizers", "none", "--json", cwd=folder)
    assert [file["name"] for file in result.json["files"]] == ["whole.csv", "h.csv"]
    assert result.json["files"][1]["missing"] == ["b"]
    assert result.json["wer"]["systems"]["whole.csv"]["substitutions"] == 1
    assert [entry["normalizer"] for entry in result.json["figures"]["normalizers"]] == ["basic", "none"]


def test_a_hypothesis_without_a_reference_exits_with_4(asrlab_cli: Any, folder: Path):
    """A hypothesis without a reference is bad input."""
    (folder / "x.trn").write_text("a (a)\nb (q)\n", encoding="utf-8")
    result = asrlab_cli("score", "x.trn", "-r", "r.trn", cwd=folder)
    assert result.code == 4
    assert "'q'" in result.err


def test_the_exported_hypotheses_of_a_run_have_the_score_of_the_run(asrlab_cli: Any, tmp_path: Path):
    """Exported hypotheses in any format have the run's errors, and an unknown format is refused."""
    run_path = tmp_path / "run"
    bench = asrlab_cli("bench", "smoke", "-m", "echo", "--run", str(run_path), "--json", cwd=tmp_path)
    for file_format in ("csv", "tsv", "trn", "ctm", "jsonl", "stm"):
        written = asrlab_cli("runs", str(run_path), "--texts", f"out.{file_format}", cwd=tmp_path)
        assert written.code == 0, written.err
    for file_format in ("csv", "tsv", "trn", "ctm", "jsonl"):
        [file] = asrlab.evaluation.score(tmp_path / f"out.{file_format}", references="smoke").files
        words = bench.json["models"][0]["score"]["words"]
        assert attrs.asdict(file.score.words) == {name: words[name] for name in attrs.asdict(file.score.words)}
    failed = asrlab_cli("runs", str(run_path), "--texts", "out.docx", cwd=tmp_path)
    assert failed.code == 2
    assert ".csv, .tsv, .trn" in failed.err


@pytest.mark.parametrize("content", [b"RIFF$}\0\0WAVEfmt ", b"PK\x03\x04\x14\0", b"\x89PNG\r\n"])
def test_a_binary_file_is_named_as_such(asrlab_cli: Any, tmp_path: Path, content: bytes):
    """A binary file is refused without its bytes in the error."""
    (tmp_path / "talk.bin").write_bytes(content)
    result = asrlab_cli("score", "talk.bin", cwd=tmp_path)
    assert result.code == 4
    assert "talk.bin is not a file of hypotheses in a known format (it is binary); give a table" in result.err
