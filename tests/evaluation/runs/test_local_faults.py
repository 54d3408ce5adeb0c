"""Whatever a worker does, only the culprit is lost, and no process remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest

from asrlab.audio import Audio
from asrlab.evaluation.runs import worker_process
from asrlab.evaluation.runs.executor import (
    ItemFinished,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    TimeLimits,
    WorkerMessage,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import Failure, ModelLoaded
from asrlab.evaluation.runs.worker_pool import LocalExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FAULTY_ENGINE = Path(__file__).with_name("faulty_engine.py")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """A folder with an installed engine that behaves as the names of its audio files say."""
    return write_distribution(
        tmp_path_factory.mktemp("plugin"), "faulty_engine", source=FAULTY_ENGINE.read_text(encoding="utf-8")
    )


@attrs.frozen
class Scene:
    """A folder in which the engine records its calls, and runs in it."""

    folder: Path

    def units(self, *names: str) -> list[WorkUnit]:
        """Return a unit for each of *names*, with an item for each name in it.

        ``name:1.5`` gives one 1.5 seconds, not 30, and ``name:?`` leaves its limit to the worker.
        """
        numbers = iter(range(100))
        return [WorkUnit(items=tuple(self._item(next(numbers), *name.split(":")) for name in u.split())) for u in names]

    def _item(self, number: int, name: str, seconds: str = "30") -> WorkItem:
        path = self.folder / f"{name}.wav"
        path.write_bytes(WAV)
        return WorkItem(key=(number, 0), audio=path, timeout_s=float(seconds) if seconds != "?" else None)

    def run(self, *names: str, model: str = "calm", limit: int | None = None, **settings: Any) -> list[WorkerMessage]:
        """Return all messages; *settings* are for the executor and its run."""
        sizes = {name: settings.pop(name) for name in ("workers", "load_seconds") if name in settings}
        job = ModelJob(model=f"faulty_engine/{model}", request=BenchRequest(memory_limit_bytes=limit))
        return list(LocalExecutor(**sizes).run(job, self.units(*names), **settings))

    def calls(self) -> list[str]:
        """Return the names of the calls of the engine, in order."""
        return [line.split()[1] for line in (self.folder / "calls").read_text().splitlines()]

    def workers(self) -> set[int]:
        """Return the process ids of the workers that were called."""
        return {int(line.split()[0]) for line in (self.folder / "calls").read_text().splitlines()}

    def assert_nothing_runs(self) -> None:
        """Assert that no worker remains, not even as a zombie."""
        assert self.workers()
        for pid in self.workers():
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


WAV = b"RIFF" + (36 + 3200).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
    "10000000 0100 0100 803e0000 007d0000 0200 1000"
) + b"data" + (3200).to_bytes(4, "little") + b"\1\2" * 1600  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """An empty folder, with the engine installed."""
    monkeypatch.syspath_prepend(plugin)
    monkeypatch.setenv("FAULTY_ENGINE", str(tmp_path))
    return Scene(tmp_path)


@attrs.frozen
class Havoc:
    """A run with many faults.

    Attributes:
        scene: The scene of the run.
        messages: Messages of the run.
    """

    scene: Scene
    messages: list[WorkerMessage]

    def losses(self, number: int) -> list[ItemsLost]:
        """Return the losses of an item."""
        return [lost for lost in _of(self.messages, ItemsLost) if (number, 0) in lost.keys]


@pytest.fixture(scope="module")
def havoc(tmp_path_factory: pytest.TempPathFactory, plugin: Path) -> Havoc:
    """Units of three, of which the second costs the worker; and a single one that does so once."""
    with pytest.MonkeyPatch.context() as patch:
        scene = Scene(tmp_path_factory.mktemp("havoc"))
        patch.syspath_prepend(plugin)
        patch.setenv("FAULTY_ENGINE", str(scene.folder))
        units = (*(f"before {fault} after" for fault in CULPRITS), "before:0.3 hang:0.3 after:2", "value once")
        return Havoc(scene, scene.run(*units, limit=300 * 2**20))


CULPRITS = ("abort", "exit", "fork", "memory", "eat")


def _outcomes(messages: Iterable[WorkerMessage]) -> list[str]:
    """Return the text or the kind of failure of each item, in the order of the keys."""
    done = sorted((message for message in messages if isinstance(message, ItemFinished)), key=lambda done: done.key)
    assert [message.key[0] for message in done] == list(range(len(done)))  # each once
    return [d.transcript.text if d.transcript else d.failure.kind for d in done]  # type: ignore[union-attr]


def _of[Kind](messages: Iterable[WorkerMessage], kind: type[Kind]) -> list[Kind]:
    return [message for message in messages if isinstance(message, kind)]


def test_only_culprits_are_lost(havoc: Havoc):
    """Each innocent item has its text, before and after a culprit; each culprit has the failure of its worker."""
    kinds = ["crashed"] * 3 + ["oom"] * 2 + ["timeout"]
    expected = [outcome for kind in kinds for outcome in ("before", kind, "after")]
    assert _outcomes(havoc.messages) == [*expected, "ValueError", "once"]
    havoc.scene.assert_nothing_runs()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("abort", "died of SIGABRT while transcribing this utterance"),
        ("exit", "died of exit status 7"),
        ("fork", "died of SIGABRT"),
        ("memory", "MemoryError: no room"),
        ("eat", "MiB of memory, above the limit of 300 MiB, while transcribing this utterance"),
        ("hang", "killed after 0.3 s without an answer while transcribing this utterance"),
    ],
)
def test_a_culprit_is_given_up_the_second_time_alone(havoc: Havoc, fault: str, message: str):
    """The first loss includes the items without an answer, the second the culprit alone, which then fails."""
    number = 1 + 3 * (*CULPRITS, "hang").index(fault)
    first, second = havoc.losses(number)
    assert (first.keys, second.keys) == (((number, 0), (number + 1, 0)), ((number, 0),))
    assert message in second.failure.message
    begun = [begun.keys for begun in _of(havoc.messages, ItemsStarted) if (number, 0) in begun.keys]
    assert begun == [tuple((number + n, 0) for n in (-1, 0, 1)), ((number, 0),)]
    (done,) = (done for done in _of(havoc.messages, ItemFinished) if done.key == (number, 0))
    assert done.failure == second.failure


def test_lost_items_are_retried_after_all_others(havoc: Havoc):
    """Retries come at the end, those after a lack of memory last; a lost worker has one successor."""
    second = [*CULPRITS[:3], "hang", "once", *CULPRITS[3:]]
    assert [name for name in havoc.scene.calls() if name != "after"][-len(second) :] == second
    assert len(_of(havoc.messages, ModelLoaded)) == len(_of(havoc.messages, ItemsLost)) + 1  # "after" comes last


def test_an_ordinary_error_is_not_tried_again(havoc: Havoc):
    """An exception that does not concern memory is the outcome, and nothing is retried."""
    assert havoc.scene.calls().count("value") == 1
    assert (havoc.scene.folder / "released").exists()  # the last worker was let go, not killed


def test_a_kill_that_the_kernel_counts_is_lack_of_memory(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Death by SIGKILL is lack of memory only if the kernel's count of such kills rose meanwhile.

    A loss in an earlier session of the run counts: neither has a second try.
    """
    (scene.folder / "vmstat").write_text("pgfault 7\noom_kill 3\n")
    monkeypatch.setattr(worker_process, "_CGROUPS", scene.folder)
    monkeypatch.setattr(worker_process, "_PROC", scene.folder)
    units = [WorkUnit(items=(attrs.evolve(u.items[0], previous_losses=1),)) for u in scene.units("oomkill", "kill")]
    messages = list(LocalExecutor().run(ModelJob(model="faulty_engine"), units))
    assert _outcomes(messages) == ["oom", "crashed"]
    assert "the kernel killed the worker process for lack of memory" in _of(messages, ItemsLost)[0].failure.message
    assert "SIGKILL (sent by a user" in _of(messages, ItemsLost)[1].failure.message
    assert scene.calls() == ["oomkill", "kill"]
    assert len(_of(messages, ModelLoaded)) == 2  # nothing is left for a third


