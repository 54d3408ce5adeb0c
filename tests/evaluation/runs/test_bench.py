"""`bench` survives whatever its engines do, and reports what happened."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import asrlab

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.evaluation.runs.result import BenchResult, ModelResult


@pytest.fixture(scope="module")
def temper_results(third_party: Path, small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    """Results of each fault of the third-party engine over three tones, of which the second triggers the fault."""
    faults = ("abort", "exit", "raise", "print", "unsendable", "load-raises", "load-aborts", "info-unsendable")
    names = ["echo", *(f"third/{name}" for name in (*faults, "aborts-then-cannot-load", "calm"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(third_party)
        patch.setenv("THIRD_PARTY_FLAG", str(tmp_path_factory.mktemp("flag") / "loaded-once"))
        result = asrlab.evaluation.bench(small_folder, models=names)
    assert [model.model for model in result.models] == ["echo/echo", *names[1:]]
    return result


@pytest.fixture(scope="module")
def results(temper_results: BenchResult) -> dict[str, ModelResult]:
    """The results by the names of the models."""
    return {model.model.partition("/")[2]: model for model in temper_results.models}


def _kinds(model: ModelResult) -> list[str]:
    return [utterance.failure.kind if utterance.failure else "ok" for utterance in model.utterances]


def test_a_native_abort_loses_only_its_utterance(results: dict[str, ModelResult]):
    """An engine that aborts the process loses the current utterance; those before and after have outcomes."""
    aborted = results["abort"]
    assert _kinds(aborted) == ["ok", "crashed", "ok"]
    assert aborted.utterances[1].failure is not None
    assert "died of SIGABRT while transcribing this utterance" in aborted.utterances[1].failure.message
    assert aborted.score is not None
    assert (aborted.score.words.deletions, aborted.score.words.hits) == (1, 2)


def test_a_crash_does_not_hide_the_facts_of_the_model(results: dict[str, ModelResult]):
    """Load time and peak memory of a model that crashed once are known."""
    assert results["abort"].failure is None
    assert results["abort"].load_time is not None
    assert (results["abort"].peak_resident_bytes or 0) > 2**20


def test_an_engine_that_exits_loses_only_its_utterance(results: dict[str, ModelResult]):
    """An engine that calls sys.exit is a crash with that status."""
    assert _kinds(results["exit"]) == ["ok", "crashed", "ok"]
    assert "exit status 7" in results["exit"].utterances[1].failure.message  # type: ignore[union-attr]


def test_an_error_that_cannot_be_pickled_arrives(results: dict[str, ModelResult]):
    """An exception that pickle refuses arrives with its class name and its message."""
    assert _kinds(results["raise"]) == ["ok", "Unpicklable", "ok"]
    assert results["raise"].utterances[1].failure.message == "the engine says no"  # type: ignore[union-attr]


def test_a_result_that_cannot_be_pickled_is_a_failure(results: dict[str, ModelResult]):
    """A transcript that pickle refuses fails alone, with the reason."""
    assert _kinds(results["unsendable"]) == ["ok", "ValueError", "ok"]
    assert "this text stays here" in results["unsendable"].utterances[1].failure.message  # type: ignore[union-attr]


def test_printing_and_reading_do_not_disturb_the_run(results: dict[str, ModelResult]):
    """An engine that prints, lets a child print, or reads standard input does not disturb the messages."""
    assert _kinds(results["print"]) == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("load-raises", "EngineUnavailableError", "ZeroDivisionError: no weights in the box"),
        ("load-aborts", "crashed", "died of SIGABRT while loading the model"),
        ("info-unsendable", "", "the engine's result cannot be sent"),
    ],
)
def test_a_model_that_does_not_load_has_the_reason(
    results: dict[str, ModelResult], model: str, kind: str, message: str
):
    """A load that raises, aborts or returns what cannot be sent is the model's failure."""
    failed = results[model]
    assert failed.failure is not None
    assert kind in failed.failure.kind
    assert message in failed.failure.message
    assert (failed.info, failed.utterances, failed.score) == (None, (), None)


