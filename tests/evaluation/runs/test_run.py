"""A run loses nothing, repeats nothing, and resumes only with unchanged inputs."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab
from asrlab.evaluation.runs.bench import bench, resume
from asrlab.evaluation.runs.load import load_run, load_run_records
from asrlab.evaluation.runs.records import Failure, LostAttempt, UnitStarted, UtteranceOutcome
from asrlab.evaluation.runs.storage import Ledger, RunFolder, read_records
from asrlab.testing.in_process import InProcessExecutor

IDS = ("a-first", "b-odd", "c-last")


@pytest.fixture(scope="module")
def finished(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of echo over three tones."""
    path = tmp_path_factory.mktemp("finished") / "run"
    bench(small_folder, models="echo", run=path, executor=InProcessExecutor())
    return path


@pytest.fixture
def in_process() -> InProcessExecutor:
    """A new executor."""
    return InProcessExecutor()


def copy_run(run: Path, to: Path) -> RunFolder:
    """Copy the run to *path* and return its folder."""
    return RunFolder(Path(shutil.copytree(run, to)))


def outcome_ids(path: Path) -> list[str]:
    """Return the ids with an outcome, in the order of the ledger."""
    return [record.id for record in read_records(RunFolder(path).ledger) if isinstance(record, UtteranceOutcome)]


def test_a_run_is_a_manifest_utterances_and_a_ledger(finished: Path, small_folder: Path):
    """The folder has the manifest, the facts of each utterance, and a start before every outcome."""
    folder = RunFolder(finished)
    manifest = json.loads(folder.manifest.read_text())
    assert manifest["run"] == "run"
    assert manifest["request"]["dataset"] == str(small_folder)
    assert manifest["dataset"]["utterances"] == 3
    assert [model["info"]["name"] for model in manifest["models"]] == ["echo/echo"]
    assert manifest["machine"]["cores"] > 0
    kinds = [json.loads(line)["record"] for line in folder.ledger.read_text().splitlines()]
    assert kinds == ["session", "loaded", *["started", "outcome"] * 3, "pass", "session-end"]
    result = load_run(finished)
    assert result.complete
    assert [utterance.id for utterance in result.models[0].utterances] == list(IDS)
    assert {gate.gate for gate in result.models[0].utterances[0].gates} >= {"device", "empty-on-speech"}


def test_a_truncated_ledger_is_resumed_without_loss_or_repetition(
    finished: Path, small_folder: Path, tmp_path: Path, in_process: InProcessExecutor
):
    """Wherever the ledger is cut off, complete outcomes stay as they are, and the rest is done once."""
    whole = RunFolder(finished).ledger.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    cuts = sorted({cut for end in (0, *ends) for cut in (end - 1, end, end + 1, end + 40) if 0 <= cut < len(whole)})
    assert len(cuts) > 30
    folder = copy_run(finished, tmp_path / "run")
    for cut in cuts:
        folder.ledger.write_bytes(whole[:cut])
        kept = whole[: max((end for end in ends if end <= cut), default=0)]
        before = kept.count(b'"record":"outcome"')
        in_process.keys.clear()
        assert bench(small_folder, models="echo", run=folder.path, executor=in_process).complete
        assert sorted(outcome_ids(folder.path)) == list(IDS)
        assert folder.ledger.read_bytes().startswith(kept)
        assert len(in_process.keys) == 3 - before


