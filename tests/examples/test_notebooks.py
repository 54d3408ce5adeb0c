"""The notebooks: pairs that agree, and each run from top to bottom by this Python, with real weights and no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import pytest

jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOKS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NAMES = ("colab", "comparison")
KERNEL = "this-python"
ROW = re.compile("<tr>(.*?)</tr>", re.DOTALL)
CELL = re.compile("<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
CLIP_TEXT = (
    "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them."
)
# Colab's package cannot be had elsewhere; this is the one call of it, with a file name that tries to be HTML.
COLAB = """
import os
from pathlib import Path


class files:
    @staticmethod
    def upload():
        clip = Path(os.environ["CLIP"]).read_bytes()
        return {"<img src=x onerror=alert(1)>.flac": clip, "notes.txt": b"<b>no audio</b>"}
"""


@attrs.frozen
class Executed:
    """A notebook that was run.

    Attributes:
        cells: Its cells with their outputs.
    """

    cells: list[Any]

    @cached_property
    def printed(self) -> str:
        """What all cells printed on standard output."""
        outputs = [output for cell in self.cells for output in cell.get("outputs", ())]
        return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")

    @cached_property
    def tables(self) -> list[list[list[str]]]:
        """The tables that were shown: the HTML of their cells, row by row."""
        return [found for cell in self.cells for found in tables_of(cell)]


def tables_of(cell: Any) -> list[list[list[str]]]:
    """The tables that a cell shows."""
    shown = [output.data["text/html"] for output in cell.get("outputs", ()) if "text/html" in output.get("data", {})]
    return [[CELL.findall(row) for row in ROW.findall(html)] for html in shown]


type Execute = Callable[[str], Any]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Jupyter whose only kernel is the Python that runs these tests."""
    folder = tmp_path_factory.mktemp("jupyter")
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": KERNEL,
        "language": "python",
    }
    (folder / "kernels" / KERNEL).mkdir(parents=True)
    (folder / "kernels" / KERNEL / "kernel.json").write_text(json.dumps(spec))
    return folder


@pytest.fixture
def started(kernels: Path, weights_cache: Path, tmp_path: Path, clips: tuple[Path, ...]) -> Execute:
    """Begins a notebook in an empty folder: a context with the client and the notebook."""
    own = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    environment = (
        os.environ
        | {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "CLIP": str(clips[1])}
        | {name: str(kernels / folder) for name, folder in own.items()}
    )

    @contextmanager
    def start(name: str) -> Iterator[tuple[Any, Any]]:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        with pytest.MonkeyPatch.context() as patch:
            for variable in ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR"):
                patch.setenv(variable, str(kernels))
            resources = {"metadata": {"path": str(tmp_path)}}
            client = nbclient.NotebookClient(notebook, kernel_name=KERNEL, timeout=120, resources=resources)
            with client.setup_kernel(env=environment):
                [output] = run_more(client, notebook, "import sys; print(sys.executable)").outputs
                assert output.text.strip() == sys.executable
                yield client, notebook

    return start


def run_all(client: Any, notebook: Any) -> Executed:
    """Run every cell; an exception in one fails the test."""
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)
    return Executed(notebook.cells)


def run_more(client: Any, notebook: Any, source: str) -> Any:
    """Run one more cell, and give it with its outputs."""
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    return client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)


