"""The tutorial for plugins, followed from an empty folder to a benchmark in a new virtual environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import attrs
import pytest

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "writing-a-plugin.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = """#!{python}
import sys
from {module} import main
sys.exit(main())
"""


@attrs.define
class Reader:
    """A user who follows the page.

    Attributes:
        folder: The current folder of the user.
        programs: The folder of the virtual environment's programs.
        home: The folder for caches and runs.
        printed: The output of the last commands.
    """

    folder: Path
    programs: Path
    home: Path
    printed: str = ""

    def do(self, kind: str, text: str) -> None:
        """Run the commands of a block, write its file, or compare its text with the output."""
        if kind == "sh":
            self.run(text)
        elif kind == "text":
            assert self.printed == text
        else:
            assert kind == "python"
            path = self.folder / text.partition("\n")[0].removeprefix("# ")
            assert path.parent.is_dir(), f"the page writes a file into a missing folder: {path}"
            path.write_text(text, encoding="utf-8")

    def run(self, commands: str) -> None:
        """Run *commands* in a shell that starts in the last folder of the previous commands."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "PYTEST_"))}
        environment |= {
            "PATH": f"{self.programs}{os.pathsep}{environment['PATH']}",
            "ASRLAB_CACHE": str(self.home),
            "ASRLAB_OFFLINE": "1",
            # pip uses the installed packages, also to build
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        where = self.home / "where"
        command = ["bash", "-euo", "pipefail", "-c", f"{commands}\npwd > {where}"]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        self.folder, self.printed = Path(where.read_text().strip()), done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Return a reader in an empty folder, with a virtual environment that has pip and the packages of this one."""
    pytest.importorskip("setuptools", reason="setuptools, which builds the plugin, is not installed")
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "venv", with_pip=True)
    variables = {"base": str(home / "venv"), "platbase": str(home / "venv")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=variables))
    here = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    programs = Path(sysconfig.get_path("scripts", "venv", vars=variables))
    for name, module in {"asrlab": "asrlab.cli.main", "pytest": "pytest"}.items():
        command = COMMAND.format(python=programs / Path(sys.executable).name, module=module)
        (programs / name).write_text(command)
        (programs / name).chmod(0o755)
    return Reader(folder=tmp_path_factory.mktemp("empty"), programs=programs, home=home)


def test_the_tutorial_runs_from_start_to_end(reader: Reader) -> None:
    """Every block of the page has its stated output, and the resulting engine makes no error."""
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert {kind for kind, _ in blocks} == {"python", "sh", "text"}
    for kind, text in blocks:
        reader.do(kind, text)
    reader.run("asrlab runs runs/morse --json")
    run = json.loads(reader.printed)
    assert run["complete"]
    assert run["models"][0]["score"]["words"] == {"hits": 14, "substitutions": 0, "deletions": 0, "insertions": 0}
    reader.run("asrlab models --json")
    assert "morse/small" in {model["name"] for model in json.loads(reader.printed)["models"]}
    assert len(list((reader.folder / "subtitles").glob("*.srt"))) == 3
