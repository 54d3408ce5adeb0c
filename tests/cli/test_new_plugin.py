"""``asrlab new-plugin`` writes a package that works, and writes over nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asrlab.installation import install_command
from asrlab.testing.conformance.session import run_all_checks
from asrlab.testing.conformance.target import Target


@pytest.fixture(scope="module")
def written(asrlab_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The skeleton of a plugin."""
    folder = tmp_path_factory.mktemp("new") / "asrlab-morse-code"
    assert asrlab_cli("new-plugin", "asrlab-morse-code", "--folder", folder).code == 0
    return folder


def test_it_prints_what_it_wrote_and_what_to_do_next(asrlab_cli: Any, tmp_path: Path) -> None:
    """The files come on standard output, the next steps on standard error; the folder is named after the plugin."""
    ran = asrlab_cli("new-plugin", "asrlab-morse", cwd=tmp_path)
    assert ran.code == 0
    files = [Path(line) for line in ran.out.splitlines()]
    assert Path("asrlab-morse/src/asrlab_morse/recognizer.py") in files
    assert all((tmp_path / file).is_file() for file in files)
    assert f"cd asrlab-morse\n  {install_command('-e', '.')}\n  pytest" in ran.err
    assert "write your engine in src/asrlab_morse/recognizer.py" in ran.err


def test_json_names_the_parts(asrlab_cli: Any, tmp_path: Path) -> None:
    """--json gives the folder, the engine, the package and the files."""
    made = asrlab_cli("new-plugin", "my-engine", "--json", cwd=tmp_path).json
    assert (made["folder"], made["engine"], made["package"]) == ("my-engine", "my-engine", "my_engine")
    assert "my-engine/pyproject.toml" in made["files"]


def test_a_folder_that_is_there_is_left_alone(asrlab_cli: Any, tmp_path: Path) -> None:
    """An existing folder is not overwritten, and the message has the cure."""
    (tmp_path / "my-engine").mkdir()
    ran = asrlab_cli("new-plugin", "my-engine", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "my-engine exists already; choose another folder with --folder" in ran.err
    assert list((tmp_path / "my-engine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Engine", "'My Engine' cannot name a plugin; use lower case words separated by hyphens"),
        ("../engine", "'../engine' cannot name a plugin"),
        ("json", "'json' would hide the Python module 'json'"),
        ("class", "'class' would hide the Python module 'class'"),
        ("asrlab", "'asrlab' would hide the Python module 'asrlab'"),
        ("asrlab-whisper", "engine 'whisper' exists already; choose another name than 'asrlab-whisper'"),
    ],
)
def test_a_name_that_cannot_be_is_refused(asrlab_cli: Any, tmp_path: Path, name: str, message: str) -> None:
    """A name that is no distribution's, hides a module, or is an engine's is refused, and nothing is written."""
    ran = asrlab_cli("new-plugin", name, cwd=tmp_path)
    assert ran.code == 2
    assert message in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_skeleton_conforms_as_written(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed as it is, it passes every check of the kit."""
    info = written / "src" / "asrlab_morse_code-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asrlab-morse-code\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[asrlab]\nmorse-code = asrlab_morse_code.asrlab_plugin\n")
    monkeypatch.syspath_prepend(str(written / "src"))
    results = run_all_checks(Target(model="morse-code/small"))
    assert [result for result in results if result.outcome == "failed"] == []
    assert [result.check for result in results if result.outcome == "skipped"] == ["parameters"]


def test_the_skeletons_metadata_names_its_hook(written: Path) -> None:
    """The entry point is the module that is written, and the tests inherit the kit."""
    assert 'morse-code = "asrlab_morse_code.asrlab_plugin"' in (written / "pyproject.toml").read_text()
    assert "class MorseCodeRecognizer" in (written / "src" / "asrlab_morse_code" / "recognizer.py").read_text()
    assert "(TranscriberConformance)" in (written / "tests" / "test_conformance.py").read_text()


def test_help_shows_an_example(asrlab_cli: Any) -> None:
    """--help has a command line to copy."""
    assert "asrlab new-plugin asrlab-morse" in asrlab_cli("new-plugin", "--help").out