def test_a_model_that_cannot_be_loaded_again_fails_the_rest(results: dict[str, ModelResult]):
    """After a crash and failed loads, every utterance without an outcome has a failure."""
    model = results["aborts-then-cannot-load"]
    assert _kinds(model) == ["ok", "EngineUnavailableError", "EngineUnavailableError"]
    assert model.info is not None
    assert model.score is not None
    assert model.score.words.deletions == 2


def test_models_after_broken_ones_run(results: dict[str, ModelResult]):
    """The last model of the bench is not affected by those before it."""
    assert _kinds(results["calm"]) == ["ok", "ok", "ok"]
    assert results["calm"].score is not None
    assert results["calm"].score.wer == 0


def test_a_result_with_every_kind_of_failure_is_json_and_a_table(
    temper_results: BenchResult, results: dict[str, ModelResult]
):
    """Models that did not load, or failed in part or wholly, can be written as JSON and shown in one table."""
    from rich.console import Console

    from asrlab.cli.run_view import failures, gate_findings, marked_texts, run_table

    result = attrs.evolve(temper_results, models=tuple(results.values()))
    plain = json.loads(result.to_json())
    assert plain["failed"] == result.failed == 6
    assert [model["model"] for model in plain["models"]] == [model.model for model in result.models]
    screen = Console(record=True, width=200, file=io.StringIO())
    screen.print(run_table(result), *failures(result), *gate_findings(result), *marked_texts(result))
    shown = screen.export_text()
    assert "not loaded" in shown
    assert "(failed)" in shown


def test_one_bad_file_in_a_folder_fails_alone(small_folder: Path, tmp_path: Path):
    """A broken file among good ones has its own error and counts as deletions; the order is that of the ids."""
    folder = shutil.copytree(small_folder, tmp_path / "set")
    (folder / "b-odd.wav").write_bytes(b"<html>not found</html>")
    result = asrlab.evaluation.bench(folder, models="echo").models[0]
    assert [utterance.id for utterance in result.utterances] == ["a-first", "b-odd", "c-last"]
    assert _kinds(result) == ["ok", "AudioError", "ok"]
    assert "HTML" in result.utterances[1].failure.message  # type: ignore[union-attr]
    assert result.failed == 1
    assert result.score is not None
    assert result.score.words.deletions == 1
    assert result.score.words.reference_length == 3


def test_audio_that_cannot_be_sent_fails_alone(small_folder: Path):
    """An open file cannot go to another process: its utterance fails with a message that names what to give."""
    with (small_folder / "a-first.wav").open("rb") as file:
        audio = {"file": file, "bytes": (small_folder / "c-last.wav").read_bytes()}
        data = asrlab.evaluation.Dataset(
            name="mixed",
            source="a test",
            read=lambda: [asrlab.evaluation.Utterance(id=name, audio=each, text="x") for name, each in audio.items()],
        )
        result = asrlab.evaluation.bench(data, models="echo").models[0]
    assert _kinds(result) == ["AudioError", "ok"]
    assert "give a path, bytes or an array" in result.utterances[0].failure.message  # type: ignore[union-attr]


def test_the_worker_has_the_plugins_of_the_host_it_was_given(third_party: Path, small_folder: Path):
    """The worker loads the same plugins as its parent, whatever the environment holds."""
    from asrlab.plugins.manager import PluginHost

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(third_party)
        patch.setenv("ASRLAB_DISABLE_PLUGINS", "*")
        host = PluginHost(points=entry_points(group="asrlab"), disabled=["echo"])
        result = asrlab.evaluation.bench(small_folder, models="third/calm", host=host)
    assert result.models[0].failure is None
    assert result.failed == 0


