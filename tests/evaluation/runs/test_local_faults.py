"""Whatever a worker does, only the culprit is lost, and no process stays."""

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
from asrlab.evaluation.runs.executor import (
    ItemFinished,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    TimeLimits,
    WorkerMessage,
    WorkerReady,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.local import LocalExecutor, memory
from asrlab.evaluation.runs.local.worker_process import WorkerState
from asrlab.evaluation.runs.records import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TEMPERS = Path(__file__).with_name("tempers.py")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """A folder with an installed engine that does what the names of its audio files say."""
    return write_distribution(tmp_path_factory.mktemp("plugin"), "tempers", source=TEMPERS.read_text(encoding="utf-8"))


@attrs.frozen
class Scene:
    """A folder where the engine leaves its traces, and runs in it.

    Attributes:
        folder: It.
    """

    folder: Path

    def units(self, *given: str) -> list[WorkUnit]:
        """Each of *given* is a unit, the names in it its items.

        ``name:1.5`` gives one 1.5 seconds, not 30, and ``name:?`` leaves its limit to the worker.
        """
        numbers = iter(range(100))
        return [WorkUnit(items=tuple(self._item(next(numbers), *name.split(":")) for name in u.split())) for u in given]

    def _item(self, number: int, name: str, seconds: str = "30") -> WorkItem:
        path = self.folder / f"{name}.wav"
        path.write_bytes(WAV)
        return WorkItem(key=(number, 0), audio=path, seconds=float(seconds) if seconds != "?" else None)

    def run(self, *given: str, model: str = "calm", limit: int | None = None, **more: Any) -> list[WorkerMessage]:
        """All that is said; *more* is for the executor and its run."""
        sizes = {name: more.pop(name) for name in ("workers", "load_seconds") if name in more}
        job = ModelJob(model=f"tempers/{model}", memory_limit_bytes=limit)
        return list(LocalExecutor(**sizes).run(job, self.units(*given), **more))

    def calls(self) -> list[str]:
        """What workers were asked for, in order."""
        return [line.split()[1] for line in (self.folder / "calls").read_text().splitlines()]

    def workers(self) -> set[int]:
        """The ids of those that were asked."""
        return {int(line.split()[0]) for line in (self.folder / "calls").read_text().splitlines()}

    def assert_nothing_runs(self) -> None:
        """None of them is left, not even as a zombie."""
        assert self.workers()
        for pid in self.workers():
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


WAV = b"RIFF" + (36 + 3200).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
    "10000000 0100 0100 803e0000 007d0000 0200 1000"
) + b"data" + (3200).to_bytes(4, "little") + b"\1\2" * 1600  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """An empty folder, and the engine installed."""
    monkeypatch.syspath_prepend(plugin)
    monkeypatch.setenv("TEMPERS", str(tmp_path))
    return Scene(tmp_path)


@attrs.frozen
class Havoc:
    """A run in which much goes wrong.

    Attributes:
        scene: Where it was.
        told: All that was said.
    """

    scene: Scene
    told: list[WorkerMessage]

    def lost(self, number: int) -> list[ItemsLost]:
        """Those that an item was in."""
        return [lost for lost in _of(self.told, ItemsLost) if (number, 0) in lost.keys]


@pytest.fixture(scope="module")
def havoc(tmp_path_factory: pytest.TempPathFactory, plugin: Path) -> Havoc:
    """Units of three, of which the second costs the worker; and one alone that does so once."""
    with pytest.MonkeyPatch.context() as patch:
        scene = Scene(tmp_path_factory.mktemp("havoc"))
        patch.syspath_prepend(plugin)
        patch.setenv("TEMPERS", str(scene.folder))
        units = (*(f"before {temper} after" for temper in CULPRITS), "before:0.3 hang:0.3 after:2", "value once")
        return Havoc(scene, scene.run(*units, limit=300 * 2**20))


CULPRITS = ("abort", "exit", "fork", "memory", "eat")


def _outcomes(messages: Iterable[WorkerMessage]) -> list[str]:
    """By key, the text or the kind of failure."""
    done = sorted((message for message in messages if isinstance(message, ItemFinished)), key=lambda done: done.key)
    assert [message.key[0] for message in done] == list(range(len(done)))  # each once
    return [d.transcript.text if d.transcript else d.failure.kind for d in done]  # type: ignore[union-attr]


def _of[Kind](messages: Iterable[WorkerMessage], kind: type[Kind]) -> list[Kind]:
    return [message for message in messages if isinstance(message, kind)]


def test_only_culprits_are_lost(havoc: Havoc):
    """Each innocent has its text, before and after a culprit; each culprit what became of its worker."""
    kinds = ["crashed"] * 3 + ["oom"] * 2 + ["timeout"]
    expected = [outcome for kind in kinds for outcome in ("before", kind, "after")]
    assert _outcomes(havoc.told) == [*expected, "ValueError", "once"]
    havoc.scene.assert_nothing_runs()