def test_a_complete_run_loads_nothing_again(finished: Path, tmp_path: Path, in_process: InProcessExecutor):
    """A complete run has nothing to do, so that no model is loaded."""
    folder = copy_run(finished, tmp_path / "run")
    assert resume(folder.path, executor=in_process).complete
    kinds = [json.loads(line)["record"] for line in folder.ledger.read_text().splitlines()]
    assert kinds.count("loaded") == 1
    assert kinds[-2:] == ["session", "session-end"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"options": asrlab.TranscribeOptions(language="de")}, r"options was .*None.* and is .*'de'"),
        ({"normalizer": "none"}, "normalizer was None and is 'none'"),
        ({"repeat": 2}, "repeat was 1 and is 2"),
        ({"device": "cpu"}, "device was 'auto' and is 'cpu'"),
    ],
    ids=["options", "normalizer", "repeat", "device"],
)
def test_another_request_does_not_resume_a_run(
    finished: Path,
    small_folder: Path,
    tmp_path: Path,
    in_process: InProcessExecutor,
    given: dict[str, Any],
    message: str,
):
    """Changed options are named, and nothing is written."""
    folder = copy_run(finished, tmp_path / "run")
    before = folder.ledger.read_bytes()
    with pytest.raises(asrlab.DatasetError, match=message):
        bench(small_folder, models="echo", run=folder.path, executor=in_process, **given)
    assert folder.ledger.read_bytes() == before
    assert in_process.keys == []


@pytest.mark.parametrize("change", ["audio", "reference", "more"])
def test_a_changed_data_set_is_not_resumed(
    small_folder: Path, tmp_path: Path, in_process: InProcessExecutor, change: str
):
    """After a change of one byte of audio, one word of a reference, or one file, the run names the utterance."""
    data = Path(shutil.copytree(small_folder, tmp_path / "data"))
    bench(data, models="echo", run=tmp_path / "run", executor=in_process)
    match change:
        case "audio":
            samples = bytearray((data / "b-odd.wav").read_bytes())
            samples[-1] ^= 1
            (data / "b-odd.wav").write_bytes(samples)
        case "reference":
            (data / "b-odd.txt").write_text("herd\n")
        case "more":
            shutil.copy(data / "a-first.wav", data / "b-odd2.wav")
            shutil.copy(data / "a-first.txt", data / "b-odd2.txt")
    with pytest.raises(asrlab.DatasetError, match=r"fingerprint was '[0-9a-f]{64}'(.|\n)*the utterance 'b-odd"):
        resume(tmp_path / "run", executor=in_process)


def test_another_package_or_weight_is_not_resumed(finished: Path, tmp_path: Path, in_process: InProcessExecutor):
    """A changed version or checksum is named."""
    folder = copy_run(finished, tmp_path / "run")
    plain = json.loads(folder.manifest.read_text())
    plain["models"][0]["packages"][1]["version"] = "1.0"
    plain["models"][0]["info"]["weights_sha256"] = "0" * 64
    folder.manifest.write_text(json.dumps(plain))
    with pytest.raises(asrlab.DatasetError, match=r"weights_sha256 was '0+' and is None(.|\n)*numpy was 1.0 and is 2"):
        resume(folder.path, executor=in_process)


def test_a_second_process_stops_at_once(finished: Path, tmp_path: Path, in_process: InProcessExecutor):
    """While one process writes a run, another is refused, and the first is not affected."""
    folder = copy_run(finished, tmp_path / "run")
    with folder.lock(), pytest.raises(asrlab.DatasetError, match="another process is writing the run"):
        resume(folder.path, executor=in_process)


def test_a_data_set_given_as_an_object_resumes_with_bench(
    small_folder: Path, tmp_path: Path, in_process: InProcessExecutor
):
    """An object cannot be read again: `resume` names `bench`, which resumes the run."""
    data = asrlab.evaluation.load_dataset(small_folder)
    bench(data, models="echo", run=tmp_path / "run", executor=in_process)
    with pytest.raises(
        asrlab.DatasetError, match=r"given as an object; call asrlab.evaluation.bench with the object and run="
    ):
        resume(tmp_path / "run", executor=in_process)
    assert bench(data, models="echo", run=tmp_path / "run", executor=in_process).complete


