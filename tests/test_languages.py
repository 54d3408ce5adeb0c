"""Languages by their tags, names and codes, and alike in every reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import asrlab
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.datasets.dataset import Reference
from asrlab.languages import is_english, language_tag, primary_language

if TYPE_CHECKING:
    from pathlib import Path

ENGLISH = [
    "en",
    "EN",
    "eng",
    "English",
    " english ",
    "en_US",
    "en-us",
    "eng-GB",
    "en_US.UTF-8",
    "English (US)",
    "eng_Latn",
]
OTHERS = [
    ("pt_br", "pt-BR"),
    ("zh-hant_tw", "zh-Hant-TW"),
    ("cmn", "zh"),
    ("Deutsch", None),
    ("ger", "de"),
    ("yue", "yue"),
]
OTHERS += [("German", "de"), ("Haitian Creole", "ht"), ("iw", "he"), ("sr-Latn", "sr-Latn"), ("haw", "haw")]
UNKNOWN = ["", " ", "und", "mul", "zxx", "Klingon", "en,fr", "multilingual", "123", "e", f"a{' ' * 10**6}b"]


@pytest.mark.parametrize("named", ENGLISH)
def test_english_is_english_however_it_is_written(named: str):
    """Tags with any separator and case, codes of three letters, and names."""
    assert is_english(named)
    assert primary_language(named) == "en"


@pytest.mark.parametrize(("named", "tag"), OTHERS)
def test_tags_are_written_as_bcp_47_recommends(named: str, tag: str | None):
    """Regions in upper case, scripts in title case, the shortest code; applying it twice changes nothing more."""
    assert language_tag(named) == tag
    assert language_tag(tag) == tag


@pytest.mark.parametrize("named", [*UNKNOWN, None])
def test_what_names_no_language_is_not_known(named: str | None):
    """No language, several, or a name that is not in the table."""
    assert language_tag(named) is None
    assert not is_english(named)


@pytest.mark.parametrize("named", ["en_US", "eng", "English"])
def test_a_language_is_one_for_users_data_sets_and_references(named: str):
    """The option, an utterance, and a reference read a language alike."""
    tag = language_tag(named)

    assert asrlab.TranscribeOptions(language=named).language == tag
    assert Utterance(id="a", audio="a.wav", language=named).language == tag
    assert Reference(id="a", text="", language=named).language == tag


def _nemo(folder: Path) -> None:
    (folder / "m.jsonl").write_text(json.dumps({"audio_filepath": "a.wav", "text": "x", "lang": "en_US"}))


def _csv(folder: Path) -> None:
    (folder / "m.csv").write_text("audio,text,language\na.wav,x,en_US\n")


def _kaldi(folder: Path) -> None:
    for name, line in (("wav.scp", "a a.wav"), ("text", "a x"), ("utt2lang", "a en_US")):
        (folder / name).write_text(f"{line}\n")


def _common_voice(folder: Path) -> None:
    (folder / "clips").mkdir()
    (folder / "test.tsv").write_text("client_id\tpath\tsentence\tlocale\ns\ta.mp3\tx\ten_US\n")


def _lhotse(folder: Path) -> None:
    source = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "duration": 1.0}
    supervision = {"id": "a", "recording_id": "r", "start": 0, "duration": 1.0, "text": "x", "language": "en_US"}
    cut = {
        "id": "c",
        "start": 0,
        "duration": 1.0,
        "type": "MonoCut",
        "recording": source,
        "supervisions": [supervision],
    }
    (folder / "cuts.jsonl").write_text(json.dumps(cut))


def _audiofolder(folder: Path) -> None:
    (folder / "a.wav").touch()
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": "a.wav", "text": "x", "language": "en_US"}))


READERS = {
    "nemo": (_nemo, "m.jsonl"),
    "csv": (_csv, "m.csv"),
    "kaldi": (_kaldi, "."),
    "common-voice": (_common_voice, "."),
    "lhotse": (_lhotse, "cuts.jsonl"),
    "audiofolder": (_audiofolder, "."),
}


@pytest.mark.parametrize("format_", READERS)
def test_every_reader_gives_the_same_tag(tmp_path: Path, format_: str):
    """``en_US`` is ``en-US`` whichever format says it, and a scoring by it is in English."""
    write, name = READERS[format_]
    write(tmp_path)
    [utterance] = asrlab.evaluation.load_dataset(tmp_path / name, format=format_)

    assert utterance.language == "en-US"

    (tmp_path / "h.trn").write_text(f"mr. x ({utterance.id})\n")
    scoring = asrlab.evaluation.score(
        tmp_path / "h.trn", references=asrlab.evaluation.load_dataset(tmp_path / name, format=format_)
    )
    assert scoring.files[0].score.normalizer == "english"


def test_hypotheses_with_their_own_references_say_their_language(tmp_path: Path):
    """A table's and the leaderboard's form may have a column for it; without one ``language=`` tells."""
    rows = "utt_id,reference,text{}\na,Mister Colour,mr color{}\n"
    line = {"id": "a", "text": "Mister Colour", "pred_text": "mr color"}
    (tmp_path / "t.csv").write_text(rows.format(",lang", ",en_US"))
    (tmp_path / "j.jsonl").write_text(json.dumps(line | {"lang": "English"}))
    (tmp_path / "bare.csv").write_text(rows.format("", ""))

    assert asrlab.evaluation.score(tmp_path / "t.csv").files[0].score.wer == 0
    assert asrlab.evaluation.score(tmp_path / "j.jsonl").files[0].score.wer == 0
    assert asrlab.evaluation.score(tmp_path / "bare.csv").files[0].score.wer == 1
    assert asrlab.evaluation.score(tmp_path / "bare.csv", language="eng").files[0].score.wer == 0
    with pytest.raises(asrlab.OptionError, match="'Klingon' is not a BCP 47 tag"):
        asrlab.evaluation.score(tmp_path / "bare.csv", language="Klingon")
