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

# Fills a store from a folder, prints each block and log line, and waits for a line of input after each block.
CHILD = """
import json, logging, resource, sys
from pathlib import Path
from asrlab.errors import WeightsError
from asrlab.weights import FolderSource, WeightsEntry, WeightsFile, WeightsStore

config = json.loads(sys.argv[1])
write = lambda line: print(line, flush=True)

class OutputHandler(logging.Handler):
    def emit(self, record):
        write("log " + record.getMessage())

logging.getLogger("asrlab.weights").addHandler(OutputHandler())
logging.getLogger("asrlab.weights").setLevel(logging.INFO)

def progress(done, total, label):
    write(f"block {done}")
    if config["stepwise"]:
        sys.stdin.readline()

if config["limit_bytes"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (config["limit_bytes"],) * 2)
files = tuple(WeightsFile(**file) for file in config["files"])
entry = WeightsEntry(key="fake/model", format="ctranslate2", files=files)
store = WeightsStore(Path(config["root"]), sources=[FolderSource(Path(config["folder"]))])
try:
    write("done " + store.ensure(entry, progress=progress).sha256)
except WeightsError as error:
    write("error " + error.message)
"""

Start = Callable[..., "Child"]


@attrs.frozen
class Child:
    """Child process that fills the store, with its standard streams as pipes."""

    process: subprocess.Popen[str]

    @property
    def stdout(self) -> IO[str]:
        """Standard output of the process."""
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_for_line(self, start: str) -> str:
        """Return the next line that starts with *start*, and skip the lines before it."""
        line = next((line for line in self.stdout if line.startswith(start)), None)
        assert line is not None, f"the child exited without the line {start!r}"
        return line.strip()

    def continue_blocks(self, *, times: int = 1) -> None:
        """Let the process continue for *times* blocks."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n" * times)
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(30) == -signal.SIGKILL


@pytest.fixture
def start(store: WeightsStore, folder: Path, fake_entry: WeightsEntry) -> Iterator[Start]:
    """Return a function that starts processes that fill the store."""
    children: list[Child] = []

    def start_process(*, stepwise: bool = True, limit_bytes: int = 0) -> Child:
        config = {
            "root": str(store.root),
            "folder": str(folder),
            "files": [attrs.asdict(file) for file in fake_entry.files],
            "stepwise": stepwise,
            "limit_bytes": limit_bytes,
        }
        command = [sys.executable, "-c", CHILD, json.dumps(config)]
        pipe = subprocess.PIPE
        children.append(Child(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)))
        return children[-1]

    yield start_process
    for child in children:
        child.process.kill()
        child.process.communicate()


def test_a_killed_process_leaves_no_partial_entry(start: Start, store: WeightsStore, fake_entry: WeightsEntry):
    """After a killed fill, no weights are found, and the next fill works and removes the temporary files."""
    plain = attrs.evolve(fake_entry, revision=None)
    for n_blocks in random.Random(7).sample(range(1, 6), 3):  # noqa: S311  # any block is suitable
        child = start()
        child.continue_blocks(times=n_blocks - 1)
        for _ in range(n_blocks):
            child.wait_for_line("block")
        child.kill()
        assert store.find(plain) is None
        assert (store.root / "filling" / "fake--model" / "new" / "model" / "model.bin").exists()
    assert store.ensure(plain).sha256 == fake_entry.main_file.sha256
    assert not any((store.root / "filling").iterdir())


def test_two_processes_fill_the_store_once(start: Start, fake_entry: WeightsEntry):
    """The second process waits, logs a message, and uses the weights of the first process."""
    first = start()
    first.wait_for_line("block")
    second = start()
    second.wait_for_line("log waiting for another process that fetches fake/model")
    first.continue_blocks(times=20)
    assert first.wait_for_line("done") == f"done {fake_entry.main_file.sha256}"
    output = second.stdout.read().splitlines()
    assert output == [f"done {fake_entry.main_file.sha256}"]  # no block, so there was no second fill


def test_a_waiting_process_replaces_a_killed_one(start: Start, fake_entry: WeightsEntry):
    """The lock of a killed process is free."""
    first = start()
    first.wait_for_line("block")
    second = start(stepwise=False)
    second.wait_for_line("log waiting")
    first.kill()
    assert second.wait_for_line("done") == f"done {fake_entry.main_file.sha256}"


def test_a_full_disk_names_the_folder(start: Start, store: WeightsStore, fake_entry: WeightsEntry):
    """A failed write raises a WeightsError that names the folder, and leaves no files."""
    output = start(stepwise=False, limit_bytes=1_500_000).wait_for_line("error")
    assert str(store.root) in output
    assert "File too large" in output
    assert "ASRLAB_CACHE" in output
    assert store.find(fake_entry) is None
    assert not any((store.root / "filling").iterdir())


def test_threads_of_a_process_fill_the_store_once(tmp_path: Path, fake_entry: WeightsEntry, folder: Path):
    """Four threads with a store each fill the folder once."""
    from concurrent.futures import ThreadPoolExecutor

    fills: list[str] = []

    def ensure(_: int) -> str:
        store = WeightsStore(tmp_path / "store", sources=[FolderSource(folder)])
        return store.ensure(fake_entry, progress=lambda _, __, label: fills.append(label)).sha256

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ensure, range(4))) == {fake_entry.main_file.sha256}
    assert fills.count("config.json") == 1


def test_cleanup_spares_other_entries(store: WeightsStore, folder: Path):
    """Cleaning up after a fill does not remove the files of an entry whose key has the same prefix."""
    other_folder = store.root / "filling" / "fake--model-turbo" / "new"
    other_folder.mkdir(parents=True)
    store.ensure(WeightsEntry(key="fake/model", format="ctranslate2", files=(WeightsFile(name="config.json"),)))
    assert other_folder.exists()
    assert folder.exists()
