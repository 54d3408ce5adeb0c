"""Scores of hypothesis files, without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import asrlab
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.hypotheses import read_hypotheses

REFERENCES = "hello there world (a)\nit is two (b)\n;; a comment\ngood bye (c)\n"
FORMS = {
    "h.csv": 'utt_id,text\na,"hello world"\nb,it is two\nc,\n',
    "h.tsv": "id\thypothesis\tother\na\thello world\tx\nb\tit is two\tx\nc\t\tx\n",
    "h.trn": "hello world (a)\nit is two (b)\n(c)\n",
    "h.jsonl": "".join(
        json.dumps({"audio_filepath": f"{name}.wav", "duration": 1.0, "time": 0.1, "text": "", "pred_text": text})
        + "\n"
        for name, text in (("a", "hello world"), ("b", "it is two"), ("c", ""))
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with references and the same hypotheses in every format."""
    for name, text in {"r.trn": REFERENCES, **FORMS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_errors(folder: Path, name: str):
    """One deleted word and one empty utterance give the same errors in every format, detected from the content."""
    scoring = asrlab.evaluation.score(folder / name, references=folder / "r.trn")
    words = scoring.files[0].score.words
    assert (words.hits, words.substitutions, words.deletions, words.insertions) == (5, 0, 3, 0)
    assert (scoring.missing, scoring.utterances, scoring.wer) == (0, 3, None)


@pytest.mark.parametrize("name", FORMS)
def test_the_format_is_detected_without_the_suffix(folder: Path, name: str):
    """A file with another suffix is read alike."""
    plain = folder / "hypotheses"
    plain.write_bytes((folder / name).read_bytes())
    assert read_hypotheses(plain).hypotheses == read_hypotheses(folder / name).hypotheses


def test_missing_hypotheses_are_deletions_and_listed(folder: Path):
    """A missing utterance counts as deletions of all its words, and its id is listed."""
    (folder / "h.trn").write_text("hello there world (a)\n", encoding="utf-8")
    [file] = asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn").files
    assert file.missing == ("b", "c")
    assert (file.score.words.hits, file.score.words.deletions) == (3, 5)


def test_extra_hypotheses_are_refused_unless_allowed(folder: Path):
    """An id without a reference is an error that names the id; if allowed, the id is left out and listed."""
    with (folder / "h.trn").open("a", encoding="utf-8") as file:
        file.write("who (zz)\n")
    with pytest.raises(DatasetError, match=r"1 of the 4 hypotheses .* 'zz'; leave them out"):
        asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn")
    scoring = asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn", allow_extra=True)
    assert scoring.files[0].extra == ("zz",)
    assert scoring.files[0].score.words.insertions == 0


def test_ids_that_never_match_are_refused(folder: Path):
    """Files without common ids are an error even if extra ids are allowed; the error shows a reference's id."""
    (folder / "h.trn").write_text("who (zz)\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="none has one; the references have ids such as 'a'"):
        asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn", allow_extra=True)


def test_the_leaderboards_file_has_its_own_references(folder: Path):
    """``text`` is the reference and ``pred_text`` the hypothesis, in JSONL and in tables."""
    row = {"audio_filepath": "s_0", "duration": 1, "time": 1, "text": "Mister Smith", "pred_text": "mr. smith"}
    (folder / "b.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (folder / "b.csv").write_text("utt_id,text,reference\na,one,one two\n", encoding="utf-8")
    assert asrlab.evaluation.score(folder / "b.jsonl", normalizer="leaderboard").files[0].score.wer == 0
    assert asrlab.evaluation.score(folder / "b.csv").files[0].score.wer == 0.5
    with pytest.raises(DatasetError, match=r"no reference for 'a'.*--references"):
        asrlab.evaluation.score(folder / "h.trn")


def test_ctm_words_go_to_the_segments_of_an_stm_file(folder: Path):
    """Words belong to the segment that holds their middle, without any audio."""
    (folder / "r.stm").write_text(
        ";; x\nt 1 Ann 0.0 2.0 <NA> one two\nt 1 Bob 2.0 4.0 <NA> three\nt 1 Bob 4.0 5.0 <NA> four\n", encoding="utf-8"
    )
    (folder / "h.ctm").write_text("t 1 1.8 0.3 two\nt 1 0.1 0.2 one 0.9\nt 1 2.2 0.5 tree\n", encoding="utf-8")
    [file] = asrlab.evaluation.score(folder / "h.ctm", references=folder / "r.stm").files
    words = file.score.words
    assert (words.hits, words.substitutions, words.deletions, words.insertions) == (2, 1, 1, 0)
    assert file.missing == ("t@4.0-5.0",)


def test_references_come_from_a_data_set(folder: Path):
    """A data set provides references, languages and speakers; English uses the profile english."""
    (folder / "m.tsv").write_text(
        "path\tid\ttext\tlanguage\tspeaker\na.wav\ta\tMister Smith\ten\tAnn\n", encoding="utf-8"
    )
    (folder / "h.trn").write_text("mr. smith (a)\n", encoding="utf-8")
    scoring = asrlab.evaluation.score(folder / "h.trn", references=asrlab.evaluation.load_dataset(folder / "m.tsv"))
    assert scoring.files[0].score.normalizer == "english"
    assert scoring.files[0].score.wer == 0
    assert asrlab.evaluation.score(folder / "h.trn", references=folder / "m.tsv").utterances == 1


def test_two_files_are_compared_with_intervals(tmp_path: Path):
    """The second file is better than the first by interval and test, with speakers as units if known."""
    table = "utt_id,text,speaker\n" + "".join(f"u{n},one two three,s{n % 12}\n" for n in range(60))
    (tmp_path / "r.csv").write_text(table, encoding="utf-8")
    for name, text in (("bad", "one too tree"), ("good", "one two three")):
        lines = "".join(f"{text} (u{n})\n" for n in range(60))
        (tmp_path / f"{name}.trn").write_text(lines, encoding="utf-8")
    scoring = asrlab.evaluation.score([tmp_path / "bad.trn", tmp_path / "good.trn"], references=tmp_path / "r.csv")
    assert scoring.wer is not None
    assert (scoring.bootstrap_unit, scoring.wer.differences[0].verdict) == ("speaker", "better")
    assert json.loads(scoring.to_json())["files"][0]["score"]["wer"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h.trn", "hello (a)\nno id\n", "line 2: column 5: no id"),
        ("h.trn", "hello (a)\nagain (a)\n", "line 2: the id 'a' is that of line 1"),
        ("h.ctm", "t 1 x 0.3 two\n", "line 1: cannot be read"),
        ("h.ctm", "t B 0.1 0.3 two\n", "have no reference: 't#2'"),
        ("h.csv", "utt_id,text\na,b,c\n", "line 2: has 3 cells"),
        ("h.csv", "utt_id,text\n,b\n", "line 2: there is no 'utt_id'"),
        ("h.jsonl", '{"pred_text": "a"}\n', "line 1: there is no 'audio_filepath'"),
        ("h.jsonl", '{"audio_filepath": "a", "pred_text": "a"}\n{,\n', "line 2: column 2"),
        ("h.txt", "just words\n", "is not a file of hypotheses"),
    ],
)
def test_a_bad_line_is_named(folder: Path, name: str, text: str, message: str):
    """An unreadable line is an error with file, line and column or field."""
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=message) as raised:
        asrlab.evaluation.score(folder / name, references=folder / "r.trn")
    assert name in str(raised.value)


def test_an_unknown_option_lists_the_options(folder: Path):
    """An unknown option or format is an `OptionError` that lists the valid ones."""
    with pytest.raises(OptionError, match="no option 'normaliser'"):
        asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn", normaliser="none")
    with pytest.raises(OptionError, match="csv, ctm, leaderboard, trn"):
        asrlab.evaluation.score(folder / "h.trn", references=folder / "r.trn", format="docx")
