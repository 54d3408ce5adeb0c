"""Tests of ``asrlab compare`` with exported runs and with runs of ``asrlab bench``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab import Capabilities, Device, ModelInfo, Timings
from asrlab.cli.main import main
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import Machine
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, dataset_fingerprint
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, ModelFacts, RunManifest
from asrlab.evaluation.runs.records import Failure, ModelLoaded, Recognized, Record, UtteranceOutcome, to_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import CommandLine

REFERENCE = "the colour of twenty five cars"


def facts(count: int = 8, *, audio: str = "a") -> list[UtteranceFacts]:
    """Return the recorded facts of *count* utterances."""
    return [
        UtteranceFacts(id=f"u{number}", reference=REFERENCE, language="en", audio_sha256=f"{audio}{number}")
        for number in range(count)
    ]


def manifest(name: str, model: str, utterances: list[UtteranceFacts]) -> RunManifest:
    """Return the manifest of a run of one model on a fixed machine."""
    info = ModelInfo(name=model, engine=model.partition("/")[0], weights_sha256=model)
    return RunManifest(
        run=name,
        created="2026-01-02T03:04:05+00:00",
        request=BenchRequest(dataset="set", models=(model,)),
        dataset=DatasetFacts(
            name="set",
            source="a test",
            licence=None,
            utterances=len(utterances),
            fingerprint=dataset_fingerprint(utterances),
        ),
        models=(ModelFacts(info=info, packages=()),),
        normalizer="english",
        normalizer_version="1",
        machine=Machine(system="Linux", architecture="x86_64", processor="one", cores=4, python="CPython 3.12"),
    )


def records(run: RunManifest, utterances: list[UtteranceFacts], text: str | None) -> Iterator[Record]:
    """Yield the loaded model and one outcome per utterance: *text*, or a failure if *text* is None."""
    [model] = run.models
    info = TranscriberInfo(
        model=model.info,
        device=Device(requested="auto", resolved="cpu"),
        compute_type="int8",
        capabilities=Capabilities(),
    )
    yield ModelLoaded(model=model.info.name, number=0, info=info, load_time=1.0)
    timings = Timings(audio=0.1, inference=0.9, total=1.0)
    recognized = Recognized(language="en", duration=4.0, timings=timings)
    for utterance in utterances:
        failure = {"failure": Failure(kind="crashed", message="gone")}
        success = {"hypothesis": text, "recognized": recognized, "loaded": 0}
        outcome = UtteranceOutcome(model=model.info.name, id=utterance.id, reference=utterance.reference)
        yield attrs.evolve(outcome, **(failure if text is None else success))


@pytest.fixture
def export_run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes an exported run in which one model recognized the same text everywhere."""

    def write(
        name: str,
        model: str,
        text: str | None,
        *,
        utterances: list[UtteranceFacts] | None = None,
        outcomes: int | None = None,
    ) -> str:
        selected = facts() if utterances is None else utterances
        run = manifest(name, model, selected)
        lines = [{"record": "manifest", **run.to_plain()}]
        lines += [{"record": "utterance", **attrs.asdict(utterance)} for utterance in selected]
        path = tmp_path / f"{name}.jsonl"
        record_lines = b"".join(map(to_line, records(run, selected[:outcomes], text)))
        path.write_bytes("".join(json.dumps(line) + "\n" for line in lines).encode() + record_lines)
        return str(path)

    return write


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command in this process and returns its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_info:
            main(["compare", *arguments])
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return run


def test_the_conclusion_comes_first(export_run: Any, compare: Any):
    """The first line is the conclusion, and the tables and the statistical method follow."""
    code, out, _ = compare(
        export_run("monday", "a/one", "the colour of cars"), export_run("tuesday", "b/two", REFERENCE)
    )

    assert code == 0
    assert out.splitlines()[0].startswith("b/two: WER 0.00 %, 20.00 points lower than a/one [20.00, 20.00]")
    assert out.splitlines()[0].endswith(": better")
    assert "Paired bootstrap of 8 utterances, 10000 resamples, seed 0" in out
    assert "a/one: mistakes that b/two does not make" in out
    assert "b/two: mistakes" not in out


def test_equal_texts_are_neither_better_nor_faster(export_run: Any, compare: Any):
    """For equal texts, the output contains neither "better" nor "faster"."""
    code, out, _ = compare(export_run("monday", "a/one", REFERENCE), export_run("tuesday", "b/two", REFERENCE))

    assert code == 0
    assert out.splitlines()[0] == "b/two and a/one: WER 0.00 % each: no difference shown"
    assert "better" not in out
    assert "faster" not in out


