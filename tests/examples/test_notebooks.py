"""The notebooks: their pairs of files are in sync, and each runs from top to bottom with real weights, offline."""

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
# Colab's package is not published; this stands in for the call that the notebook uses, with HTML as a file name.
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
    """An executed notebook.

    Attributes:
        cells: The cells of the notebook with their outputs.
    """

    cells: list[Any]

    @cached_property
    def printed(self) -> str:
        """The standard output of all cells."""
        outputs = [output for cell in self.cells for output in cell.get("outputs", ())]
        return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")

    @cached_property
    def tables(self) -> list[list[list[str]]]:
        """The tables in the outputs: the HTML of each table's cells, by row."""
        return [table for cell in self.cells for table in parse_tables(cell)]


def parse_tables(cell: Any) -> list[list[list[str]]]:
    """Return the tables in the outputs of a cell."""
    pages = [output.data["text/html"] for output in cell.get("outputs", ()) if "text/html" in output.get("data", {})]
    return [[CELL.findall(row) for row in ROW.findall(html)] for html in pages]


type Execute = Callable[[str], Any]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a folder for Jupyter whose only kernel is the Python of these tests."""
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
def start_notebook(kernels: Path, weights_cache: Path, tmp_path: Path, clips: tuple[Path, ...]) -> Execute:
    """Return a context manager that starts a notebook in an empty folder and yields its client and the notebook."""
    folders = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    environment = (
        os.environ
        | {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "CLIP": str(clips[4])}
        | {name: str(kernels / folder) for name, folder in folders.items()}
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
    """Run every cell, and raise the exception of a cell that fails."""
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)
    return Executed(notebook.cells)


def run_more(client: Any, notebook: Any, source: str) -> Any:
    """Run a further cell, and return the cell with its outputs."""
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    return client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)


def find_source(notebook: Any, words: str) -> str:
    """Return the source of the only code cell that contains *words*."""
    [source] = [cell.source for cell in notebook.cells if cell.cell_type == "code" and words in cell.source]
    return str(source)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_notebook_are_in_sync(name: str, tmp_path: Path):
    """``jupytext --sync`` changes neither file of a notebook, whichever was saved last."""
    pair = [shutil.copy(NOTEBOOKS / f"{name}{suffix}", tmp_path) for suffix in (".py", ".ipynb")]
    for newest in pair:
        Path(newest).touch()
        command = [sys.executable, "-m", "jupytext", "--sync", newest]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)})
        for path in map(Path, pair):
            assert path.read_text(encoding="utf-8") == (NOTEBOOKS / path.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_valid_and_has_no_outputs(name: str):
    """A notebook has Jupyter's format, and no cell has an output or an execution count."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)
    assert set(notebook.metadata) == {"jupytext", "kernelspec"}


def test_every_notebook_is_tested():
    """The folder has no other notebooks than those of these tests."""
    assert {path.name for path in NOTEBOOKS.iterdir() if path.suffix in (".py", ".ipynb")} == {
        f"{name}{suffix}" for name in NAMES for suffix in (".py", ".ipynb")
    }


def test_the_colab_notebook_transcribes_and_compares(start_notebook: Execute, tmp_path: Path):
    """The Colab notebook shows the device, timed words, a comparison of two models, and the text of an upload."""
    with start_notebook("colab") as (client, notebook):
        result = run_all(client, notebook)
        assert re.search(r"^asked for auto, uses (cpu|cuda:0) in \w+: best of ", result.printed, re.MULTILINE)
        assert CLIP_TEXT in result.printed
        words, files, models, texts = result.tables
        assert [row[2] for row in words[1:]] == CLIP_TEXT.split()
        assert files == [["file", "text"]]
        assert "not on Colab" in result.printed
        assert_models(models)
        assert texts[0][3] == CLIP_TEXT
        assert all(len(row) == 5 and all(row) for row in texts)
        assert len(texts) == 5
        assert result.printed.count("too few to tell") == 2
        assert_uploads(client, notebook, tmp_path)