def test_the_format_is_part_of_the_run(clips: tuple[Path, ...], tmp_path: Path, in_process: InProcessExecutor):
    """The format and the permission for external audio are part of the run and apply when it is resumed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "list").write_text(f"file_name,text\n{clips[1]},he was not\n")
    given = {"format": "csv", "allow_external_audio": True}
    run = bench(tmp_path / "data" / "list", models="echo", run=tmp_path / "run", executor=in_process, **given)
    assert run.models[0].utterances[0].reference == "he was not"
    manifest = tmp_path / "run" / "manifest.json"  # as asrlab wrote it before the option was renamed
    manifest.write_text(manifest.read_text().replace("allow_external_audio", "allow_outside"))
    assert resume(tmp_path / "run", executor=in_process).complete


def test_an_utterance_lost_twice_is_not_tried_again(finished: Path, tmp_path: Path, in_process: InProcessExecutor):
    """A run that was killed after the second loss of an utterance records its failure without a third attempt."""
    folder = copy_run(finished, tmp_path / "run")
    records = list(read_records(folder.ledger))
    folder.ledger.unlink()
    failure = Failure(kind="timeout", message="no answer in 300 s")
    with Ledger(folder.ledger) as ledger:
        for record in records[:4]:
            ledger.append(record)
        for _ in range(2):
            ledger.append(UnitStarted(model="echo/echo", repeat=0, ids=("b-odd",)))
            ledger.append(LostAttempt(model="echo/echo", repeat=0, ids=("b-odd",), failure=failure))
    model = resume(folder.path, executor=in_process).models[0]
    assert [key[0] for key in in_process.keys] == [2]
    assert model.utterances[1].failure == failure
    assert model.utterances[1].attempts == 2
    assert model.failed == 1


def test_stopping_leaves_the_rest_for_later(small_folder: Path, tmp_path: Path, in_process: InProcessExecutor):
    """Once `should_stop` returns True nothing starts; the result is incomplete, and resume completes it."""
    counts: list[int] = []
    result = bench(
        small_folder,
        models="echo",
        run=tmp_path / "run",
        executor=in_process,
        progress=lambda progress: counts.append(progress.done),
        should_stop=lambda: len(counts) > 1 and counts[-1] == 1,
    )
    assert not result.complete
    assert [utterance.id for utterance in result.models[0].utterances] == ["a-first"]
    assert resume(tmp_path / "run", executor=in_process).complete
    assert outcome_ids(tmp_path / "run") == list(IDS)


def test_repeats_are_kept_and_compared(small_folder: Path, tmp_path: Path, in_process: InProcessExecutor):
    """The data set runs repeatedly; each text and time is recorded, and a text that differs is named."""
    result = bench(small_folder, models="echo", run=tmp_path / "run", repeat=3, executor=in_process)
    model = result.models[0]
    assert in_process.keys == [(index, repeat) for repeat in range(3) for index in range(3)]
    assert [len(utterance.repeats) for utterance in model.utterances] == [2, 2, 2]
    assert model.unstable == ()
    assert len(model.rtfx_by_repeat) == 3
    assert model.rtfx == sorted(model.rtfx_by_repeat)[1]
    other = attrs.evolve(model.utterances[1].repeats[1], text="something else")
    changed = attrs.evolve(model.utterances[1], repeats=(model.utterances[1].repeats[0], other))
    assert attrs.evolve(model, utterances=(model.utterances[0], changed)).unstable == ("b-odd",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("repeat", 0, "repeat must be a whole number from 1 to 1000"), ("repeat", 1e12, "not 1000000000000.0"),
     ("repeat", 10**12, "not 1000000000000"), ("warmup", -1, "warmup must be a whole number from 0 to 1000"),
     ("warmup", 10**9, "not 1000000000"), ("timeout", math.nan, "timeout must be more than 0 and finite"),
     ("timeout", math.inf, "timeout must be more than 0 and finite"), ("timeout", 0.0, "timeout must be more than 0"),
     ("memory_limit_bytes", -5, "memory_limit_bytes must be more"),
     ("models", ("echo", "echo/echo"), "echo/echo is given twice"), ("models", (), "no model is given")],
    ids=["repeat", "repeat-float", "repeat-huge", "warmup", "warmup-huge", "timeout-nan", "timeout-inf", "timeout",
         "memory", "twice", "none"],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_before_a_folder_is_made(
    small_folder: Path, tmp_path: Path, name: str, value: Any, message: str
):
    """A mistake in the request leaves nothing on the disk."""
    with pytest.raises(asrlab.OptionError, match=message):
        bench(small_folder, run=tmp_path / "run", **({"models": "echo"} | {name: value}))
    assert not (tmp_path / "run").exists()


def test_a_folder_with_something_else_is_left_alone(small_folder: Path, tmp_path: Path, in_process: InProcessExecutor):
    """A run begins only in an empty folder, or in one of a run that was killed while it began."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(asrlab.DatasetError, match=r"is not empty and not a run \(it holds notes.txt\)"):
        bench(small_folder, models="echo", run=tmp_path, executor=in_process)
    half = tmp_path / "half"
    half.mkdir()
    (half / "utterances.jsonl").write_text('{"id":')
    (half / "manifest.json.partial").write_text("{")
    assert bench(small_folder, models="echo", run=half, executor=in_process).complete


