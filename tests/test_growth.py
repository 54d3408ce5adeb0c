"""The time to read a file grows linearly with its size, also for adversarial texts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.errors import AsrlabError, DatasetError
from asrlab.evaluation.alternatives import parse_alternatives
from asrlab.evaluation.claims.documents import read_document
from asrlab.evaluation.claims.evidence import Evidence, build_support_matrix
from asrlab.evaluation.claims.lint import lint_document
from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.datasets.delimited import read_rows
from asrlab.evaluation.datasets.hypotheses import read_hypotheses, read_references, sniff_trn
from asrlab.evaluation.runs.gates import split_words
from asrlab.transcript.document import escape_formula, unescape_formula
from asrlab.transcript.scoring_formats import trn_line, unescape_id

EVIDENCE = Evidence(folder=Path("evidence"), runs={})
SUPPORT = build_support_matrix(EVIDENCE)


def make_error(number: int, problem: str) -> DatasetError:
    """Return the error for a line."""
    return DatasetError(f"line {number}: {problem}", line=number)


def count_findings(path: Path) -> int:
    """Return the number of findings of `asrlab verify` in a document."""
    return len(list(lint_document(read_document(path), EVIDENCE, SUPPORT)))


# For each kind: a function that returns about *size* characters, the name of the file, and the function that reads it.
FILES: dict[str, tuple[Callable[[int], str], str, Callable[[Path], object]]] = {
    "STM alternatives that never close": (
        lambda size: "f 1 s 0 1 " + "{ a / b " * (size // 8),
        "x.stm",
        lambda path: list(read_references(path) or ()),
    ),
    "STM alternatives": (
        lambda size: "f 1 s 0 1 " + "{ a / b } " * (size // 10),
        "x.stm",
        lambda path: list(read_references(path) or ()),
    ),
    "STM spaces": (
        lambda size: "f 1 s 0 1 x" + " " * size + "y",
        "x.stm",
        lambda path: list(read_references(path) or ()),
    ),
    "STM field": (lambda size: "f 1 s 0 " + "1" * size, "x.stm", lambda path: list(read_references(path) or ())),
    "trn spaces": (lambda size: "a" + " " * size + "b (u)", "x.trn", read_hypotheses),
    "trn without id": (lambda size: "a" + " " * size + "b", "x.trn", read_hypotheses),
    "trn parentheses": (lambda size: "(" * size, "x", sniff_trn),
    "trn almost ids": (lambda size: "(a" * (size // 2) + ") b", "x", sniff_trn),
    "CTM spaces": (lambda size: "f" + " " * size + "x", "x.ctm", read_hypotheses),
    "CTM numbers": (lambda size: "f 1 " + "1" * size + " . x", "x.ctm", read_hypotheses),
    "Kaldi archive": (
        lambda size: "r " + ":1[" * (size // 3) + "x\n",
        "wav.scp",
        lambda path: list(load_dataset(path.parent, format="kaldi", require_text=False)),
    ),
    "TSV quotes": (
        lambda size: "path\ttext\n" + 'a\t"b\n' * (size // 5),
        "x.tsv",
        lambda path: sum(1 for _ in load_dataset(path).read()),
    ),
    "document figures": (
        lambda size: "The WER of the model is " + ", ".join(f"{n % 90}.5 %" for n in range(size // 8)),
        "x.md",
        count_findings,
    ),
    "document seconds": (lambda size: "The model took " + "5 s " * (size // 4), "x.md", count_findings),
    "document claims": (lambda size: "whisper " + "works on CPU, " * (size // 14), "x.md", count_findings),
    "document praise": (lambda size: "production ready " * (size // 17), "x.md", count_findings),
    "document sentences": (lambda size: "Base takes 5 s. " * (size // 16), "x.md", count_findings),
    "document cells": (
        lambda size: "".join(cell * (size // 18) + "|\n" for cell in ("| a ", "|---", "| 5 % WER ")),
        "x.md",
        count_findings,
    ),
    "document tags": (lambda size: "<p>" + "<a " * (size // 3), "x.md", count_findings),
    "document comments": (lambda size: "<div>\n" + "<!-- x " * (size // 7), "x.md", count_findings),
    "document blocks": (lambda size: "<!-- x -->\n\n" * (size // 12), "x.md", count_findings),
    "document entities": (lambda size: "&copy; WER " * (size // 11), "x.md", count_findings),
}  # fmt: skip
TEXTS: dict[str, tuple[Callable[[int], str], Callable[[str], object]]] = {
    "brackets in a hypothesis": (lambda size: "([<" * (size // 3), lambda text: list(split_words(text))),
    "brackets that close": (lambda size: "(a) [b" * (size // 6), lambda text: list(split_words(text))),
    "apostrophes of a cell": (lambda size: "'" * size, lambda text: (escape_formula(text), unescape_formula(text))),
    "percent signs of an id": (lambda size: "%2" * (size // 2), unescape_id),
    "spaces of a trn line": (lambda size: " " * size + ";;", lambda text: trn_line(text, "u")),
    "one word of alternatives": (lambda size: "@ " + "a/" * (size // 2), parse_alternatives),
    "nested alternatives": (lambda size: "{ a " * (size // 6) + "} " * (size // 6), parse_alternatives),
    "quotes in a cell": (
        lambda size: '"' + '""' * (size // 2),
        lambda text: list(read_rows([(1, "id\tx\n"), (2, text)], "\t", "lenient", make_error)),
    ),
    "cells that begin with quotes": (
        lambda size: '"a\t' * (size // 3),
        lambda text: list(read_rows([(1, "id\tx\n"), (2, text)], "\t", "lenient", make_error)),
    ),
}
LARGE = 160_000
DOCUMENT = 8_000


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of *run*, which may raise an error of the input."""
    before = time.process_time()
    try:
        run()
    except AsrlabError:
        pass
    except ValueError as error:
        assert "is not closed" in str(error)  # noqa: PT017 - raised by the parser of alternatives
    return time.process_time() - before


