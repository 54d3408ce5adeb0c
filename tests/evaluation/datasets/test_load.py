"""Loading of a data set by name or path."""

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
def plugin_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an importable plugin module with data sets."""
    name = f"their_data_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(THEIRS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def spec(factory: str, *, name: str = "letters") -> DatasetSpec:
    """Return a spec of which only the factory matters."""
    return DatasetSpec(name=name, description="their letters", factory=factory)


def test_spec_is_loaded_by_its_name(plugin_module: str):
    """A plugin's data set is loaded by name like asrlab's own."""
    dataset = load_dataset("letters", specs=[spec(f"{plugin_module}:letters")])

    assert [utterance.id for utterance in dataset] == ["a"]


def test_listing_specs_imports_nothing(plugin_module: str):
    """The code of a spec is imported when the data set is loaded and not before."""
    load_dataset("smoke", specs=[spec(f"{plugin_module}:letters")])

    assert plugin_module not in sys.modules


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("failing", "raised RuntimeError: no disk"),
        ("wrong", "returned a list instead of a Dataset"),
        ("absent", "raised AttributeError"),
    ],
)
def test_broken_spec_is_reported_with_its_code(plugin_module: str, function: str, problem: str):
    """Any failure in a plugin's code is a data set error that names the data set and the code."""
    with pytest.raises(DatasetError, match=rf"'letters' cannot be loaded: {plugin_module}:{function} {problem}"):
        load_dataset("letters", specs=[spec(f"{plugin_module}:{function}")])


def test_spec_of_a_missing_module_is_reported():
    """A spec whose package does not import is a data set error, the import error chained."""
    with pytest.raises(DatasetError, match="raised ModuleNotFoundError") as caught:
        load_dataset("letters", specs=[spec("there_is_no_such_module:x")])

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_data_set_error_of_a_plugin_is_passed_on(plugin_module: str):
    """A data set error raised by a plugin is not replaced."""
    with pytest.raises(DatasetError, match=r"^accept the licence first$"):
        load_dataset("letters", specs=[spec(f"{plugin_module}:refusing")])


@pytest.mark.parametrize("name", ["smoke", "letters"])
def test_name_offered_twice_is_refused_naming_both(name: str):
    """No plugin replaces a data set: a name that two offer is an error naming both, when that name is used."""
    specs = [spec("one:a", name=name), *([] if name == "smoke" else [spec("two:b", name=name)])]
    both = "asrlab.evaluation.datasets.load:smoke and by one:a" if name == "smoke" else "one:a and by two:b"

    with pytest.raises(DatasetError, match=f"{name!r} is offered twice, by {re.escape(both)}"):
        load_dataset(name, specs=specs)
    assert load_dataset("smoke", specs=[spec("one:a"), spec("two:b")]).name == "smoke"


def test_same_spec_twice_is_one():
    """The smoke set may be among the specs too."""
    assert load_dataset("smoke", specs=[SMOKE]).name == "smoke"


def test_unknown_name_has_near_matches_and_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error about a mistyped name has the near match and all choices."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DatasetError) as caught:
        load_dataset("smok", specs=[spec("one:a")])

    assert str(caught.value) == (
        "there is no data set, file or folder 'smok'; did you mean smoke? give a name (smoke, letters), a folder of "
        "audio with same-named .txt files, or a JSONL manifest"
    )


@pytest.mark.parametrize("name", ["", "no/such/place.jsonl", "x" * 5000, "nul\0byte"])
def test_impossible_path_is_a_data_set_error(name: str, tmp_path: Path):
    """Any impossible path is a data set error."""
    with pytest.raises(DatasetError, match=r"data set, file or folder|holds no audio"):
        load_dataset(tmp_path / name)


def test_name_takes_precedence_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``smoke`` is the data set even if there is a folder of that name; ``./smoke`` is the folder."""
    monkeypatch.chdir(tmp_path)
    Path("smoke").mkdir()
    Path("smoke/x.wav").touch()
    Path("smoke/x.txt").touch()

    assert len(list(load_dataset("smoke"))) == 5
    assert [utterance.id for utterance in load_dataset("./smoke")] == ["x"]
    assert [utterance.id for utterance in load_dataset(Path("smoke").absolute())] == ["x"]


def test_manifest_is_recognized_by_content_and_not_by_name(tmp_path: Path):
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
def test_file_that_is_not_a_manifest_is_refused_at_once(tmp_path: Path, content: bytes, problem: str):
    """A file of another kind is refused when it is loaded, with its beginning."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)

    with pytest.raises(DatasetError, match=problem) as caught:
        load_dataset(path)
    assert caught.value.path == path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_named_pipe_is_refused(tmp_path: Path):
    """A path that is neither a file nor a folder is refused, since reading a pipe would block forever."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(DatasetError, match="neither a file nor a folder"):
        load_dataset(tmp_path / "pipe")


def test_loaded_data_sets_are_data_sets(tmp_path: Path):
    """Every name and path gives a data set of utterances."""
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x"}', encoding="utf-8")

    for named in ("smoke", tmp_path, tmp_path / "m.jsonl", str(tmp_path)):
        dataset = load_dataset(named)
        assert isinstance(dataset, Dataset)
        assert all(isinstance(utterance, Utterance) for utterance in dataset)
        assert list(dataset) == list(dataset)