def test_a_module_in_the_current_folder_does_not_shadow_the_workers(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The worker imports what the caller imports, not modules in the current folder."""
    (tmp_path / "soundfile.py").write_text("raise RuntimeError('the wrong soundfile')")
    monkeypatch.chdir(tmp_path)
    result = asrlab.evaluation.bench(small_folder, models="echo")
    assert _kinds(result.models[0]) == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"models": "ecko"}, asrlab.EngineNotFoundError, "did you mean echo"),
        ({"models": "echo", "compute_type": "int3"}, asrlab.OptionError, "cannot compute in 'int3'"),
        ({"models": "echo", "threads": 0}, asrlab.OptionError, "threads must be at least 1"),
        ({"models": "echo", "normalizer": "french"}, asrlab.OptionError, "french"),
    ],
)
def test_a_mistake_is_raised_before_anything_runs(
    small_folder: Path, given: dict[str, Any], error: type[asrlab.AsrlabError], message: str
):
    """A mistake in the request is an exception, and no model is loaded."""
    calls: list[object] = []
    with pytest.raises(error, match=message):
        asrlab.evaluation.bench(small_folder, progress=lambda *facts: calls.append(facts), **given)
    assert calls == []


def test_an_option_that_the_model_lacks_is_its_failure(small_folder: Path):
    """Only a loaded model knows its capabilities: an unsupported option is the failure of that model."""
    result = asrlab.evaluation.bench(small_folder, models="echo", options=asrlab.TranscribeOptions(beam_size=5))
    failure = result.models[0].failure
    assert failure is not None
    assert failure.kind == "OptionError"
    assert "it supports: word_timestamps" in failure.message


def test_progress_counts_each_utterance_of_each_model(small_folder: Path):
    """Progress is reported with 0 when loading begins, and after each utterance."""
    calls: list[tuple[str, int, int, int]] = []
    asrlab.evaluation.bench(
        small_folder,
        models=["echo"],
        progress=lambda progress: calls.append((progress.model, progress.done, progress.total, progress.failed)),
    )
    assert list(dict.fromkeys(calls)) == [("echo/echo", done, 3, 0) for done in range(4)]


@pytest.fixture(scope="module")
def real_run(weights_cache: Path) -> BenchResult:
    """The base model and echo on two clips of the smoke set, the later clip first."""
    utterances = list(asrlab.evaluation.load_dataset("smoke"))
    two = asrlab.evaluation.Dataset(name="two", source="smoke", read=lambda: [utterances[4], utterances[1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(weights_cache))
        return asrlab.evaluation.bench(two, models=["faster-whisper/base", "echo"], device="cpu", offline=True)


def test_models_and_utterances_come_in_the_order_they_were_given(real_run: BenchResult):
    """Models keep the caller's order, and utterances that of the data set."""
    assert [model.model for model in real_run.models] == ["faster-whisper/base", "echo/echo"]
    for model in real_run.models:
        assert [utterance.id[-4:] for utterance in model.utterances] == ["0930", "0880"]


def test_peak_memory_is_each_models_own(real_run: BenchResult):
    """A model of 145 MB raises its own peak and not that of the model after it."""
    whisper, echo = (model.peak_resident_bytes for model in real_run.models)
    assert whisper is not None
    assert echo is not None
    assert echo < 150 * 2**20
    assert whisper > echo + 100 * 2**20


def test_the_figures_are_consistent(real_run: BenchResult):
    """Audio seconds, RTFx, latency and failures of a result are those of its transcripts."""
    model = real_run.models[0]
    totals = [utterance.transcript.timings.total for utterance in model.utterances if utterance.transcript]
    assert len(totals) == 2
    assert model.audio_seconds == pytest.approx(3.29 + 2.99)
    assert model.rtfx == pytest.approx(model.audio_seconds / sum(totals))
    assert model.latency.p50 == min(totals)
    assert attrs.asdict(model.latency)["p99"] is None
    assert real_run.failed == 0
    assert real_run.seconds > sum(totals)


def _children_of(group: int) -> bool:
    try:
        os.kill(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "presses"), [("third/hang", 2), ("third/load-hangs", 1)], ids=["transcribing", "loading"]
)
def test_ctrl_c_prints_how_to_resume_and_leaves_no_process(
    third_party: Path, small_folder: Path, asrlab_cli: Any, model: str, presses: int
):
    """One interrupt ends a load, two an utterance: exit code 130, no process remains, and resume is named."""
    process, worker = _hanging(asrlab_cli, third_party, "bench", small_folder, "-m", model)
    os.killpg(process.pid, signal.SIGINT)  # to the whole group, as a terminal does
    first = process.stderr.readline()
    if presses == 2:
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert first.startswith("asrlab: stopping in a few seconds, or after the current utterance; Ctrl-C again")
    assert "to resume: asrlab resume " in err
    assert out == ""
    assert not _children_of(worker)


