"""JSONL manifests."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Utterance, load_dataset

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None)


def manifest(folder: Path, *lines: object) -> Path:
    """Write a manifest into *folder*; a line of bytes is written unchanged."""
    path = folder / "manifest.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def line(**fields: object) -> dict[str, object]:
    """Return a valid line with *fields*."""
    return {"audio_filepath": "a.wav", "text": "hello", **fields}


def test_line_with_all_keys(tmp_path: Path):
    """All keys of a line are read, and a part of a file is an `AudioFile`."""
    path = manifest(
        tmp_path,
        line(id="u1", offset=1.5, duration=2, lang="pt-BR", speaker="s1", recording="r1", pnc="yes"),
    )

    assert list(load_dataset(path)) == [
        Utterance(
            id="u1",
            audio=AudioFile(path=tmp_path / "a.wav", offset=1.5, duration=2.0),
            text="hello",
            language="pt-BR",
            speaker="s1",
            recording="r1",
        )
    ]


def test_other_names_of_keys(tmp_path: Path):
    """``utt_id`` and ``language`` are accepted, and numbers are accepted as names."""
    [utterance] = load_dataset(manifest(tmp_path, line(utt_id=7, language="de", speaker=1089)))

    assert (utterance.id, utterance.language, utterance.speaker) == ("7", "de", "1089")


def test_whole_file_is_a_path(tmp_path: Path):
    """Audio without times is the path itself, relative to the manifest's folder."""
    [utterance] = load_dataset(manifest(tmp_path, line(audio_filepath="sub/é 1.wav", offset=0)))

    assert utterance.audio == tmp_path / "sub" / "é 1.wav"
    assert (utterance.id, utterance.language, utterance.speaker, utterance.recording) == ("sub/é 1", None, None, None)


def test_parts_of_a_file_get_ids_of_their_own(tmp_path: Path):
    """Without ids the parts of one file differ by their starts."""
    path = manifest(tmp_path, line(duration=1), line(offset=1, duration=1), line(offset=2.25))

    assert [u.id for u in load_dataset(path)] == ["a", "a@1.0", "a@2.25"]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path):
    """Blank lines, Windows' line ends and a byte order mark are skipped, and line numbers stay correct."""
    path = manifest(tmp_path, b"\xef\xbb\xbf\r", b"  ", line(id="x"), b"", b'{"id": 1}\r')
    utterances = iter(load_dataset(path))

    assert next(utterances).id == "x"
    with pytest.raises(DatasetError, match=r"manifest\.jsonl, line 5: there is no 'audio_filepath'"):
        next(utterances)


BAD_LINES: list[tuple[object, str]] = [
    (b'{"audio_filepath": "a.wav",}', r"column 2[78]: not JSON \(.*\)"),
    (b'{"audio_filepath": ', r"column 19: not JSON"),
    (b'{"a": 1} {"b": 2}', r"column 10: not JSON \(Extra data\)"),
    (b'{"audio_filepath": "a\xff.wav"}', "byte 22 is not UTF-8"),
    (b'{"x": ' + b"[" * 100_000, "not JSON that can be read"),
    (b'{"offset": ' + b"9" * 5000 + b"}", "not JSON that can be read"),
    (b'["a.wav"]', "holds an array; a line must hold an object"),
    (b'"a.wav"', "holds a string"),
    (b"null", "holds null"),
    ({"text": "hello"}, "there is no 'audio_filepath'"),
    (line(audio_filepath=""), "there is no 'audio_filepath'"),
    (line(audio_filepath=None), "there is no 'audio_filepath'"),
    (line(audio_filepath=3), "'audio_filepath' is a number; it must be text"),
    (line(audio_filepath="a\0.wav"), "'audio_filepath' .* is not a valid path"),
    (b'{"audio_filepath": "a\\ud800.wav"}', "'audio_filepath' holds half a surrogate pair"),
    (b'{"audio_filepath": "a.wav", "text": "\\udc80"}', "'text' holds half a surrogate pair"),
    ({"audio_filepath": "a.wav"}, "there is no 'text'"),
    (line(text=None), "there is no 'text'"),
    (line(text=["hello"]), "'text' is an array; it must be text"),
    (line(id=""), "'id' or 'utt_id' is empty"),
    (line(id=True), "'id' or 'utt_id' is a boolean"),
    (line(lang=3), "'lang' or 'language' is a number"),
    (line(speaker={}), "'speaker' is an object"),
    (line(offset="1"), "'offset' is a string; it must be a number of seconds"),
    (line(offset=True), "'offset' is a boolean"),
    (line(offset=-0.1), "'offset' is -0.1; it must be a finite number of seconds, 0 or more"),
    (line(offset=float("nan")), "'offset' is nan"),
    (line(duration=float("inf")), "'duration' is inf"),
    (line(duration=10**400), "not JSON that can be read .a number has 401 digits"),
    (line(duration=-1), "'duration' is -1"),
    (line(duration=0), "'duration' is 0; leave it out"),
]