def assert_models(table: list[list[str]]) -> None:
    """Assert that both models have few errors in 70 words, and no failures."""
    assert [row[0] for row in table[1:]] == ["faster-whisper/base", "faster-whisper/tiny.en"]
    assert all(re.fullmatch(r"[0-4]/70", row[5]) and float(row[6].rstrip("x")) > 0 for row in table[1:])
    assert [row[3] for row in table] == ["failed", "0", "0"]


def assert_uploads(client: Any, notebook: Any, folder: Path) -> None:
    """Assert that the cell for files, with ``google.colab``, shows a text and a failure and escapes HTML."""
    (folder / "google" / "colab").mkdir(parents=True)
    (folder / "google" / "colab" / "__init__.py").write_text(COLAB)
    run_more(client, notebook, "importlib.invalidate_caches(); transcriber = asrlab.load('faster-whisper/base')")
    [[_, good, bad]] = parse_tables(run_more(client, notebook, find_source(notebook, "google.colab")))
    assert good == ["&lt;img src=x onerror=alert(1)&gt;.flac", "He might even have been made amiable himself."]
    assert bad[0] == "notes.txt"
    assert bad[1].startswith("failed: ")
    [[_, hostile]] = parse_tables(run_more(client, notebook, "table(['<i>'], [['<script>alert(1)</script>']])"))
    assert hostile == ["&lt;script&gt;alert(1)&lt;/script&gt;"]


def test_the_comparison_notebook_ends_in_a_verified_document(
    start_notebook: Execute, tmp_path: Path, clips: tuple[Path, ...]
):
    """The comparison notebook has differences, a report, a verified document, and intervals with more recordings."""
    with start_notebook("comparison") as (client, notebook):
        result = run_all(client, notebook)
        assert_differences(*result.tables)
        assert_files(tmp_path / "comparison", result.printed)
        assert_intervals(client, notebook, clips, tmp_path)


def assert_differences(differences: list[list[str]], worst: list[list[str]]) -> None:
    """Assert that clips of one speaker give no interval, and that only errors are marked."""
    assert [row[0] for row in differences[1:]] == ["faster-whisper/tiny.en"] * 2
    assert [row[3:] for row in differences[1:]] == [["", "", "too few to tell"]] * 2
    assert sum(int(row[2]) for row in worst[1:]) > 0
    assert all(("<del>" in row[3] or "<ins>" in row[3]) == (row[2] != "0") for row in worst[1:])


def assert_files(folder: Path, printed: str) -> None:
    """Assert that the report is HTML, the document has the figures of both runs, and only the boast fails verify."""
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")
    document = (folder / "results.md").read_text(encoding="utf-8")
    assert document.count("figure=words -->70<!-- asrlab:end --> words") == 2
    assert all(f"| {model} | auto → c" in document for model in ("faster-whisper/base", "faster-whisper/tiny.en"))
    assert "exit code of the document: 0" in printed
    assert "exit code of the boast: 1" in printed


def assert_intervals(client: Any, notebook: Any, clips: tuple[Path, ...], folder: Path) -> None:
    """Assert that with enough recordings of unknown speakers each difference has an interval and a p-value."""
    (folder / "talks").mkdir()
    for number in range(6):
        shutil.copy(clips[number % 2 * 3 + 1], folder / "talks" / f"{number}.flac")
        (folder / "talks" / f"{number}.txt").write_text("he was not an ill disposed young man", encoding="utf-8")
    formats = {name: ("faster-whisper/tiny.en", name) for name in ("int8", "float32")}
    run_more(client, notebook, f"DATA, SYSTEMS, FOLDER = 'talks', {formats}, 'formats'")
    run_more(client, notebook, find_source(notebook, "asrlab.evaluation.bench("))
    [[_, *rows]] = parse_tables(run_more(client, notebook, find_source(notebook, "def wer_rows")))
    assert len(rows) == 2
    for candidate, baseline, _, interval, p_value, verdict in rows:
        assert ("float32" in candidate, "int8" in baseline) == (True, True)
        assert re.fullmatch(r"[-+.\dx]+ to [-+.\dx]+", interval)
        assert 0 <= float(p_value) <= 1
        assert verdict != "too few to tell"
