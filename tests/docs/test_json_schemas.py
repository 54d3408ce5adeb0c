"""What commands print with ``--json`` has the shape of the published schemas, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asrlab
from doc_blocks import ROOT

if TYPE_CHECKING:
    from conftest import CommandLine

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
referencing = pytest.importorskip("referencing", reason="referencing is not installed")

SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "docs/reference/schemas").glob("*.json")}
OPTIONAL = {"Segment": {"words"}, "asrlab": {"decoding", "track"}, "breakdowns": {"speaker", "language"}}
OPTIONAL_AT_TOP = {"transcript": {"words"}, "compare": {"details"}}
MODEL = "faster-whisper/base"


def problems_of(document: Any, name: str) -> list[str]:
    """Return the differences of *document* from the schema *name*."""
    resources = [(f"{key}.json", referencing.Resource.from_contents(schema)) for key, schema in SCHEMAS.items()]
    registry = referencing.Registry().with_resources(resources)
    validator = jsonschema.Draft202012Validator(SCHEMAS[name], registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def assert_valid(document: Any, name: str) -> None:
    """Assert that *document* has the shape of the schema *name*."""
    assert problems_of(document, name) == []


def objects_in(schema: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema of an object with named properties, with the key under which it stands."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield name, schema
        for key, value in schema.items():
            yield from objects_in(value, key if isinstance(value, dict) and "$ref" not in schema else name)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value, name)


@pytest.fixture(scope="module")
def recorded(asrlab_cli: CommandLine, weights_cache: Path, clips: tuple[Path, ...]) -> Path:
    """Return a run of two models in three passes over two clips and a file that is no audio."""
    folder = asrlab_cli.home / "recordings"
    folder.mkdir()
    for clip in clips[1:3]:
        (folder / clip.name).write_bytes(clip.read_bytes())
        (folder / clip.name).with_suffix(".txt").write_text("it was about twenty of them", encoding="utf-8")
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "broken.txt").write_text("no words", encoding="utf-8")
    options = ("--language", "en", "--repeat", "3", "--batch-size", "2", "--run", "recorded", "--json")
    bench = asrlab_cli("bench", folder, "-m", MODEL, "-m", "echo", *options, ASRLAB_CACHE=str(weights_cache))
    assert_valid(bench.json, "bench")
    assert bench.json["failed"] == 2
    return asrlab_cli.home / "recorded"


def test_runs_and_comparisons(asrlab_cli: CommandLine, recorded: Path):
    """A run with failures, and a comparison of its models with details, have the published shape."""
    assert_valid(asrlab_cli("runs", recorded, "--json").json, "bench")
    document = asrlab_cli("compare", recorded, "--normalizers", "english,none", "--json").json
    assert_valid(document, "compare")
    assert document["details"]["findings"]
    assert document["figures"]["normalizers"]
    run = asrlab.evaluation.load_run(recorded)
    assert_valid(run.to_dict(), "bench")
    assert_valid(asrlab.evaluation.compare([run]).to_dict(), "compare")


def test_scores(asrlab_cli: CommandLine, recorded: Path):
    """Scores of one file and of two have the published shape."""
    names = ("base.csv", "echo.csv")
    for name, model in zip(names, (MODEL, "echo/echo"), strict=True):
        assert asrlab_cli("runs", recorded, "--texts", name, "-m", model).code == 0
    options = ("--references", recorded.parent / "recordings", "--json")
    assert_valid(asrlab_cli("score", names[0], *options).json, "score")
    both = asrlab_cli("score", *names, *options, "--normalizers", "english,none").json
    assert_valid(both, "score")
    assert both["wer"]["differences"]
    assert both["files"][0]["missing"]


def test_transcripts(asrlab_cli: CommandLine, weights_cache: Path, clips: tuple[Path, ...]):
    """Transcripts of a real engine, with words and in batches, and a file that fails have the published shape."""
    (asrlab_cli.home / "text.wav").write_bytes(b"no audio")
    command = ("transcribe", *clips[1:3], "text.wav", "-m", MODEL, "--json")
    for options in (("--word-timestamps",), ("--batch-size", "2")):
        document = asrlab_cli(*command, *options, ASRLAB_CACHE=str(weights_cache)).json
        assert_valid(document, "transcribe")
        assert [bool(file["error"]) for file in document["files"]] == [False, False, True]
        assert ("words" in document["files"][0]["transcript"]) == (options == ("--word-timestamps",))
        for file in document["files"][:2]:
            assert_valid(file["transcript"], "transcript")


@pytest.mark.parametrize("name", ["doctor", "models"])
def test_facts_of_the_installation(asrlab_cli: CommandLine, name: str):
    """The findings of doctor and the list of models have the published shape."""
    assert_valid(asrlab_cli(name, "--json").json, name)


def test_errors(asrlab_cli: CommandLine):
    """A command that fails as a whole prints the published error."""
    result = asrlab_cli("compare", "no-such-run", "--json")
    assert_valid(result.json, "error")
    assert result.code == result.json["error"]["exit_code"] != 0


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_strict(name: str):
    """Every object lists all of its keys as required, except those that are documented as absent, and no others."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    for key, schema in objects_in(SCHEMAS[name], name):
        optional = OPTIONAL.get(key, set()) | (OPTIONAL_AT_TOP.get(name, set()) if schema is SCHEMAS[name] else set())
        assert schema["additionalProperties"] is False, key
        assert set(schema["properties"]) - set(schema["required"]) == optional, key


def test_a_renamed_key_is_found(asrlab_cli: CommandLine, recorded: Path):
    """A key that is renamed anywhere in a transcript of a run is reported."""
    document = asrlab_cli("runs", recorded, "--json").json
    transcript = next(each["transcript"] for each in document["models"][0]["utterances"] if each["transcript"])
    for part in (transcript, transcript["asrlab"], transcript["asrlab"]["model"], transcript["segments"][0]):
        for key in list(part):
            value = part.pop(key)
            part[f"{key}_s"] = value
            assert problems_of(document, "bench") != [], key
            del part[f"{key}_s"]
            part[key] = value
    assert_valid(document, "bench")
