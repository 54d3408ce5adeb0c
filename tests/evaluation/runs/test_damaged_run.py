"""A run with damaged, edited or deleted files is read as far as it is valid, or refused with the reason."""

from __future__ import annotations

import json
import random
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import asrlab
from asrlab.evaluation.runs.bench import bench, resume
from asrlab.evaluation.runs.load import load_run, load_run_records
from asrlab.evaluation.runs.manifest import BenchRequest, bench_command
from asrlab.evaluation.runs.records import json_document
from asrlab.evaluation.runs.storage import RunFolder
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = b"[" * 200_000 + b"]" * 200_000 + b"\n"


@pytest.fixture(scope="module")
def finished(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of echo over three tones, with two repeats."""
    path = tmp_path_factory.mktemp("finished") / "run"
    bench(small_folder, models="echo", run=path, repeat=2, warmup=0, executor=InProcessExecutor())
    return path


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> RunFolder:
    """A copy of that run to damage."""
    return RunFolder(Path(shutil.copytree(finished, tmp_path / "run")))


def edit_lines(path: Path, edit: Callable[[dict[str, Any]], object | None]) -> None:
    """Replace each JSON line of *path* by the result of *edit*, or delete it if the result is None."""
    lines = [edit(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines if line is not None))


def without_kind(kind: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Return an edit that deletes the records of *kind*."""
    return lambda line: None if line["record"] == kind else line


@pytest.mark.parametrize("kind", ["session", "session-end", "loaded", "started", "outcome", "pass"])
def test_a_run_without_its_lines_of_a_kind_is_completed_again(folder: RunFolder, kind: str):
    """Whichever kind of record was deleted from the ledger, resume completes the run with each outcome once."""
    edit_lines(folder.ledger, without_kind(kind))
    assert resume(folder.path, executor=InProcessExecutor()).complete
    result = load_run(folder.path)
    assert result.complete
    assert [len(utterance.repeats) for utterance in result.models[0].utterances] == [1, 1, 1]
    assert json.loads(result.to_json())["complete"]


def test_outcomes_without_their_loaded_model_are_repeated(folder: RunFolder, caplog: pytest.LogCaptureFixture):
    """Outcomes whose loaded model is not in the ledger are skipped with a warning that names the command."""
    edit_lines(folder.ledger, without_kind("loaded"))
    assert not load_run_records(folder.path).outcomes
    assert "skipped 6 outcomes, because the record of their loaded model is missing" in caplog.text
    assert f"asrlab resume {folder.path}" in caplog.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "stranger", "of utterance 'stranger', which is not in the run's data set"),
        ("model", "echo/other", "of echo/other, which is not a model of the run"),
        ("repeat", 2, "of repeat 2, but the run has 2, counted from 0"),
        ("repeat", -1, "of repeat -1, but the run has 2"),
        ("hypothesis", None, "with neither a text nor a failure"),
    ],
)
def test_an_outcome_of_another_run_is_refused(folder: RunFolder, field: str, value: object, message: str):
    """An outcome with an unknown id, model or repeat, or without content, is an error with its line."""
    lines = folder.ledger.read_text().splitlines()
    number = next(index for index, line in enumerate(lines) if '"outcome"' in line)
    lines[number] = json.dumps(json.loads(lines[number]) | {field: value})
    folder.ledger.write_text("\n".join(lines) + "\n")
    with pytest.raises(asrlab.DatasetError, match=rf"line {number + 1}: outcome {message}"):
        resume(folder.path, executor=InProcessExecutor())


@pytest.mark.parametrize("name", ["ledger.jsonl", "manifest.json", "utterances.jsonl"])
@pytest.mark.parametrize(
    "damage", [DEEP, b'{"a": 1e400}\n', b'{"a": NaN}\n', b'{"a": ' + b"9" * 5000 + b"}\n", b"\xff\xfe\n", b"null\n"]
)
def test_damaged_json_is_refused(folder: RunFolder, name: str, damage: bytes):
    """Deep nesting, numbers that are not finite or too long, and other bytes are an error that names the file."""
    path = folder.path / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(damage + b"".join(lines[1:]))
    with pytest.raises(asrlab.DatasetError, match=name):
        load_run(folder.path)


def test_any_change_of_a_value_is_read_or_refused(folder: RunFolder):
    """After 180 random changes of a value the run is read and written as JSON, or refused with an AsrlabError."""
    random_values: tuple[Any, ...] = (None, -1, 1e308, "", "x" * 1000, [], {}, True, [[]], 10**30, {"record": "loaded"})
    chance = random.Random(7)  # noqa: S311 - repeatable on purpose
    refused = 0
    for path in (folder.ledger, folder.manifest, folder.utterances) * 60:
        whole = path.read_bytes()
        lines = whole.splitlines() if path.suffix == ".jsonl" else [whole]
        number = chance.randrange(len(lines))
        plain = json.loads(lines[number])
        place = chance.choice(list(_places(plain)))
        _replace(plain, place, chance.choice(random_values))
        lines[number] = json.dumps(plain).encode()
        path.write_bytes(b"\n".join(lines) + b"\n")
        try:
            load_run(folder.path).to_json()
        except asrlab.AsrlabError:
            refused += 1
        path.write_bytes(whole)
    assert 25 < refused < 180