@pytest.mark.parametrize(
    ("temper", "message"),
    [
        ("abort", "died of SIGABRT while transcribing this utterance"),
        ("exit", "died of exit status 7"),
        ("fork", "died of SIGABRT"),
        ("memory", "MemoryError: no room"),
        ("eat", "MiB of memory, above the limit of 300 MiB, while transcribing this utterance"),
        ("hang", "killed after 0.3 s without an end while transcribing this utterance"),
    ],
)
def test_a_culprit_is_given_up_the_second_time_alone(havoc: Havoc, temper: str, message: str):
    """The first time what has no answer is lost with it, the second time it alone; then it is told why."""
    number = 1 + 3 * (*CULPRITS, "hang").index(temper)
    first, second = havoc.lost(number)
    assert (first.keys, second.keys) == (((number, 0), (number + 1, 0)), ((number, 0),))
    assert message in second.failure.message
    begun = [begun.keys for begun in _of(havoc.told, ItemsStarted) if (number, 0) in begun.keys]
    assert begun == [tuple((number + n, 0) for n in (-1, 0, 1)), ((number, 0),)]
    (done,) = (done for done in _of(havoc.told, ItemFinished) if done.key == (number, 0))
    assert done.failure == second.failure


def test_what_was_lost_is_tried_after_everything_else(havoc: Havoc):
    """Second tries come at the end, those after a lack of memory last; a lost worker has one successor."""
    second = [*CULPRITS[:3], "hang", "once", *CULPRITS[3:]]
    assert [name for name in havoc.scene.calls() if name != "after"][-len(second) :] == second
    assert len(_of(havoc.told, WorkerReady)) == len(_of(havoc.told, ItemsLost)) + 1  # "after" comes last


def test_an_ordinary_error_is_not_tried_again(havoc: Havoc):
    """An exception that has nothing to do with memory is the outcome, and costs nothing."""
    assert havoc.scene.calls().count("value") == 1
    assert (havoc.scene.folder / "released").exists()  # the last worker was let go, not killed


