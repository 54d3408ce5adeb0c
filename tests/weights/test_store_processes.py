from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

import attrs
import pytest

from asrlab.weights import FolderSource, WeightsEntry, WeightsFile, WeightsStore

if TYPE_CHECKING:
    from pathlib import Path

# Fills a store from a folder; says every block and every log line, and goes on when it is told to.
CHILD = """
import json, logging, resource, sys
from pathlib import Path
from asrlab.errors import WeightsError
from asrlab.weights import FolderSource, WeightsEntry, WeightsFile, WeightsStore

order = json.loads(sys.argv[1])
say = lambda line: print(line, flush=True)

class Say(logging.Handler):
    def emit(self, record):
        say("log " + record.getMessage())

logging.getLogger("asrlab.weights").addHandler(Say())
logging.getLogger("asrlab.weights").setLevel(logging.INFO)

def progress(done, total, label):
    say(f"block {done}")
    if order["stepwise"]:
        sys.stdin.readline()

if order["limit_bytes"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit_bytes"],) * 2)
files = tuple(WeightsFile(**file) for file in order["files"])
entry = WeightsEntry(key="made/up", format="ctranslate2", files=files)
store = WeightsStore(Path(order["root"]), sources=[FolderSource(Path(order["folder"]))])
try:
    say("done " + store.ensure(entry, progress=progress).sha256)
except WeightsError as error:
    say("error " + error.message)
"""

Start = Callable[..., "Child"]


@attrs.frozen
class Child:
    """A process that fills the store, with its standard streams as pipes."""

    process: subprocess.Popen[str]

    @property
    def out(self) -> IO[str]:
        """What it says."""
        assert self.process.stdout is not None
        return self.process.stdout

    def until(self, start: str) -> str:
        """Return the next line that starts so; what comes before it goes by."""
        line = next((line for line in self.out if line.startswith(start)), None)
        assert line is not None, f"the child ended without saying {start!r}"
        return line.strip()

    def go(self, *, times: int = 1) -> None:
        """Let it go on for so many blocks."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n" * times)
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(30) == -signal.SIGKILL


@pytest.fixture
def start(store: WeightsStore, folder: Path, made_up: WeightsEntry) -> Iterator[Start]:
    """Starts processes that fill the store."""
    children: list[Child] = []

    def start_child(*, stepwise: bool = True, limit_bytes: int = 0) -> Child:
        order = {
            "root": str(store.root),
            "folder": str(folder),
            "files": [attrs.asdict(file) for file in made_up.files],
            "stepwise": stepwise,
            "limit_bytes": limit_bytes,
        }
        command = [sys.executable, "-c", CHILD, json.dumps(order)]
        pipe = subprocess.PIPE
        children.append(Child(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)))
        return children[-1]

    yield start_child
    for child in children:
        child.process.kill()
        child.process.communicate()


def test_a_process_killed_at_any_block_leaves_no_half_entry(start: Start, store: WeightsStore, made_up: WeightsEntry):
    """After kill -9 while filling, nothing is found, and the next fill works and cleans up."""
    plain = attrs.evolve(made_up, revision=None)
    for n_blocks in random.Random(7).sample(range(1, 6), 3):  # noqa: S311  # any points do
        child = start()
        child.go(times=n_blocks - 1)
        for _ in range(n_blocks):
            child.until("block")
        child.kill()
        assert store.find(plain) is None
        assert (store.root / "filling" / "made--up" / "new" / "model" / "model.bin").exists()
    assert store.ensure(plain).sha256 == made_up.main_file.sha256
    assert not any((store.root / "filling").iterdir())


def test_two_processes_at_once_fill_once(start: Start, made_up: WeightsEntry):
    """The second process waits, says so, and uses what the first one filled."""
    first = start()
    first.until("block")
    second = start()
    second.until("log waiting for another process that fetches made/up")
    first.go(times=20)
    assert first.until("done") == f"done {made_up.main_file.sha256}"
    said = second.out.read().splitlines()
    assert said == [f"done {made_up.main_file.sha256}"]  # no block, no second fill


def test_a_waiting_process_takes_over_from_a_killed_one(start: Start, made_up: WeightsEntry):
    """The lock of a dead process is free."""
    first = start()
    first.until("block")
    second = start(stepwise=False)
    second.until("log waiting")
    first.kill()
    assert second.until("done") == f"done {made_up.main_file.sha256}"


def test_a_full_disk_names_the_folder(start: Start, store: WeightsStore, made_up: WeightsEntry):
    """A write that the disk refuses is a WeightsError with the folder, and leaves nothing."""
    said = start(stepwise=False, limit_bytes=1_500_000).until("error")
    assert str(store.root) in said
    assert "File too large" in said
    assert "ASRLAB_CACHE" in said
    assert store.find(made_up) is None
    assert not any((store.root / "filling").iterdir())


def test_threads_of_one_process_fill_once(tmp_path: Path, made_up: WeightsEntry, folder: Path):
    """Two threads with a store each do not fill twice."""
    from concurrent.futures import ThreadPoolExecutor

    fills: list[str] = []

    def ensure(_: int) -> str:
        store = WeightsStore(tmp_path / "store", sources=[FolderSource(folder)])
        return store.ensure(made_up, progress=lambda _, __, label: fills.append(label)).sha256

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ensure, range(4))) == {made_up.main_file.sha256}
    assert fills.count("config.json") == 1


def test_one_entrys_leftovers_are_not_anothers(store: WeightsStore, folder: Path):
    """Cleaning up after one entry leaves an entry with a longer name alone."""
    other = store.root / "filling" / "made--up-turbo" / "new"
    other.mkdir(parents=True)
    store.ensure(WeightsEntry(key="made/up", format="ctranslate2", files=(WeightsFile(name="config.json"),)))
    assert other.exists()
    assert folder.exists()
