"""CSV and TSV, Common Voice, and Hugging Face's audiofolder."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

type Write = Callable[[dict[str, str | bytes]], Path]


def read(write: Write, content: str, name: str = "list.csv") -> list[Utterance]:
    """The utterances of a table."""
    return list(load_dataset(write({name: content}) / name))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_row_with_all_columns(write: Write, tmp_path: Path, delimiter: str):
    """All usual columns are read with any delimiter, in any order and case."""
    header = ["Language", "end", "Offset", "other", "Audio Path", "Sentence", "Speaker ID", "recording", "utt_id"]
    row = ["pt_BR", "3.5", "1.5", "x", "sub/a.wav", "hello", "s1", "r1", "u1"]

    assert read(write, "\n".join(map(delimiter.join, (header, row))), "a.list") == [
        Utterance(
            id="u1",
            audio=AudioFile(path=tmp_path / "set/sub/a.wav", offset=1.5, duration=2.0),
            text="hello",
            language="pt-BR",
            speaker="s1",
            recording="r1",
        )
    ]


def test_duration_without_start_is_ignored(write: Write, tmp_path: Path):
    """Without a start a duration is that of the file, which is read whole."""
    [whole, part] = read(write, "path,text,offset,duration\na.wav,x,,9.99\na.wav,x,2,0.5\n")

    assert whole.audio == tmp_path / "set" / "a.wav"
    assert (whole.id, part.id) == ("a", "a@2.0")
    assert part.audio == AudioFile(path=tmp_path / "set" / "a.wav", offset=2.0, duration=0.5)


def test_quoted_cells_hold_anything_and_lines_stay_right(write: Write):
    """Line ends, delimiters and quotes in a cell are text, and a bad row after them is reported by its own line."""
    content = 'path,text\n"a,1.wav","he said\n""yes"",\nthen"\n\nb.wav,x,y\n'
    utterances = iter(load_dataset(write({"list.csv": content}) / "list.csv"))

    assert next(utterances).text == 'he said\n"yes",\nthen'
    with pytest.raises(DatasetError, match=r"list\.csv, line 6: has 3 cells where the header has 2 columns"):
        next(utterances)


def test_table_that_python_wrote_is_read_back(write: Write, tmp_path: Path):
    """Awkward texts written by the csv module are read back unchanged."""
    texts = ['"', "a\r\nb", " x ", "a,b;c\td", "", "Grüße 你好", "'"]
    path = write({"x": ""}) / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "text"), *((f"{n}.wav", text) for n, text in enumerate(texts))])

    assert [utterance.text for utterance in load_dataset(path)] == texts


BAD_ROWS = [
    ("a.wav,x,1.5,s,", r"line 3: the part of a\.wav would last .* s; it must end after it starts"),
    ("a.wav,x", r"line 3: has 2 cells where the header has 5 columns"),
    (",x,1,s,2", r"line 3: there is no 'path'; every row needs one"),
    ("a.wav,x,one,s,2", r"line 3: 'start' is 'one'; it must be a number of seconds, such as 1\.5"),
    ("a.wav,x,-1,s,2", r"line 3: 'start' is -1; it must be a finite number"),
    ("a.wav,x,1,s,nan", r"line 3: 'end' is nan; it must be a finite number"),
    ('a.wav,"x" y,1,s,2', r"line 3: the row that begins here cannot be read .*; put cells"),
    (
        'a.wav,"x,1,s,2\n',
        r"line 3: the row that begins here cannot be read \(a quote that opens a cell is never closed\)",
    ),
    ("a\0.wav,x,1,s,2", r"line 3: 'path' 'a\\x00\.wav' is not a valid path"),
]


@pytest.mark.parametrize(("row", "problem"), BAD_ROWS, ids=[problem[8:40] for _, problem in BAD_ROWS])
def test_bad_row_is_refused_with_line_and_column(write: Write, row: str, problem: str):
    """A bad row is an error with line, column and remedy, after the row before it was returned."""
    row = row.removesuffix("s,") + "s,0.5" if row.endswith("s,") else row
    path = write({"list.csv": f"path,text,start,speaker,end\nok.wav,x,1,s,2\n{row}"}) / "list.csv"
    utterances = iter(load_dataset(path))

    assert next(utterances).id == "ok@1.0"
    with pytest.raises(DatasetError, match=problem) as caught:
        next(utterances)
    assert (caught.value.path, caught.value.line) == (path, 3)


def test_two_columns_for_the_same_are_refused_at_once(write: Write):
    """Two columns that could be the reference are an error before anything runs."""
    path = write({"list.csv": "path,text,sentence\na.wav,x,y\n"}) / "list.csv"

    with pytest.raises(
        DatasetError, match=r"the header of .*: the columns 'text' and 'sentence' could each be the text"
    ):
        load_dataset(path)


def test_table_without_references_is_refused_at_once(write: Write):
    """The error about a table without references says what to call the column."""
    path = write({"list.csv": "path,words\na.wav,x\n"}) / "list.csv"

    with pytest.raises(DatasetError, match="no column holds the references; call it reference or sentence or text"):
        load_dataset(path)


def test_common_voice_row(write: Write, tmp_path: Path):
    """The clip is found in ``clips``, with speaker and language, and a quote is an ordinary character."""
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tage\tlocale\n"
    [utterance] = read(write, header + 'c0ffee\tcommon_voice_sv_1.mp3\tq\t"Hej", sa hon\t2\t\tsv-SE\n', "test.tsv")

    assert utterance == Utterance(
        id="common_voice_sv_1",
        audio=tmp_path / "set" / "clips" / "common_voice_sv_1.mp3",
        text='"Hej", sa hon',
        language="sv-SE",
        speaker="c0ffee",
    )


def test_common_voice_quote_at_the_start_loses_no_rows(write: Write):
    """A sentence that begins with a quote and never closes it is one sentence; the next row is the next."""
    content = 'client_id\tpath\tsentence\ns\ta.mp3\t"Hello\ns\tb.mp3\tWorld"\n'

    assert [utterance.text for utterance in read(write, content, "test.tsv")] == ['"Hello', 'World"']


def test_common_voice_folder_of_several_tables_names_them(write: Write):
    """The error about a release's folder names its tables; a folder with one table is read."""
    table = "client_id\tpath\tsentence\ns\ta.mp3\thello\n"
    root = write({"dev.tsv": table, "clips/a.mp3": "", "reported.tsv": "sentence\treason\n"})
    assert [utterance.text for utterance in load_dataset(root)] == ["hello"]

    write({"test.tsv": table})
    with pytest.raises(DatasetError, match=r"holds several tables; give one: .*dev\.tsv, .*test\.tsv"):
        load_dataset(root)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_audiofolder_line(write: Write, tmp_path: Path, name: str):
    """Both kinds of metadata give the same utterances, from the folder and from the file itself."""
    fields = {"file_name": "data/a.wav", "transcription": "hello, you", "speaker_id": "7", "language": "de", "age": "9"}
    text = json.dumps(fields) if name.endswith("l") else f'{",".join(fields)}\n"{'","'.join(fields.values())}"\n'
    root = write({name: text, "data/a.wav": ""})

    assert list(load_dataset(root)) == list(load_dataset(root / name))
    assert list(load_dataset(root)) == [
        Utterance(id="data/a", audio=root / "data/a.wav", text="hello, you", language="de", speaker="7")
    ]