def test_a_kernel_that_counts_a_kill_makes_it_oom(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Death by SIGKILL is lack of memory where the kernel's count of such kills rose meanwhile, and only then.

    A loss in an earlier session of the run counts: neither has a second try.
    """
    (scene.folder / "vmstat").write_text("pgfault 7\noom_kill 3\n")
    monkeypatch.setattr(memory, "_CGROUPS", scene.folder)
    monkeypatch.setattr(memory, "_PROC", scene.folder)
    units = [WorkUnit(items=(attrs.evolve(u.items[0], lost_before=1),)) for u in scene.units("oomkill", "kill")]
    told = list(LocalExecutor().run(ModelJob(model="tempers"), units))
    assert _outcomes(told) == ["oom", "crashed"]
    assert "the kernel killed the worker process for want of memory" in _of(told, ItemsLost)[0].failure.message
    assert "SIGKILL while transcribing this utterance (killed by hand" in _of(told, ItemsLost)[1].failure.message
    assert scene.calls() == ["oomkill", "kill"]
    assert len(_of(told, WorkerReady)) == 2  # nothing is left for a third


def test_two_workers_run_side_by_side(scene: Scene):
    """Two utterances that wait for each other both end."""
    told = scene.run("left", "right", workers=2)
    assert _outcomes(told) == ["left", "right"]
    assert len(scene.workers()) == 2
    scene.assert_nothing_runs()


def test_a_warm_up_never_counts_against_an_utterance(scene: Scene, caplog: pytest.LogCaptureFixture):
    """Warm-ups after which a worker must be replaced are left out by the next one, and the log says so."""
    told = scene.run("calm", "quiet", warmups=scene.units("first", "abort", "last"))
    assert _outcomes(told) == ["calm", "quiet"]
    assert [type(message).__name__ for message in told] == ["Hello", "Hello", *["Begun", "Done"] * 2]
    assert scene.calls() == ["first", "abort", "calm", "quiet"]
    assert "its place is taken without warm-ups" in caplog.text


def test_each_worker_warms_up(scene: Scene):
    """A worker in the place of another one warms up as the first did; an error in a warm-up costs nothing."""
    told = scene.run("once", "calm", warmups=scene.units("value", "warm"))
    assert scene.calls() == ["value", "warm", "once", "value", "warm", "calm", "once"]
    assert _outcomes(told) == ["once", "calm"]


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("hangs", "timeout", "while loading the model"),
        ("raises", "EngineUnavailableError", "no weights in the box"),
        ("aborts", "crashed", "died of SIGABRT while loading the model"),
    ],
)
def test_a_model_that_does_not_load_is_a_failure_alone(scene: Scene, model: str, kind: str, message: str):
    """Loading that hangs, raises or aborts is told once, and nothing is begun."""
    (failure,) = scene.run("calm", "quiet", model=model, load_seconds=1.5 if model == "hangs" else 30)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert message in failure.message


def test_a_model_above_the_limit_does_not_load(scene: Scene):
    """A worker that holds too much with the model alone is the model's failure, not that of each utterance."""
    (failure,) = scene.run("calm", limit=2**20)
    assert isinstance(failure, Failure)
    assert failure.kind == "oom"
    assert "while loading the model" in failure.message


def test_a_model_that_once_does_not_load_again_is_tried_once_more(scene: Scene):
    """A worker's successor that does not load has a successor itself."""
    assert _outcomes(scene.run("once", "calm", model="second-raises")) == ["once", "calm"]


def test_a_model_that_does_not_load_again_fails_what_is_left(scene: Scene):
    """Where none can take a worker's place, each utterance left has that failure, and it is the last word."""
    told = scene.run("calm", "once", "quiet", "after", model="first-only")
    assert _outcomes(told) == ["calm", *["EngineUnavailableError"] * 3]
    assert isinstance(told[-1], Failure)


def test_fewer_workers_do_where_memory_is_for_fewer(scene: Scene):
    """A second worker that cannot load leaves the work to the first."""
    assert _outcomes(scene.run("calm", "quiet", model="first-only", workers=2)) == ["calm", "quiet"]


def test_a_frozen_worker_does_not_block_sending(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """A worker that stops reading is killed at the deadline, however much was being sent to it.

    The limit for opening holds until the worker has reported another.
    """
    monkeypatch.setattr("asrlab.evaluation.runs.local.worker_process.OPENING_S", 2.0)
    audio = Audio(samples=np.zeros(16_000 * 10, np.float32), sample_rate=16_000)
    units = [*scene.units("calm"), WorkUnit(items=(WorkItem(key=(1, 0), audio=audio),))]
    told: list[WorkerMessage] = []
    for message in LocalExecutor().run(ModelJob(model="tempers"), units):
        told += [message]
        if isinstance(message, ItemFinished) and message.key == (0, 0):
            os.kill(scene.workers().pop(), signal.SIGSTOP)
    assert _outcomes(told) == ["calm", "<Audio>"]
    assert [lost.failure.kind for lost in _of(told, ItemsLost)] == ["timeout"]


def test_a_worker_reports_the_limits_that_only_a_header_tells(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Sixty times the audio, 300 s at least, and twice that for a unit of several."""
    limits: list[float] = []
    take = WorkerState.limit

    def limit(hand: WorkerState, message: TimeLimits) -> None:
        take(hand, message)
        limits.append(hand.seconds)

    monkeypatch.setattr(WorkerState, "limit", limit)
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
    """Only workers load a decoder: a damaged file costs the run's own process nothing."""
    done = subprocess.run([sys.executable, "-c", ALONE, str(small_folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_closing_ends_all_workers_at_once(scene: Scene):
    """Closed while one worker hangs and another is free, nothing runs any more."""
    units = scene.units("hang", "beside")
    with closing(LocalExecutor(workers=2).run(ModelJob(model="tempers"), units)) as messages:
        done = next(message for message in messages if isinstance(message, ItemFinished))
        assert done.transcript is not None
    scene.assert_nothing_runs()


def test_an_interrupt_ends_a_worker_and_its_children(scene: Scene):
    """Ctrl-C while a worker hangs ends it, and what it has started, soon."""
    os.mkfifo(scene.folder / "fifo")
    child = os.open(scene.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)

    def stop() -> bool:
        with suppress(BlockingIOError):  # there is nothing to read yet
            if os.read(child, 100):
                raise KeyboardInterrupt
        return False

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        scene.run("parent", stop=stop)
    os.set_blocking(child, True)
    assert os.read(child, 100) == b""  # nobody holds the other end
    os.close(child)
    assert time.monotonic() - start < 30
    scene.assert_nothing_runs()


def test_stop_ends_loading_at_once(scene: Scene):
    """Told to stop while a model loads, nothing is waited for."""
    start = time.monotonic()
    assert scene.run("calm", model="hangs", stop=(scene.folder / "load-0").exists) == []
    assert time.monotonic() - start < 20


def test_stop_does_not_wait_for_a_unit_of_several(scene: Scene):
    """Told to stop during a unit of several, what has an outcome keeps it and the rest is neither lost nor tried."""
    told = scene.run("calm hang calm", "calm", stop=(scene.folder / "hanging").exists)
    assert [type(message).__name__ for message in told] == ["Hello", "Begun", "Done"]
    scene.assert_nothing_runs()


def test_what_was_lost_is_not_tried_after_stop(scene: Scene):
    """Told to stop while a culprit is at work, its loss is told and nothing is begun."""
    told = scene.run("abort", "calm", stop=(scene.folder / "calls").exists)
    assert [type(message).__name__ for message in told] == ["Hello", "Begun", "Lost"]


SCRIPT = """
import sys, threading
from pathlib import Path
from asrlab.evaluation.runs.local import LocalExecutor
from asrlab.evaluation.runs.executor import Item, Job, Unit

def run():
    unit = Unit(items=(Item(key=(0, 0), audio=Path(sys.argv[1]), seconds=60),))
    list(LocalExecutor().run(Job(model="tempers"), [unit]))

if sys.argv[2] == "main":
    run()
else:
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_killed_run_leaves_no_worker(scene: Scene, plugin: Path, thread: str):
    """A worker that hangs ends with the run's process, though that was killed and could not end it."""
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
