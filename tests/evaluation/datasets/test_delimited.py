"""Cells of CSV and TSV: quotes, long cells, and time in proportion to the file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.datasets.delimited import Quoting, read_rows, write_rows
from asrlab.evaluation.datasets.hypotheses import read_hypotheses, read_references

type Write = Callable[[dict[str, str | bytes]], Path]

CELLS = st.text(st.sampled_from("a b\"'\t\n\r,;=é"), max_size=8)
LONG = 200_000


def split(text: str, delimiter: str, quoting: Quoting) -> list[list[str]]:
    """The rows of a text."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1))
    with_ends = [(number, f"{line}\n") for number, line in lines]
    return [cells for _, cells in read_rows(with_ends, delimiter, quoting, refuse)]


def refuse(number: int, problem: str) -> DatasetError:
    """The error for a line."""
    return DatasetError(f"line {number}: {problem}", line=number)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6))
def test_written_rows_are_read_back(delimiter: str, rows: list[list[str]]):
    """Cells with quotes, delimiters and line ends are as they were, written by asrlab or by Python's csv module."""
    header, kept = ["id", "text"], [row for row in rows if any(cell.strip() for cell in row)]
    python = StringIO()
    csv.writer(python, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerow(header)
    csv.writer(python, delimiter=delimiter).writerows(kept)
    written = write_rows(header, kept, delimiter)

    for text in (written, python.getvalue()):
        assert split(text, delimiter, "lenient" if delimiter == "\t" else "strict") == [header, *kept]
    assert list(csv.reader(StringIO(written, newline=""), delimiter=delimiter))[1:] == kept


@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('a "b'), min_size=1, max_size=6), min_size=2, max_size=3), max_size=6
    )
)
def test_unquoted_tabs_lose_no_row(rows: list[list[str]]):
    """Rows written with tabs and without quoting are read back one for one, whatever quotes their cells have."""
    kept = [[f"u{number}", *row[1:2]] for number, row in enumerate(rows)]
    text = "id\ttext\n" + "".join("\t".join(row) + "\n" for row in kept)
    found = split(text, "\t", "lenient")[1:]

    assert [row[0] for row in found] == [row[0] for row in kept]
    for (_, cell), (_, written) in zip(found, kept, strict=True):
        is_quoted = len(written) > 1 and written.startswith('"') and written.endswith('"')
        assert cell == written or (is_quoted and cell == written[1:-1].replace('""', '"'))


@given(rows=st.lists(st.lists(CELLS.map(lambda cell: cell.translate({9: 32, 10: 32, 13: 32})), min_size=2, max_size=2)))
def test_without_quoting_a_quote_is_a_character(rows: list[list[str]]):
    """Common Voice's tables are read unchanged."""
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert split("".join("\t".join(row) + "\n" for row in kept), "\t", "none") == kept


ROWS = [("a", '"Hello'), ("b", "World"), ("c", 'she said "yes"'), ("d", 'so"'), ("e", '"'), ("f", '""x'), ("g", "last")]
READERS: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "data set": ("path", lambda path: [utterance.text or "" for utterance in load_dataset(path)]),
    "hypotheses": ("utt_id", lambda path: [hypothesis.text for hypothesis in read_hypotheses(path).hypotheses]),
    "references": ("utt_id", lambda path: [reference.text for reference in read_references(path) or ()]),
}


@pytest.mark.parametrize("name", READERS)
def test_unquoted_tsv_is_read_whole(write: Write, name: str):
    """A cell that begins with a quote and is not quoted swallows no rows in any reader of tables."""
    column, read = READERS[name]
    rows = "".join(f"{cell}\t{text}\n" for cell, text in ROWS)
    path = write({"x.tsv": f"{column}\ttext\n{rows}"}) / "x.tsv"

    assert read(path) == [text for _, text in ROWS]


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("name", READERS)
def test_long_cell_is_read(write: Write, name: str, delimiter: str):
    """A cell of 200,000 characters, more than Python's csv module reads, is read with and without quotes."""
    column, read = READERS[name]
    text = "word " * (LONG // 5)
    rows = "".join(delimiter.join(row) + "\n" for row in ((column, "text"), ("a", text), ("b", f'"{text}""{text}"')))
    assert [len(cell.strip()) for cell in read(write({"x.tsv": rows}) / "x.tsv")] == [LONG - 1, 2 * LONG]


def test_long_cell_of_common_voice_and_audiofolder_is_read(write: Write):
    """The readers with rules of their own for quotes read long cells, too."""
    text = "word" * (LONG // 4)
    root = write(
        {
            "voice/test.tsv": f"client_id\tpath\tsentence\ns\ta.mp3\t{text}\n",
            "voice/clips/a.mp3": "",
            "birds/metadata.csv": f'file_name,text\na.wav,"{text}"\n',
        }
    )
    for name in ("voice", "birds"):
        assert [utterance.text for utterance in load_dataset(root / name)] == [text]


def test_quoted_tsv_with_line_ends_is_read(write: Write):
    """A quoted cell may span lines that are not rows themselves."""
    path = write({"x.tsv": 'path\ttext\na.wav\t"one\ntwo ""three"""\nb.wav\tfour\n'}) / "x.tsv"
    assert [utterance.text for utterance in load_dataset(path)] == ['one\ntwo "three"', "four"]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_carriage_return_within_a_line_is_refused(write: Write, delimiter: str):
    """A file with the line ends of old Macs would be a header without rows: it is an error."""
    path = write({"x.tsv": f"path{delimiter}text\na.wav{delimiter}one\rb.wav{delimiter}two\n"}) / "x.tsv"
    with pytest.raises(DatasetError, match="line 2: has a carriage return"):
        list(load_dataset(path))


class Counted:
    """Lines that count how many characters a reader asked for."""

    def __init__(self, text: str) -> None:
        self.lines = [(number, f"{line}\n") for number, line in enumerate(text.split("\n"), start=1)]
        self.read = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for number, line in self.lines:
            self.read += 1
            yield number, line


@pytest.mark.parametrize("row", ['a\t"b', 'a\t"b"c', '"\t"', 'a\tb"'])
def test_row_is_yielded_before_many_others_are_read(row: str):
    """An unquoted row needs at most a hundred following lines, so that a long file is not kept in memory."""
    lines = Counted("id\ttext\n" + f"{row}\n" + "x\ty\n" * 1000)
    rows = read_rows(lines, "\t", "lenient", refuse)

    assert [next(rows)[1], next(rows)[1]] == [["id", "text"], row.split("\t")]
    assert lines.read < 110
    assert sum(1 for _ in rows) == 1000
