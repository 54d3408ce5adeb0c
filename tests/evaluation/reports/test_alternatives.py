"""Alternatives in references and hypotheses, in sclite's notation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import asrlab
from asrlab.evaluation.alternatives import Alternatives, parse_alternatives
from asrlab.evaluation.datasets.hypotheses import read_hypotheses


@pytest.mark.parametrize(
    ("said", "written", "normalizer"),
    [
        ("The { colour / hue } is { twenty one / @ }!", "the color is 21", "english"),
        ("The { colour / hue } is { twenty one / @ }!", "the hue is", "english"),
        ("Das { Maß / Mass } ist { voll, / @ } gut.", "das mass ist gut", "basic"),
        ("{ Uh, / @ } I agree", "I agree", "leaderboard"),
    ],
)
def test_alternatives_are_normalized_like_the_rest(tmp_path: Path, said: str, written: str, normalizer: str):
    """Each reading is compared in the normalizer's spelling."""
    (tmp_path / "r.trn").write_text(f"{said} (u_1)\n", encoding="utf-8")
    (tmp_path / "h.trn").write_text(f"{written} (u_1)\n", encoding="utf-8")

    scoring = asrlab.evaluation.score(tmp_path / "h.trn", references=tmp_path / "r.trn", normalizer=normalizer)
    assert scoring.files[0].score.wer == 0


def test_each_system_is_compared_by_its_own_reading(tmp_path: Path):
    """Two systems that match different alternatives have no errors and no differences."""
    said = "".join(f"so {{ um well / uh / @ }} it is {n} (u_{n})\n" for n in range(12))
    (tmp_path / "r.trn").write_text(said, encoding="utf-8")
    for name, filler in (("one", "um well "), ("two", "uh "), ("three", "")):
        lines = "".join(f"so {filler}it {'was' if name == 'three' else 'is'} {n} (u_{n})\n" for n in range(12))
        (tmp_path / f"{name}.trn").write_text(lines, encoding="utf-8")

    files = [tmp_path / f"{name}.trn" for name in ("one", "two", "three")]
    scoring = asrlab.evaluation.score(files, references=tmp_path / "r.trn", normalizer="none")
    assert [each.score.words.reference_length for each in scoring.files] == [72, 60, 48]
    assert scoring.wer is not None
    assert [counts.errors for _, counts in scoring.wer.systems] == [0, 0, 12]
    assert [each.difference for each in scoring.wer.differences] == pytest.approx([0, 0.25, 0.25])
    # word by word there is no common reference, and no mistake is made of that
    assert [(each.both_right, each.candidate_mistakes) for each in scoring.differences] == [(0, ()), (0, ())]


def test_the_number_of_readings_is_limited(tmp_path: Path):
    """A thousand independent alternatives are accepted; more words than can be compared are an error."""
    (tmp_path / "r.trn").write_text("{ a / b } " * 1000 + "(u_1)\n", encoding="utf-8")
    (tmp_path / "h.trn").write_text("b " * 1000 + "(u_1)\n", encoding="utf-8")
    assert asrlab.evaluation.score(tmp_path / "h.trn", references=tmp_path / "r.trn").files[0].score.wer == 0

    (tmp_path / "h.trn").write_text("b " * 30_000 + "(u_1)\n", encoding="utf-8")
    with pytest.raises(asrlab.DatasetError, match=r"utterance 'u_1' has too many alternatives: .* 30000; split it"):
        asrlab.evaluation.score(tmp_path / "h.trn", references=tmp_path / "r.trn")


@pytest.mark.parametrize("name", ["r.trn", "r.stm"])
def test_brace_that_is_not_closed_is_refused_at_its_line(tmp_path: Path, name: str):
    """Alternatives that are never closed are an error with line and column."""
    line = "a { b / c"
    (tmp_path / "r.trn").write_text(f"x (u_0)\n{line} (u_1)\n", encoding="utf-8")
    (tmp_path / "r.stm").write_text(f"f 1 s 0 1 x\nf 1 s 1 2 {line}\n", encoding="utf-8")
    (tmp_path / "h.trn").write_text(f"{line} (u_1)\n", encoding="utf-8")

    with pytest.raises(asrlab.DatasetError, match=rf"{name}, line 2: the brace in column 3 opens alternatives"):
        asrlab.evaluation.score(tmp_path / "h.trn", references=tmp_path / name)
    [only] = read_hypotheses(tmp_path / "h.trn").hypotheses
    assert (only.text, only.alternatives) == (line, None)


def test_alternatives_outside_of_scoring_formats_are_characters(tmp_path: Path):
    """Braces in a table's text are ordinary characters."""
    (tmp_path / "r.csv").write_text("utt_id,text\nu,a { b / c }\n", encoding="utf-8")
    (tmp_path / "h.csv").write_text("utt_id,text\nu,a { b / c }\n", encoding="utf-8")
    [file] = asrlab.evaluation.score(tmp_path / "h.csv", references=tmp_path / "r.csv", normalizer="none").files
    assert file.score.words.hits == 6


GROWING: dict[str, Callable[[int], str]] = {
    "alternatives": lambda size: "{ a / b } " * size,
    "nested alternatives": lambda size: "{ a / " * size + "b" + " }" * size,
    "one word of many signs": lambda size: "@ " + "a/" * size,
    "braces side by side": lambda size: "{}" * size + "@",
}


@pytest.mark.parametrize("name", GROWING)
def test_graph_of_alternatives_is_as_long_as_the_text(name: str):
    """A text of eight times the length has at most eight times the arcs and words."""
    sizes = [sum(len(arcs) + sum(len(words) for _, words in arcs) for arcs in graph(GROWING[name](size)).incoming)
             for size in (500, 4000)]  # fmt: skip
    assert sizes[1] <= 8 * sizes[0] + 8


def graph(text: str) -> Alternatives:
    """Return the graph of a text with alternatives."""
    found = parse_alternatives(text)
    assert found is not None
    return found
