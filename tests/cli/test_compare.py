"""``asrlab compare`` as a user runs it."""

from __future__ import annotations

import json
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

SAID = "the colour of twenty five cars"


def facts(count: int = 8, *, audio: str = "a") -> list[UtteranceFacts]:
    """What a run notes of its utterances."""
    return [
        UtteranceFacts(id=f"u{number}", reference=SAID, language="en", audio_sha256=f"{audio}{number}")
        for number in range(count)
    ]


def manifest(name: str, model: str, utterances: list[UtteranceFacts]) -> RunManifest:
    """Of a run of one model on a machine that is always the same."""
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
    """The model loaded, and every utterance with the same text or, for None, a failure."""
    [model] = run.models
    info = TranscriberInfo(
        model=model.info,
        device=Device(requested="auto", resolved="cpu"),
        compute_type="int8",
        capabilities=Capabilities(),
    )
    yield ModelLoaded(model=model.info.name, number=0, info=info, load_time=1.0)
    timings = Timings(audio=0.1, inference=0.9, total=1.0)
    heard = Recognized(language="en", duration=4.0, timings=timings)
    for each in utterances:
        failed = {"failure": Failure(kind="crashed", message="gone")}
        recognized = {"hypothesis": text, "recognized": heard, "loaded": 0}
        outcome = UtteranceOutcome(model=model.info.name, id=each.id, reference=each.reference)
        yield attrs.evolve(outcome, **(failed if text is None else recognized))


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., str]:
    """A writer of exported runs of one model that wrote the same text everywhere."""

    def write(
        name: str,
        model: str,
        text: str | None,
        *,
        utterances: list[UtteranceFacts] | None = None,
        outcomes: int | None = None,
    ) -> str:
        said = facts() if utterances is None else utterances
        run = manifest(name, model, said)
        lines = [{"record": "manifest", **run.to_plain()}]
        lines += [{"record": "utterance", **attrs.asdict(each)} for each in said]
        path = tmp_path / f"{name}.jsonl"
        made = b"".join(map(to_line, records(run, said[:outcomes], text)))
        path.write_bytes("".join(json.dumps(line) + "\n" for line in lines).encode() + made)
        return str(path)

    return write


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command, in this process: its exit code, its output and its errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["compare", *arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_headline_comes_first(exported: Any, compare: Any):
    """The first line is what it comes to; tables and how they were made are below."""
    code, out, _ = compare(exported("monday", "a/one", "the colour of cars"), exported("tuesday", "b/two", SAID))

    assert code == 0
    assert out.splitlines()[0].startswith("b/two: WER 0.00 %, 20.00 points lower than a/one [20.00, 20.00]")
    assert out.splitlines()[0].endswith(": better")
    assert "Paired bootstrap of 8 utterances, 10000 resamples, seed 0" in out
    assert "a/one: mistakes that b/two does not make" in out
    assert "b/two: mistakes" not in out


def test_same_texts_are_never_better(exported: Any, compare: Any):
    """Where nothing differs, neither word is anywhere in the output."""
    code, out, _ = compare(exported("monday", "a/one", SAID), exported("tuesday", "b/two", SAID))

    assert code == 0
    assert out.splitlines()[0] == "b/two and a/one: WER 0.00 % each: no difference shown"
    assert "better" not in out
    assert "faster" not in out


def test_normalizers_stand_side_by_side(exported: Any, compare: Any):
    """A difference that only one normalizer makes is marked as another order."""
    runs = exported("monday", "a/one", "the color of 25 cars"), exported("tuesday", "b/two", SAID)
    _, out, _ = compare(*runs, "--normalizers", "english, none")

    assert "changes: b/two < a/one" in out
    assert "a/one = b/two" in out


def test_json_is_one_object(exported: Any, compare: Any):
    """With --json, everything is one object, drawn as asked."""
    runs = exported("monday", "a/one", None), exported("tuesday", "b/two", SAID)
    code, out, _ = compare(*runs, "--json", "--seed", "7", "--resamples", "500", "--top-words", "1")
    plain = json.loads(out)

    assert code == 0
    assert plain["wer"]["resampling"] == {"resamples": 500, "seed": 7, "confidence": 0.95}
    assert [system["failed"] for system in plain["systems"]] == [8, 0]
    assert plain["systems"][0]["finished_wer"] is None
    assert len(plain["differences"][0]["baseline_mistakes"]) == 1
    assert plain["speed"] is None
    assert plain["why_no_speed"] == "no utterance was transcribed by all of them"


def test_other_audio_is_refused(exported: Any, compare: Any):
    """The same ids and references over other audio are not the same utterances: exit 4, and what to do."""
    other = [*facts(3), *facts(8, audio="b")[3:]]
    runs = exported("monday", "a/one", SAID), exported("tuesday", "b/two", SAID, utterances=other)
    code, out, err = compare(*runs)

    assert (code, out) == (4, "")
    assert "the audio of 'u3' has sha256 a3… and b3…" in err
    assert "--shared-only" in err
    code, out, _ = compare(*runs, "--shared-only", "--json")
    assert (code, json.loads(out)["utterances"], json.loads(out)["left_out"]) == (0, 3, 5)


def test_order_and_labels_may_differ(exported: Any, compare: Any):
    """The same audio and references in another order, with speakers, are the same utterances."""
    other = [attrs.evolve(each, speaker="s") for each in reversed(facts())]
    runs = exported("monday", "a/one", SAID), exported("tuesday", "b/two", SAID, utterances=other)

    assert compare(*runs)[0] == 0


def test_run_that_is_not_complete_is_refused(exported: Any, compare: Any):
    """It exits with 4 and names the command that goes on with the run."""
    runs = exported("monday", "a/one", SAID), exported("tuesday", "b/two", SAID, outcomes=5)
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
def test_mistakes_are_told(exported: Any, compare: Any, arguments: list[str], code: int, message: str):
    """Each mistake has its exit code and a sentence."""
    runs = [exported("monday", "a/one", SAID)]
    if any(each.startswith("--") for each in arguments):
        runs.append(exported("tuesday", "b/two", SAID))
    found, _, err = compare(*runs, *arguments)

    assert found == code
    assert message in err


def test_runs_are_found_by_name(asrlab_cli: CommandLine, small_folder: Path, tmp_path: Path):
    """Two runs that bench wrote are compared by their names, and three utterances are too few to tell."""
    names = ("one", "two")
    for name in names:
        done = asrlab_cli("bench", small_folder, "-m", "echo", "--run", tmp_path / name, "--only-table")
        assert done.code == 0, done.err
    ran = asrlab_cli("compare", *names, ASRLAB_RUNS=str(tmp_path))

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0].endswith("too few to tell (3 utterances)")
    assert "│             - │" in ran.out  # no interval: of so few it would be too narrow
    assert "echo/echo @ two" in ran.out