@pytest.mark.parametrize(("bad", "problem"), BAD_LINES, ids=[problem[:40] for _, problem in BAD_LINES])
def test_bad_line_is_refused_with_its_number(tmp_path: Path, bad: object, problem: str):
    """Each kind of bad line is an error with file and line, after the valid line before it was returned."""
    path = manifest(tmp_path, line(id="good"), bad, line(id="after"))
    utterances = iter(load_dataset(path))

    assert next(utterances).id == "good"
    with pytest.raises(DatasetError, match=rf"manifest\.jsonl, line 2: {problem}") as caught:
        next(utterances)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_equal_ids_are_refused_naming_both_lines(tmp_path: Path):
    """Two lines of one id are an error that names both lines."""
    path = manifest(tmp_path, line(id="x"), b"", line(id="y"), line(id="x"))

    with pytest.raises(DatasetError, match="line 4: the id 'x' is that of line 1 already") as caught:
        list(load_dataset(path))
    assert caught.value.line == 4


def test_text_may_be_missing_on_request(tmp_path: Path):
    """With ``require_text=False`` a line without text has no reference; an empty text stays a reference."""
    path = manifest(tmp_path, {"audio_filepath": "a.wav"}, line(audio_filepath="b.wav", text=""))

    assert [u.text for u in load_dataset(path, require_text=False)] == [None, ""]


def test_missing_audio_is_found_when_transcribed(tmp_path: Path):
    """Missing audio is an error when it is transcribed, for one utterance at a time."""
    [utterance] = load_dataset(manifest(tmp_path, line(audio_filepath="nowhere.wav")))

    assert utterance.audio == tmp_path / "nowhere.wav"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder for a manifest with links in it, and audio beside it."""
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "secret.wav").touch()
    (root / "inside.wav").touch()
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (root / "folder").symlink_to(tmp_path, target_is_directory=True)
    (root / "alias.wav").symlink_to(root / "inside.wav")
    return root


@pytest.mark.parametrize("named", ["../secret.wav", "x/../../secret.wav", "link.wav", "folder/secret.wav", "ABSOLUTE"])
def test_audio_outside_the_folder_is_refused(outside: Path, named: str):
    """A path that leaves the manifest's folder, by dots, by its root or by a link, is refused unless allowed."""
    named = str(outside.parent / "secret.wav") if named == "ABSOLUTE" else named
    path = manifest(outside, line(audio_filepath=named))

    with pytest.raises(DatasetError, match=r"line 1: 'audio_filepath' .* leads out of the manifest's folder"):
        list(load_dataset(path))
    [utterance] = load_dataset(path, allow_external_audio=True)
    assert Path(str(utterance.audio)).resolve() == outside.parent / "secret.wav"