def test_ctrl_c_waits_for_the_current_utterance(third_party: Path, small_folder: Path, asrlab_cli: Any):
    """After one interrupt the current utterance gets its outcome, and no other starts."""
    process, worker = _hanging(asrlab_cli, third_party, "bench", small_folder, "-m", "third/hang")
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    os.kill(worker, signal.SIGUSR1)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted with 2 outcomes" in err
    resumed = asrlab_cli("resume", err.split()[-1], "--json", plugins=[third_party])
    assert resumed.json["complete"]
    assert [one["id"] for one in resumed.json["models"][0]["utterances"]] == ["a-first", "b-odd", "c-last"]


def test_ctrl_c_before_the_run_has_begun_ends_it():
    """While data is read and hashed there is no outcome to wait for: the first interrupt ends the command."""
    from asrlab.cli.progress import run_progress

    with pytest.raises(KeyboardInterrupt), run_progress() as progress:
        progress.interrupt(signal.SIGINT, None)


def test_ctrl_c_during_the_last_utterance_is_reported(
    third_party: Path, small_folder: Path, asrlab_cli: Any, tmp_path: Path
):
    """A run that is complete when Ctrl-C takes effect prints its table, and exits with 130."""
    for suffix in (".wav", ".txt"):
        (tmp_path / f"b-odd{suffix}").write_bytes((small_folder / f"b-odd{suffix}").read_bytes())
    process, worker = _hanging(asrlab_cli, third_party, "bench", tmp_path, "-m", "third/hang")
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    os.kill(worker, signal.SIGUSR1)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "third/hang" in out


def test_ctrl_c_ends_a_transcription(third_party: Path, small_folder: Path, asrlab_cli: Any):
    """An interrupt while a model loads for `transcribe` exits with 130 and one line."""
    process, _ = _hanging(asrlab_cli, third_party, "transcribe", small_folder / "a-first.wav", "-m", "third/load-hangs")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "asrlab: interrupted")


def _hanging(asrlab_cli: Any, plugins: Path, *command: str | Path) -> tuple[subprocess.Popen[str], int]:
    """Return a started command, and the process that hangs in it."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = asrlab_cli.start(*command, plugins=[plugins], start_new_session=True, **streams)
    lines = iter(process.stderr.readline, "")  # unlike iterating, leaves what follows to communicate
    return process, next(int(line.split()[1]) for line in lines if line.startswith("hanging"))


def test_a_worker_whose_parent_was_killed_ends_by_itself(third_party: Path, small_folder: Path, asrlab_cli: Any):
    """A killed bench cannot end its worker, which ends by itself and silently, even if it hangs."""
    command = ("bench", small_folder, "-m", "third/hang")
    with asrlab_cli.start(*command, plugins=[third_party], stderr=subprocess.PIPE) as process:
        next(line for line in process.stderr if line.startswith("hanging"))
        process.kill()
        process.wait()
        rest = process.stderr.read()  # ends when the last process that holds it has ended
    assert "Traceback" not in rest
    assert "BrokenPipe" not in rest