def test_normalizers_are_compared(export_run: Any, compare: Any):
    """The output marks a normalizer that changes the order of the systems."""
    runs = export_run("monday", "a/one", "the color of 25 cars"), export_run("tuesday", "b/two", REFERENCE)
    _, out, _ = compare(*runs, "--normalizers", "english, none")

    assert "changes: b/two < a/one" in out
    assert "a/one = b/two" in out


def test_json_is_one_object(export_run: Any, compare: Any):
    """--json prints one object that follows the resampling options."""
    runs = export_run("monday", "a/one", None), export_run("tuesday", "b/two", REFERENCE)
    code, out, _ = compare(*runs, "--json", "--seed", "7", "--resamples", "500", "--top-words", "1")
    plain = json.loads(out)

    assert code == 0
    assert plain["wer"]["resampling"] == {"resamples": 500, "seed": 7, "confidence": 0.95}
    assert [system["failed"] for system in plain["systems"]] == [8, 0]
    assert plain["systems"][0]["finished_wer"] is None
    assert len(plain["differences"][0]["baseline_mistakes"]) == 1
    assert plain["speed"] is None
    assert plain["why_no_speed"] == "no utterance was transcribed by all of them"


def test_different_audio_is_refused(export_run: Any, compare: Any):
    """Equal ids over different audio exit with 4, and the error suggests --shared-only."""
    other = [*facts(3), *facts(8, audio="b")[3:]]
    runs = export_run("monday", "a/one", REFERENCE), export_run("tuesday", "b/two", REFERENCE, utterances=other)
    code, out, err = compare(*runs)

    assert (code, out) == (4, "")
    assert "the audio of 'u3' has sha256 a3… and b3…" in err
    assert "--shared-only" in err
    code, out, _ = compare(*runs, "--shared-only", "--json")
    assert (code, json.loads(out)["utterances"], json.loads(out)["left_out"]) == (0, 3, 5)


def test_order_and_labels_may_differ(export_run: Any, compare: Any):
    """Runs with the same audio and references are comparable if order and speaker labels differ."""
    other = [attrs.evolve(utterance, speaker="s") for utterance in reversed(facts())]
    runs = export_run("monday", "a/one", REFERENCE), export_run("tuesday", "b/two", REFERENCE, utterances=other)

    assert compare(*runs)[0] == 0


def test_an_incomplete_run_is_refused(export_run: Any, compare: Any):
    """An incomplete run exits with 4, and the error has the command that resumes the run."""
    runs = export_run("monday", "a/one", REFERENCE), export_run("tuesday", "b/two", REFERENCE, outcomes=5)
    code, _, err = compare(*runs)

    assert code == 4
    assert f"asrlab resume {runs[1]}" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "nothing to compare, only a/one"),
        (["missing"], 4, "there is no run 'missing'"),
        (["--bootstrap-unit", "speaker"], 2, "no utterance has a speaker"),
        (["--normalizer", "englisch"], 2, "no scoring profile 'englisch'"),
        (["--resamples", "0"], 2, "resamples"),
    ],
)
def test_a_usage_mistake_has_an_exit_code_and_a_message(
    export_run: Any, compare: Any, arguments: list[str], code: int, message: str
):
    """Each usage mistake has its exit code and a message."""
    runs = [export_run("monday", "a/one", REFERENCE)]
    if any(argument.startswith("--") for argument in arguments):
        runs.append(export_run("tuesday", "b/two", REFERENCE))
    exit_code, _, err = compare(*runs, *arguments)

    assert exit_code == code
    assert message in err


def test_runs_are_found_by_name(asrlab_cli: CommandLine, small_folder: Path, tmp_path: Path):
    """Two runs are compared by their names, and the output says that three utterances are too few."""
    names = ("one", "two")
    for name in names:
        bench_result = asrlab_cli("bench", small_folder, "-m", "echo", "--run", tmp_path / name, "--only-table")
        assert bench_result.code == 0, bench_result.err
    result = asrlab_cli("compare", *names, ASRLAB_RUNS=str(tmp_path))

    assert result.code == 0, result.err
    assert result.out.splitlines()[0].endswith("too few to tell (3 utterances)")
    # no interval: from so few utterances it would be too narrow
    assert re.search(r"too few to tell.* \+0\.00 +- ", result.out)
    assert "echo/echo @ two" in result.out