def test_two_workers_run_side_by_side(scene: Scene):
    """Two utterances that wait for each other both finish."""
    messages = scene.run("left", "right", workers=2)
    assert _outcomes(messages) == ["left", "right"]
    assert len(scene.workers()) == 2
    scene.assert_nothing_runs()


def test_a_warm_up_never_counts_against_an_utterance(scene: Scene, caplog: pytest.LogCaptureFixture):
    """The successor of a worker that was lost in a warm-up runs none, and the log reports it."""
    messages = scene.run("calm", "quiet", warmups=scene.units("first", "abort", "last"))
    assert _outcomes(messages) == ["calm", "quiet"]
    assert list(map(type, messages)) == [ModelLoaded, ModelLoaded, *[ItemsStarted, ItemFinished] * 2]
    assert scene.calls() == ["first", "abort", "calm", "quiet"]
    assert "its replacement runs no warm-ups" in caplog.text


def test_each_worker_warms_up(scene: Scene):
    """A replacement worker warms up as the first did; an error in a warm-up has no effect."""
    messages = scene.run("once", "calm", warmups=scene.units("value", "warm"))
    assert scene.calls() == ["value", "warm", "once", "value", "warm", "calm", "once"]
    assert _outcomes(messages) == ["once", "calm"]


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("hangs", "timeout", "while loading the model"),
        ("raises", "EngineUnavailableError", "no weights in the box"),
        ("aborts", "crashed", "died of SIGABRT while loading the model"),
    ],
)
def test_a_model_that_does_not_load_is_a_failure_alone(scene: Scene, model: str, kind: str, message: str):
    """A load that hangs, raises or aborts is reported once, and nothing starts."""
    (failure,) = scene.run("calm", "quiet", model=model, load_seconds=1.5 if model == "hangs" else 30)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert message in failure.message