@pytest.mark.parametrize("named", ["inside.wav", "./x/../inside.wav", "alias.wav", "ABSOLUTE"])
def test_audio_inside_the_folder_is_accepted(outside: Path, named: str):
    """Paths that resolve to the folder are accepted in any spelling."""
    named = str(outside / "inside.wav") if named == "ABSOLUTE" else named
    [utterance] = load_dataset(manifest(outside, line(audio_filepath=named)))

    assert Path(str(utterance.audio)).resolve() == outside / "inside.wav"


def test_folder_of_a_similar_name_is_outside(tmp_path: Path):
    """``set-secret`` does not count as inside ``set``."""
    (tmp_path / "set").mkdir()
    path = manifest(tmp_path / "set", line(audio_filepath="../set-secret/a.wav"))

    with pytest.raises(DatasetError, match="leads out"):
        list(load_dataset(path))


def test_manifest_is_found_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A manifest given by a relative path is read even after a change of the working directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    manifest(tmp_path, line())
    dataset = load_dataset("manifest.jsonl")
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert [utterance.audio for utterance in dataset] == [tmp_path / "a.wav"]


def test_links_in_a_circle_are_refused(tmp_path: Path):
    """Links that lead nowhere are an error of the line."""
    (tmp_path / "a.wav").symlink_to(tmp_path / "b.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")

    with pytest.raises(DatasetError, match=r"line 1: 'audio_filepath' 'a\.wav'"):
        list(load_dataset(manifest(tmp_path, line())))


def test_first_utterance_comes_before_the_rest_is_read(tmp_path: Path):
    """Of 10,000 lines only the first block is read for the first utterance: lines written later are still read."""
    path = manifest(tmp_path, *(line(id=f"u{n}") for n in range(10_000)))
    utterances = iter(load_dataset(path))

    assert next(utterances).id == "u0"
    data = path.read_bytes()
    path.write_bytes(data[:100_000] + data[100_000:].replace(b"hello", b"HELLO"))
    texts = [utterance.text for utterance in utterances]

    assert len(texts) == 9_999
    assert texts[0] == "hello"
    assert texts[-1] == "HELLO"


def test_long_manifest_needs_little_memory(tmp_path: Path):
    """Iterating 10,000 lines keeps their ids and not the lines in memory."""
    path = manifest(tmp_path, *(line(id=n, text="word " * 200) for n in range(10_000)))
    dataset = load_dataset(path)
    tracemalloc.start()
    try:
        count = sum(1 for _ in dataset)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == 10_000
    assert peak < path.stat().st_size / 2 < 6_000_000


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list a process's open files")
def test_file_is_closed_when_iteration_stops_early(tmp_path: Path):
    """A manifest that is read in part leaves no open file."""
    path = manifest(tmp_path, line(id=1), line(id=2))
    utterances = iter(load_dataset(path))
    next(utterances)

    def is_open() -> bool:
        return any(link.exists() and link.samefile(path) for link in Path("/proc/self/fd").iterdir())

    assert is_open()
    del utterances
    gc.collect()
    assert not is_open()


def test_manifest_that_vanished_is_an_error(tmp_path: Path):
    """A manifest deleted before iteration is a data set error."""
    dataset = load_dataset(manifest(tmp_path, line()))
    (tmp_path / "manifest.jsonl").unlink()

    with pytest.raises(DatasetError, match="cannot be read"):
        list(dataset)


@UNTIMED
@given(
    st.dictionaries(
        st.sampled_from(["audio_filepath", "text", "offset", "duration", "id", "lang", "speaker", "other"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    )
)
def test_any_line_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object]):
    """Any line is an utterance or a data set error at line 1."""
    path = manifest(tmp_path_factory.mktemp("manifest"), fields)
    utterances, at = [], None
    try:
        utterances = list(load_dataset(path))
    except DatasetError as error:
        at = error.line

    assert at == 1 or [utterance.text for utterance in utterances] == [fields["text"]]


@UNTIMED
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    """A file of any bytes is read or refused with a data set error."""
    path = tmp_path_factory.mktemp("bytes") / "x.jsonl"
    path.write_bytes(b"{" + data)
    with pytest.raises(DatasetError):
        list(load_dataset(path))