def test_audiofolder_in_splits_names_them(write: Write):
    """The error about a data set with splits asks for one of them."""
    root = write({f"data/{split}/metadata.csv": "file_name,text\na.wav,x\n" for split in ("test", "train")})

    with pytest.raises(DatasetError, match=r"several metadata files; give one: .*data/test, .*data/train"):
        load_dataset(root)
    assert [utterance.id for utterance in load_dataset(root / "data" / "test")] == ["a"]


def test_audiofolder_line_without_text_is_refused_with_its_line(write: Write):
    """A later line without the reference is an error at that line."""
    content = '{"file_name": "a.wav", "text": "x"}\n\n{"file_name": "b.wav"}\n'
    path = write({"metadata.jsonl": content})

    with pytest.raises(DatasetError, match=r"metadata\.jsonl, line 3: .*references"):
        list(load_dataset(path))


def test_long_table_needs_little_memory(write: Write):
    """Iterating a table keeps the ids and not the rows."""
    rows = "".join(f"{n}.wav,{'word ' * 200}\n" for n in range(1_500))
    path = write({"list.csv": "path,text\n" + rows}) / "list.csv"
    dataset = load_dataset(path)
    tracemalloc.start()
    try:
        count = sum(1 for _ in dataset)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == 1_500
    assert peak < path.stat().st_size / 2 < 800_000
