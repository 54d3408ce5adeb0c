"""Tests of ``asrlab new-plugin``: the written package works, and existing files are not overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asrlab.installation import install_command
from asrlab.testing.conformance.session import run_all_checks
from asrlab.testing.conformance.target import Target


@pytest.fixture(scope="module")
def template(asrlab_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a plugin that was written from the template."""
    folder = tmp_path_factory.mktemp("new") / "asrlab-morse-code"
    assert asrlab_cli("new-plugin", "asrlab-morse-code", "--folder", folder).code == 0
    return folder


def test_the_files_and_the_next_steps_are_printed(asrlab_cli: Any, tmp_path: Path) -> None:
    """The files are on standard output and the next steps are on standard error."""
    result = asrlab_cli("new-plugin", "asrlab-morse", cwd=tmp_path)
    assert result.code == 0
    files = [Path(line) for line in result.out.splitlines()]
    assert Path("asrlab-morse/src/asrlab_morse/recognizer.py") in files
    assert all((tmp_path / file).is_file() for file in files)
    assert f"cd asrlab-morse\n  {install_command('-e', '.')}\n  pytest" in result.err
    assert "write your engine in src/asrlab_morse/recognizer.py" in result.err


def test_json_names_the_parts(asrlab_cli: Any, tmp_path: Path) -> None:
    """--json prints the folder, the engine, the package and the files."""
    plain = asrlab_cli("new-plugin", "my-engine", "--json", cwd=tmp_path).json
    assert (plain["folder"], plain["engine"], plain["package"]) == ("my-engine", "my-engine", "my_engine")
    assert "my-engine/pyproject.toml" in plain["files"]


def test_an_existing_folder_is_not_changed(asrlab_cli: Any, tmp_path: Path) -> None:
    """An existing folder is not overwritten, and the error suggests another folder."""
    (tmp_path / "my-engine").mkdir()
    result = asrlab_cli("new-plugin", "my-engine", cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "my-engine exists already; choose another folder with --folder" in result.err
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
def test_an_unusable_name_is_refused(asrlab_cli: Any, tmp_path: Path, name: str, message: str) -> None:
    """An invalid name, a name of a module and a name of an engine are refused, and nothing is written."""
    result = asrlab_cli("new-plugin", name, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_the_template_passes_the_conformance_kit(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin passes every check of the conformance kit without a change."""
    info = template / "src" / "asrlab_morse_code-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asrlab-morse-code\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[asrlab]\nmorse-code = asrlab_morse_code.asrlab_plugin\n")
    monkeypatch.syspath_prepend(str(template / "src"))
    results = run_all_checks(Target(model="morse-code/small"))
    assert [result for result in results if result.outcome == "failed"] == []
    assert [result.check for result in results if result.outcome == "skipped"] == ["parameters"]


def test_the_metadata_names_the_plugin_module(template: Path) -> None:
    """The entry point names the written module, and the tests inherit the conformance kit."""
    assert 'morse-code = "asrlab_morse_code.asrlab_plugin"' in (template / "pyproject.toml").read_text()
    assert "class MorseCodeRecognizer" in (template / "src" / "asrlab_morse_code" / "recognizer.py").read_text()
    assert "(TranscriberConformance)" in (template / "tests" / "test_conformance.py").read_text()


def test_help_shows_an_example(asrlab_cli: Any) -> None:
    """--help shows an example."""
    assert "asrlab new-plugin asrlab-morse" in asrlab_cli("new-plugin", "--help").out