def assert_linear(small: Callable[[], object], large: Callable[[], object]) -> None:
    """Assert that eight times the input takes at most twenty times the time, in the best of three attempts."""
    attempts = []
    for _ in range(3):
        attempts.append((cpu_seconds(small), cpu_seconds(large)))
        if attempts[-1][1] < max(20 * attempts[-1][0], 0.5):
            return
    raise AssertionError(f"CPU seconds for an input and one that is eight times as long: {attempts}")


@pytest.mark.parametrize("name", FILES)
def test_time_to_read_a_file_is_linear(tmp_path: Path, name: str):
    """A file of eight times the length takes at most twenty times the time, whether it is read or refused."""
    text, file, read = FILES[name]
    size = DOCUMENT if file.endswith(".md") else LARGE
    for folder, length in (("small", size // 8), ("large", size)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text(length), encoding="utf-8")
    assert_linear(lambda: read(tmp_path / "small" / file), lambda: read(tmp_path / "large" / file))


@pytest.mark.parametrize("name", TEXTS)
def test_time_to_parse_a_text_is_linear(name: str):
    """A text of eight times the length takes at most twenty times the time."""
    text, read = TEXTS[name]
    short, long = text(LARGE // 8), text(LARGE)
    assert_linear(lambda: read(short), lambda: read(long))


def test_a_long_sentence_loses_no_findings(tmp_path: Path):
    """A sentence that is checked in parts has one finding for each figure."""
    path = tmp_path / "x.md"
    for count in (10, 100, 2000):
        path.write_text("The WER of the model is " + " and ".join(["5.5 %"] * count), encoding="utf-8")
        assert count_findings(path) == count


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(laughs) yes [x] <y> no", ["yes", "no"]),
        ("yes (no", ["yes", "no"]),
        ("a (b [c) d] e", ["a", "b", "e"]),
        ("a <b (c> d) e", ["a", "d", "e"]),
        ("a)b (c", ["ab", "c"]),
    ],
)
def test_annotations_are_removed_as_by_whispers_patterns(text: str, words: list[str]):
    """Bracketed text is removed as by Whisper's patterns, which take quadratic time."""
    remaining = re.sub(r"\(([^)]+?)\)", "", re.sub(r"[<\[][^>\]]*[>\]]", "", text))
    assert list(split_words(text)) == list(split_words(remaining)) == words