def test_a_model_above_the_limit_does_not_load(scene: Scene):
    """A worker whose model alone exceeds the memory limit is the model's failure, not that of each utterance."""
    (failure,) = scene.run("calm", limit=2**20)
    assert isinstance(failure, Failure)
    assert failure.kind == "oom"
    assert "while loading the model" in failure.message


def test_a_model_that_once_does_not_load_again_is_tried_once_more(scene: Scene):
    """A replacement worker that does not load is replaced once."""
    assert _outcomes(scene.run("once", "calm", model="second-raises")) == ["once", "calm"]


def test_a_model_that_does_not_load_again_fails_the_rest(scene: Scene):
    """If no worker can be replaced, each remaining utterance has the failure, which is also the last message."""
    messages = scene.run("calm", "once", "quiet", "after", model="first-only")
    assert _outcomes(messages) == ["calm", *["EngineUnavailableError"] * 3]
    assert isinstance(messages[-1], Failure)


def test_fewer_workers_are_used_if_memory_is_short(scene: Scene):
    """A second worker that cannot load leaves the work to the first."""
    assert _outcomes(scene.run("calm", "quiet", model="first-only", workers=2)) == ["calm", "quiet"]


def test_a_frozen_worker_does_not_block_sending(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """A worker that stops reading is killed at the deadline, however much was being sent.

    The limit for opening holds until the worker has reported another.
    """
    monkeypatch.setattr("asrlab.evaluation.runs.worker_process.OPEN_TIMEOUT_S", 2.0)
    audio = Audio(samples=np.zeros(16_000 * 10, np.float32), sample_rate=16_000)
    units = [*scene.units("calm"), WorkUnit(items=(WorkItem(key=(1, 0), audio=audio),))]
    messages: list[WorkerMessage] = []
    for message in LocalExecutor().run(ModelJob(model="faulty_engine"), units):
        messages += [message]
        if isinstance(message, ItemFinished) and message.key == (0, 0):
            os.kill(scene.workers().pop(), signal.SIGSTOP)
    assert _outcomes(messages) == ["calm", "<Audio>"]
    assert [lost.failure.kind for lost in _of(messages, ItemsLost)] == ["timeout"]


def test_a_worker_reports_limits_from_headers(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """The limit is sixty times the duration, at least 300 s, and twice that for a unit of several."""
    limits: list[float] = []
    apply_limits = worker_process.WorkerState.apply_limits

    def record_limit(worker: worker_process.WorkerState, message: TimeLimits) -> None:
        apply_limits(worker, message)
        limits.append(worker.timeout_s)

    monkeypatch.setattr(worker_process.WorkerState, "apply_limits", record_limit)
    assert _outcomes(scene.run("calm:?", "quiet:? after:?", "before")) == ["calm", "quiet", "after", "before"]
    assert limits == [300.0, 600.0]


ALONE = """
import sys
import asrlab
result = asrlab.evaluation.bench(sys.argv[1], models=["echo"])
assert len(result.models[0].utterances) == 3
print(sorted({"av", "soundfile", "soxr"} & set(sys.modules)))
"""


def test_the_process_of_a_run_never_opens_audio(small_folder: Path):
    """Only workers load a decoder: a damaged file cannot harm the run's own process."""
    done = subprocess.run([sys.executable, "-c", ALONE, str(small_folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_closing_ends_all_workers_at_once(scene: Scene):
    """After closing while one worker hangs and another is idle, no process remains."""
    units = scene.units("hang", "beside")
    with closing(LocalExecutor(workers=2).run(ModelJob(model="faulty_engine"), units)) as messages:
        done = next(message for message in messages if isinstance(message, ItemFinished))
        assert done.transcript is not None
    scene.assert_nothing_runs()


def test_an_interrupt_ends_a_worker_and_its_children(scene: Scene):
    """Ctrl-C while a worker hangs soon ends the worker and its children."""
    os.mkfifo(scene.folder / "fifo")
    child = os.open(scene.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)

    def should_stop() -> bool:
        with suppress(BlockingIOError):  # there is nothing to read yet
            if os.read(child, 100):
                raise KeyboardInterrupt
        return False

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        scene.run("parent", should_stop=should_stop)
    os.set_blocking(child, True)
    assert os.read(child, 100) == b""  # nobody holds the other end
    os.close(child)
    assert time.monotonic() - start < 30
    scene.assert_nothing_runs()


def test_stop_ends_loading_at_once(scene: Scene):
    """A stop while a model loads waits for nothing."""
    start = time.monotonic()
    assert scene.run("calm", model="hangs", should_stop=(scene.folder / "load-0").exists) == []
    assert time.monotonic() - start < 20


def test_stop_does_not_wait_for_a_unit_of_several(scene: Scene):
    """After a stop during a unit of several, outcomes are kept and the rest is neither lost nor tried."""
    messages = scene.run("calm hang calm", "calm", should_stop=(scene.folder / "hanging").exists)
    assert list(map(type, messages)) == [ModelLoaded, ItemsStarted, ItemFinished]
    scene.assert_nothing_runs()


def test_a_lost_item_is_not_retried_after_a_stop(scene: Scene):
    """After a stop while a culprit is at work, its loss is reported and nothing starts."""
    messages = scene.run("abort", "calm", should_stop=(scene.folder / "calls").exists)
    assert list(map(type, messages)) == [ModelLoaded, ItemsStarted, ItemsLost]


SCRIPT = """
import sys, threading
from pathlib import Path
from asrlab.evaluation.runs.worker_pool import LocalExecutor
from asrlab.evaluation.runs.executor import ModelJob, WorkItem, WorkUnit

def run():
    unit = WorkUnit(items=(WorkItem(key=(0, 0), audio=Path(sys.argv[1]), timeout_s=60),))
    list(LocalExecutor().run(ModelJob(model="faulty_engine"), [unit]))

if sys.argv[2] == "main":
    run()
else:
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_killed_run_leaves_no_worker(scene: Scene, plugin: Path, thread: str):
    """A worker that hangs ends with the run's process, even if that was killed."""
    (unit,) = scene.units("hang")
    command = [sys.executable, "-c", SCRIPT, str(unit.items[0].audio), thread]
    path = os.pathsep.join([str(plugin), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    start = time.monotonic()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.startswith("hanging") for line in iter(process.stderr.readline, ""))
        process.kill()
        rest = process.stderr.read()  # ends when the last process that holds it has ended
    assert time.monotonic() - start < 30
    assert rest == ""