def _places(plain: Any, path: tuple[Any, ...] = ()) -> Any:
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _replace(plain: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        plain = plain[key]
    plain[path[-1]] = value


def test_a_folder_deleted_meanwhile_is_an_error(small_folder: Path, tmp_path: Path):
    """A run whose folder is deleted or moved while it is written ends with an error."""
    for number, take_away in enumerate((shutil.rmtree, lambda path: path.rename(tmp_path / "elsewhere"))):
        run = tmp_path / f"run-{number}"

        def progress(done: Any, run: Path = run, take_away: Any = take_away) -> None:
            if done.done == 1 and run.exists():
                take_away(run)

        with pytest.raises(asrlab.DatasetError, match="was deleted, moved or replaced while the run was writing it"):
            bench(small_folder, models="echo", run=run, progress=progress, executor=InProcessExecutor())


def test_a_run_killed_before_its_manifest_names_the_bench_command(
    asrlab_cli: Any, small_folder: Path, tmp_path: Path, finished: Path
):
    """`resume` reports that the run never began, and prints the command that starts it."""
    run = tmp_path / "a run"
    run.mkdir()
    request = attrs.evolve(load_run_records(finished).manifest.request, models=("echo/echo",), timeout=45.0)
    (run / "request.json").write_bytes(json_document(request))
    (run / "utterances.jsonl.partial").write_text("{")
    refused = asrlab_cli("resume", run)
    assert refused.code == 4
    assert "never began, because it was killed before its manifest was written" in refused.err
    command = shlex.split(refused.err.partition("start it again with: ")[2])
    assert command[:2] == ["asrlab", "bench"]
    made = asrlab_cli(*command[1:])
    assert made.code == 0, made.err
    assert load_run_records(run).manifest.request == request
    assert sorted(path.name for path in run.iterdir() if path.name.startswith("request")) == []


def test_a_run_killed_before_its_request_names_placeholders(asrlab_cli: Any, tmp_path: Path):
    """If the request was not written, the command has placeholders."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    refused = asrlab_cli("resume", tmp_path / "run")
    assert refused.code == 4
    assert f"asrlab bench DATASET -m MODEL --run {tmp_path}" in refused.err


def test_the_bench_command_gives_the_same_request():
    """Every option of a request survives the command that is made from it."""
    from asrlab.cli.bench import bench as command
    from asrlab.cli.options import to_batching, to_transcribe_options

    request = BenchRequest(
        dataset="some where/set",
        models=("echo", "faster-whisper/tiny.en"),
        device="cuda:1",
        compute_type="int8",
        threads=3,
        patches=("one", "two"),
        options=asrlab.TranscribeOptions(
            language="de",
            task="translate",
            word_timestamps=True,
            beam_size=2,
            temperature=(0.0, 0.4),
            initial_prompt="It's",
            hotwords="a b",
            vad_filter=True,
            allow_truncated=True,
            track=2,
            engine_options={"patience": 2.0, "prefix": "x y"},
        ),
        batching=asrlab.Batching(batch_size=4, workers=2, threads=1, padding_s=1.5, batch_encoder=False),
        normalizer="basic",
        repeat=3,
        warmup=2,
        timeout=12.5,
        memory_limit_bytes=512 * 2**20,
        format="kaldi",
        allow_external_audio=True,
    )
    assert all(getattr(request, field.name) != field.default for field in attrs.fields(BenchRequest)), (
        "an option is left at its default"
    )
    with command.make_context("bench", shlex.split(bench_command(request, Path("run dir")))[2:]) as context:
        given = dict(context.params)
    batching = to_batching(given)
    options = to_transcribe_options({name: given[name] for name in attrs.asdict(request.options)})
    rest = {name: given[name] for name in attrs.asdict(request) if name in given}
    rest |= {"patches": tuple(rest["patches"].split(",")), "memory_limit_bytes": given["memory_limit"] * 2**20}
    assert BenchRequest(**rest, options=options, batching=batching) == request
    assert given["run"] == Path("run dir")


def test_a_run_with_former_keys_is_read():
    """Runs from before ``padding_s``, ``batch_encoder`` and ``decoding`` are read under the new names."""
    result = load_run(Path(__file__).parents[3] / "evidence" / "smoke-base.jsonl")
    batching = result.models[0].batching
    assert batching is not None
    assert (batching.padding_s, batching.batch_encoder) == (6.0, False)
    assert set(result.models[0].decoding_paths) == {asrlab.DecodingPath(batched=True)}