FULL = """
import resource, sys
import asrlab
from asrlab.evaluation.runs.bench import bench
from asrlab.testing.in_process import InProcessExecutor


def limit(_progress):  # from when the run has begun: its manifest may be longer than what of the ledger has room
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))

try:
    bench(sys.argv[1], models="echo", run=sys.argv[2], progress=limit, executor=InProcessExecutor())
except asrlab.OutputError as error:
    print(error)
"""


def test_a_full_disk_keeps_the_records_before(
    finished: Path, small_folder: Path, tmp_path: Path, in_process: InProcessExecutor
):
    """If the disk is full the run stops, names the resume command, and has complete records only."""
    whole = RunFolder(finished).ledger.read_bytes()
    second = [place for place in range(len(whole)) if whole.startswith(b'{"record":"outcome"', place)][1]
    run = tmp_path / "run"
    command = [sys.executable, "-c", FULL, str(small_folder), str(run), str(second + 200)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"asrlab resume {run}" in done.stdout
    assert "the earlier records are complete" in done.stdout
    assert outcome_ids(run) == ["a-first"]
    assert RunFolder(run).ledger.read_bytes().endswith(b"\n")
    assert resume(run, executor=in_process).complete
    assert outcome_ids(run) == list(IDS)


def test_a_damaged_line_is_reported_with_its_number(finished: Path, tmp_path: Path):
    """A line that is not JSON, or no record, is an error with file and line."""
    folder = copy_run(finished, tmp_path / "run")
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    for damage in (b'{"record":"outc\n', b'{"record":"outcome"}\n', b'{"record":"verdict"}\n'):
        folder.ledger.write_bytes(b"".join([*lines[:3], damage, *lines[4:]]))
        with pytest.raises(asrlab.DatasetError, match=r"ledger.jsonl, line 4: "):
            load_run_records(folder.path)


def test_an_outcome_twice_is_an_error(finished: Path, tmp_path: Path):
    """Two outcomes of one utterance would count twice: the run is refused."""
    folder = copy_run(finished, tmp_path / "run")
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    folder.ledger.write_bytes(b"".join([*lines, lines[3]]))
    with pytest.raises(asrlab.DatasetError, match="'a-first' has two outcomes with echo/echo"):
        load_run(folder.path)


def test_a_folder_that_cannot_be_made_is_an_error_with_its_cure(
    finished: Path, small_folder: Path, tmp_path: Path, in_process: InProcessExecutor
):
    """A file in the place of the folder, or given to resume, is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        asrlab.OutputError, match=r"cannot use .* as the folder of a run .*; choose another one with --run"
    ):
        bench(small_folder, models="echo", run=tmp_path / "file", executor=in_process)
    with pytest.raises(asrlab.DatasetError, match="is a file; give the folder"):
        resume(tmp_path / "file")


def test_two_folders_of_the_same_name_are_two_models():
    """Models in folders of the same name have their paths in their names."""
    from asrlab.evaluation.runs.bench import models_by_name
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    registry = Registry(PluginHost())
    models = [registry.resolve(f"liquid-audio/{folder}") for folder in ("/one/model", "/two/model", "/three/other")]
    assert list(models_by_name(models)) == ["liquid-audio//one/model", "liquid-audio//two/model", "liquid-audio/other"]