def source_of(notebook: Any, words: str) -> str:
    """The one cell of code that has these words."""
    [source] = [cell.source for cell in notebook.cells if cell.cell_type == "code" and words in cell.source]
    return str(source)


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_agrees(name: str, tmp_path: Path):
    """``jupytext --sync`` has nothing to change in either file, whichever was saved last."""
    pair = [shutil.copy(NOTEBOOKS / f"{name}{suffix}", tmp_path) for suffix in (".py", ".ipynb")]
    for newest in pair:
        Path(newest).touch()
        command = [sys.executable, "-m", "jupytext", "--sync", newest]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)})
        for path in map(Path, pair):
            assert path.read_text(encoding="utf-8") == (NOTEBOOKS / path.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_valid_and_kept_without_outputs(name: str):
    """It has Jupyter's format, and no cell has an output or a number, which would tell of somebody's machine."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)
    assert set(notebook.metadata) == {"jupytext", "kernelspec"}


def test_every_notebook_is_tested():
    """The pairs in the folder are those of these tests."""
    assert {path.name for path in NOTEBOOKS.iterdir() if path.suffix in (".py", ".ipynb")} == {
        f"{name}{suffix}" for name in NAMES for suffix in (".py", ".ipynb")
    }


def test_the_colab_notebook_transcribes_and_compares(started: Execute, tmp_path: Path):
    """The device and its reason, timed words, two models with counts and texts; then a file as Colab uploads it."""
    with started("colab") as (client, notebook):
        done = run_all(client, notebook)
        assert re.search(r"^asked for auto, uses (cpu|cuda:0) in \w+: best of ", done.printed, re.MULTILINE)
        assert CLIP_TEXT in done.printed
        words, files, models, texts = done.tables
        assert [row[2] for row in words[1:]] == CLIP_TEXT.split()
        assert files == [["file", "text"]]
        assert "not on Colab" in done.printed
        check_models(models)
        assert [row[1:] for row in texts[2:4]] == [
            ["faster-whisper/base", CLIP_TEXT],
            ["faster-whisper/tiny.en", texts[3][2]],
        ]
        assert len(texts) == 1 + 5 * 3
        assert done.printed.count("too few to tell") == 2
        check_uploads(client, notebook, tmp_path)


def check_models(table: list[list[str]]) -> None:
    """Both models have few errors in the 70 words, and none failed."""
    assert [row[0] for row in table[1:]] == ["faster-whisper/base", "faster-whisper/tiny.en"]
    assert all(re.fullmatch(r"[0-4]/70", row[3]) and float(row[4]) > 0 and row[6] == "0" for row in table[1:])


def check_uploads(client: Any, notebook: Any, folder: Path) -> None:
    """The cell for files, run again where ``google.colab`` is there: a text, a failure, and no HTML of theirs."""
    (folder / "google" / "colab").mkdir(parents=True)
    (folder / "google" / "colab" / "__init__.py").write_text(COLAB)
    run_more(client, notebook, "importlib.invalidate_caches(); transcriber = asrlab.load('faster-whisper/base')")
    [[_, good, bad]] = tables_of(run_more(client, notebook, source_of(notebook, "google.colab")))
    assert good == ["&lt;img src=x onerror=alert(1)&gt;.flac", "He was not an ill-disposed young man."]
    assert bad[0] == "notes.txt"
    assert bad[1].startswith("failed: ")
    [[_, hostile]] = tables_of(run_more(client, notebook, "table(['<i>'], [['<script>alert(1)</script>']])"))
    assert hostile == ["&lt;script&gt;alert(1)&lt;/script&gt;"]


def test_the_comparison_notebook_ends_in_a_verified_document(started: Execute, tmp_path: Path, clips: tuple[Path, ...]):
    """Runs, verdicts, marked differences, a report, a verified document; then two number formats on more recordings."""
    with started("comparison") as (client, notebook):
        done = run_all(client, notebook)
        check_differences(*done.tables)
        check_files(tmp_path / "comparison", done.printed)
        check_intervals(client, notebook, clips, tmp_path)


def check_differences(differences: list[list[str]], worst: list[list[str]]) -> None:
    """Clips of one speaker give no interval; what the models got wrong is marked, and nothing else."""
    assert [row[0] for row in differences[1:]] == ["faster-whisper/tiny.en"] * 2
    assert [row[3:] for row in differences[1:]] == [["", "", "too few to tell"]] * 2
    assert sum(int(row[2]) for row in worst[1:]) > 0
    assert all(("<del>" in row[3] or "<ins>" in row[3]) == (row[2] != "0") for row in worst[1:])


def check_files(folder: Path, printed: str) -> None:
    """The report is a page; the document has the figures of both records, and verify tells it from the boast."""
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")
    document = (folder / "results.md").read_text(encoding="utf-8")
    assert document.count("figure=words -->70<!-- asrlab:end --> words") == 2
    assert all(f"| {model} | auto → c" in document for model in ("faster-whisper/base", "faster-whisper/tiny.en"))
    assert "exit code of the document: 0" in printed
    assert "exit code of the boast: 1" in printed


def check_intervals(client: Any, notebook: Any, clips: tuple[Path, ...], folder: Path) -> None:
    """With enough recordings, whose speakers are not known, each difference has its interval and p-value."""
    (folder / "talks").mkdir()
    for number in range(6):
        shutil.copy(clips[number % 2 * 3 + 1], folder / "talks" / f"{number}.flac")
        (folder / "talks" / f"{number}.txt").write_text("he was not an ill disposed young man", encoding="utf-8")
    formats = {name: ("faster-whisper/tiny.en", name) for name in ("int8", "float32")}
    run_more(client, notebook, f"DATA, SYSTEMS, FOLDER = 'talks', {formats}, 'formats'")
    run_more(client, notebook, source_of(notebook, "asrlab.evaluation.bench("))
    [[_, *rows]] = tables_of(run_more(client, notebook, source_of(notebook, "def wer_rows")))
    assert len(rows) == 2
    for candidate, baseline, _, interval, p_value, verdict in rows:
        assert ("float32" in candidate, "int8" in baseline) == (True, True)
        assert re.fullmatch(r"[-+.\dx]+ to [-+.\dx]+", interval)
        assert 0 <= float(p_value) <= 1
        assert verdict != "too few to tell"
