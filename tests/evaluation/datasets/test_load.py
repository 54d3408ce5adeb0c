"""From a name or path to a data set."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import SMOKE, Dataset, DatasetSpec, Utterance, load_dataset

THEIRS = """
from pathlib import Path
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.errors import DatasetError

def letters():
    return Dataset(name="letters", source="here", read=lambda: [Utterance(id="a", audio=Path("a.wav"))])

def wrong():
    return ["a"]

def failing():
    raise RuntimeError("no disk")

def refusing():
    raise DatasetError("accept the licence first")
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module of somebody else's, with data sets."""
    name = f"their_data_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(THEIRS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def spec(factory: str, *, name: str = "letters") -> DatasetSpec:
    """A spec of which the factory matters."""
    return DatasetSpec(name=name, description="their letters", factory=factory)


def test_spec_is_loaded_by_its_name(theirs: str):
    """A data set of a plugin is asked for by name like one of asrlab's own."""
    dataset = load_dataset("letters", specs=[spec(f"{theirs}:letters")])

    assert [utterance.id for utterance in dataset] == ["a"]


def test_listing_specs_imports_nothing(theirs: str):
    """The code behind a spec is imported when it is asked for and not before."""
    load_dataset("smoke", specs=[spec(f"{theirs}:letters")])

    assert theirs not in sys.modules


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("failing", "raised RuntimeError: no disk"),
        ("wrong", "returned a list instead of a Dataset"),
        ("absent", "raised AttributeError"),
    ],
)
def test_broken_spec_is_reported_with_its_code(theirs: str, function: str, problem: str):
    """Whatever goes wrong in somebody else's code is a data set error naming the data set and the code."""
    with pytest.raises(DatasetError, match=rf"'letters' cannot be loaded: {theirs}:{function} {problem}"):
        load_dataset("letters", specs=[spec(f"{theirs}:{function}")])


def test_spec_of_a_missing_module_is_reported():
    """A spec whose package does not import is a data set error, the import error chained."""
    with pytest.raises(DatasetError, match="raised ModuleNotFoundError") as caught:
        load_dataset("letters", specs=[spec("there_is_no_such_module:x")])

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_their_own_data_set_error_is_passed_on(theirs: str):
    """A plugin that says itself what is wrong is not talked over."""
    with pytest.raises(DatasetError, match=r"^accept the licence first$"):
        load_dataset("letters", specs=[spec(f"{theirs}:refusing")])


@pytest.mark.parametrize("name", ["smoke", "letters"])
def test_name_offered_twice_is_refused_naming_both(name: str):
    """No plugin replaces a data set: a name that two offer is an error naming both, when that name is used."""
    specs = [spec("one:a", name=name), *([] if name == "smoke" else [spec("two:b", name=name)])]
    both = "asrlab.evaluation.datasets.smoke:smoke and by one:a" if name == "smoke" else "one:a and by two:b"

    with pytest.raises(DatasetError, match=f"{name!r} is offered twice, by {re.escape(both)}"):
        load_dataset(name, specs=specs)
    assert load_dataset("smoke", specs=[spec("one:a"), spec("two:b")]).name == "smoke"


def test_same_spec_twice_is_one():
    """The smoke set may be among the specs too."""
    assert load_dataset("smoke", specs=[SMOKE]).name == "smoke"


def test_unknown_name_has_near_matches_and_what_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mistyped name is answered with the near match and all that can be given."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DatasetError) as caught:
        load_dataset("smok", specs=[spec("one:a")])

    assert str(caught.value) == (
        "there is no data set, file or folder 'smok'; did you mean smoke? give a name (smoke, letters), a folder of "
        "audio with same-named .txt files, or a JSONL manifest"
    )


@pytest.mark.parametrize("name", ["", "no/such/place.jsonl", "x" * 5000, "nul\0byte"])
def test_impossible_path_is_a_data_set_error(name: str, tmp_path: Path):
    """No path, however odd, gets another error than a data set error."""
    with pytest.raises(DatasetError, match=r"data set, file or folder|holds no audio"):
        load_dataset(tmp_path / name)


def test_name_goes_before_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``smoke`` is the data set even where a folder is called so; ``./smoke`` is the folder."""
    monkeypatch.chdir(tmp_path)
    Path("smoke").mkdir()
    Path("smoke/x.wav").touch()
    Path("smoke/x.txt").touch()

    assert len(list(load_dataset("smoke"))) == 5
    assert [utterance.id for utterance in load_dataset("./smoke")] == ["x"]
    assert [utterance.id for utterance in load_dataset(Path("smoke").absolute())] == ["x"]


def test_manifest_is_told_by_content_and_not_by_name(tmp_path: Path):
    """A manifest may be called anything."""
    path = tmp_path / "list.wav"
    path.write_text('\n  {"audio_filepath": "a.flac", "text": "hello"}\n', encoding="utf-8")

    assert [utterance.id for utterance in load_dataset(path)] == ["a"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "does not begin with a JSON object"),
        (b'[{"audio_filepath": "a.wav"}]', "begins with a JSON array"),
        ('{"audio_filepath": "a.wav"}'.encode("utf-16"), "does not begin with a JSON object"),
        (b"audio,text\na.wav,hello\n", "does not begin with a JSON object"),
    ],
)
def test_file_that_is_no_manifest_is_refused_at_once(tmp_path: Path, content: bytes, problem: str):
    """A file that is something else is refused when it is loaded, with what was seen."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)

    with pytest.raises(DatasetError, match=problem) as caught:
        load_dataset(path)
    assert caught.value.path == path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_named_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    """What is neither a file nor a folder is refused, since reading a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(DatasetError, match="neither a file nor a folder"):
        load_dataset(tmp_path / "pipe")


def test_loaded_data_sets_are_data_sets(tmp_path: Path):
    """Whatever is named, what comes back is a data set of utterances."""
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x"}', encoding="utf-8")

    for named in ("smoke", tmp_path, tmp_path / "m.jsonl", str(tmp_path)):
        dataset = load_dataset(named)
        assert isinstance(dataset, Dataset)
        assert all(isinstance(utterance, Utterance) for utterance in dataset)
        assert list(dataset) == list(dataset)
