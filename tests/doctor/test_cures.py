"""Fixes that doctor prints: every command works in the shell of an environment with the fault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = "openai-whisper,liquid-audio"

pytestmark = pytest.mark.skipif(not Path("/bin/sh").exists(), reason="the fixes run in a POSIX shell")


@attrs.frozen
class Environment:
    """Virtual environment with this clone of asrlab and without network access.

    Attributes:
        folder: Folder of the environment.
        home: Folder for asrlab's cache, and for programs that come first on the path.
    """

    folder: Path
    home: Path

    @property
    def python(self) -> Path:
        """Path of the environment's interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Path of the installed packages."""
        return next((self.folder / "lib").glob("python*/site-packages"))

    def shell(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run *script* in a shell without a package index."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("ASRLAB_", "PYTHONPATH"))
        }
        offline = {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.home), "HF_HUB_OFFLINE": "1"}
        path = {"PATH": f"{self.home}:{os.environ['PATH']}", "HOME": str(self.home), "UV_CACHE_DIR": uv_cache()}
        caches = {"ASRLAB_CACHE": str(self.home / "cache"), "ASRLAB_DISABLE_PLUGINS": BUILT_IN}
        return subprocess.run(
            ["/bin/sh", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            env=inherited | offline | path | caches | variables,
        )

    def findings(self, *arguments: str, before: str = "true", **variables: str) -> dict[str, Any]:
        """Return doctor's findings by component. The shell runs the command *before* first."""
        doctor = f"{self.python} -m asrlab doctor --json {' '.join(arguments)}"
        result = self.shell(f"{{ {before} ; }} >&2 && {doctor}", **variables)
        assert result.stdout.startswith("{"), result.stderr
        return {finding["component"]: finding for finding in json.loads(result.stdout)["findings"]}

    def run_uv(self, *arguments: str) -> None:
        """Run uv for this environment."""
        result = self.shell(" ".join(["uv", *arguments]))
        if result.returncode:
            pytest.skip(f"uv's cache lacks what this needs: {result.stderr.strip().splitlines()[-1]}")


def uv_cache() -> str:
    """Return the folder of uv's cache, so that another HOME does not hide the cache."""
    return os.environ.get("UV_CACHE_DIR") or str(Path("~/.cache/uv").expanduser())


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment without pip, with this clone and the faster-whisper engine."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not installed")
    home = tmp_path_factory.mktemp("home")
    (home / "uv").symlink_to(uv)
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv", home)
    environment.run_uv("venv", "-q", "-p", sys.executable, str(environment.folder))
    environment.run_uv("pip", "install", "-q", "-p", str(environment.python), "-e", f"'{ROOT}[faster-whisper]'")
    return environment


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str], *, entry_points: str = "") -> Path:
    """Write a wheel of pure Python and return its path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    contents = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": wheel,
        f"{info}/entry_points.txt": entry_points,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in contents.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*contents, f"{info}/RECORD"]))
    return path


def remove_engine(environment: Environment) -> None:
    """Remove the engine."""
    environment.run_uv("pip", "uninstall", "-q", "-p", str(environment.python), "faster-whisper")


def damage_engine(environment: Environment) -> None:
    """Delete a file of the engine."""
    (environment.site_packages / "faster_whisper" / "vad.py").unlink()


def damage_dependency(environment: Environment) -> None:
    """Replace a module that the engine imports by one that raises."""
    path = environment.site_packages / "tokenizers" / "__init__.py"
    path.unlink()  # the file is a hard link into uv's cache, which must not change
    path.write_text("raise ImportError('cut short')\n")


def install_old_engine(environment: Environment) -> None:
    """Install an engine that is too old and cannot be imported."""
    old = write_wheel(environment.home, "faster-whisper", "0.1.0", {"faster_whisper.py": "from nowhere import it\n"})
    environment.run_uv("pip", "install", "-q", "--no-deps", "-p", str(environment.python), str(old))
    old.unlink()


def damage_decoder(environment: Environment) -> None:
    """Delete a file of a decoder."""
    (environment.site_packages / "soxr" / "__init__.py").unlink()


def install_broken_plugin(environment: Environment) -> None:
    """Install a plugin that raises when it is imported."""
    files = {"broken_plugin.py": "raise RuntimeError('boom')\n"}
    wheel = write_wheel(
        environment.home, "broken-plugin", "1.0", files, entry_points="[asrlab]\nbroken=broken_plugin\n"
    )
    environment.run_uv("pip", "install", "-q", "--no-deps", "-p", str(environment.python), str(wheel))


ENGINE = "engine faster-whisper"
FAULTS: dict[str, tuple[Callable[[Environment], None], str, str, str]] = {
    "missing engine": (remove_engine, ENGINE, "note", "not installed"),
    "damaged engine": (damage_engine, ENGINE, "problem", "faster-whisper 1.2.1 lacks faster_whisper/vad.py"),
    "damaged dependency": (damage_dependency, ENGINE, "problem", "tokenizers "),
    "old engine": (
        install_old_engine,
        ENGINE,
        "problem",
        "faster-whisper 0.1.0 is installed, and faster-whisper>=1.2.1",
    ),
    "damaged decoder": (damage_decoder, "soxr", "problem", "does not import"),
    "broken plugin": (install_broken_plugin, "plugin broken", "problem", "RuntimeError: boom"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fix_works_in_a_shell(environment: Environment, fault: str):
    """Doctor reports the fault, and the printed command repairs the fault without a change."""
    make, component, status, detail = FAULTS[fault]
    engine = "faster-whisper" if component == ENGINE else "echo"
    make(environment)
    finding = environment.findings("--engine", engine)[component]
    assert (finding["status"], detail in finding["detail"]) == (status, True), finding
    fixed = environment.findings("--engine", engine, before=finding["cure"]).get(component, {"status": "ok"})
    assert fixed["status"] == "ok", fixed


def test_the_fix_for_a_pair_of_versions_works(environment: Environment):
    """PyAV 19 with faster-whisper 1.2.1 is noted, and the printed command resolves the note."""
    component = "PyAV with faster-whisper"
    finding = environment.findings("--engine", "faster-whisper").get(component)
    if finding is None or environment.shell(f"{finding['cure']} --dry-run").returncode:
        pytest.skip("the environment has no PyAV 19, or uv's cache none before it")
    assert component not in environment.findings("--engine", "faster-whisper", before=finding["cure"])


def test_a_module_that_shadows_an_engine_is_renamed(environment: Environment, tmp_path: Path):
    """The fix for a file that shadows the engine's package renames the file."""
    (tmp_path / "faster_whisper.py").write_text("raise RuntimeError('not the engine')")
    arguments = {"PYTHONPATH": str(tmp_path)}
    finding = environment.findings("--engine", "faster-whisper", **arguments)[ENGINE]
    assert f"is imported from {tmp_path / 'faster_whisper.py'}" in finding["detail"]
    fixed_findings = environment.findings("--engine", "faster-whisper", before=finding["cure"], **arguments)
    assert fixed_findings[ENGINE]["status"] == "ok"


def test_a_store_that_cannot_be_written_is_replaced(environment: Environment):
    """The fix for an unwritable store selects another folder for the shell."""
    (environment.home / "file").write_text("not a folder")
    broken = {"ASRLAB_CACHE": str(environment.home / "file" / "cache")}
    finding = environment.findings("--engine", "echo", **broken)["weights store"]
    assert finding["status"] == "problem"
    fixed = environment.findings("--engine", "echo", before=finding["cure"], **broken)["weights store"]
    assert fixed["status"] == "ok"


def test_a_plugin_on_the_path_is_disabled(environment: Environment, tmp_path: Path, write_distribution: Any):
    """The fixes for two plugins that no installer can remove work together in one shell."""
    for name in ("one", "two"):
        write_distribution(tmp_path, f"{name}-broken", source="raise RuntimeError('boom')", plugins=[name])
    findings = environment.findings("--engine", "echo", PYTHONPATH=str(tmp_path))
    cures = " && ".join(findings[f"plugin {name}"]["cure"] for name in ("one", "two"))
    fixed_findings = environment.findings("--engine", "echo", before=cures, PYTHONPATH=str(tmp_path))
    assert [component for component in fixed_findings if component.startswith("plugin ")] == []


def repack(distribution: str, folder: Path) -> Path:
    """Write a wheel of an installed pure Python distribution."""
    installed = metadata.distribution(distribution)
    path = folder / f"{distribution.replace('-', '_')}-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in installed.files or []:
            if not str(file).startswith("..") and file.suffix != ".pyc" and Path(str(file.locate())).is_file():
                archive.write(str(file.locate()), str(file))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["missing engine", "damaged engine"])
def test_a_fix_by_pip_works_with_asrlab_from_a_wheel(environment: Environment, fault: str):
    """With pip in the environment, the fixes use pip and the extra of the wheel."""
    wheel = environment.home / "asrlab-0.1.0-py3-none-any.whl"
    if not wheel.exists():
        repack("faster-whisper", environment.home)
        environment.run_uv("build", "-q", "-p", sys.executable, "--wheel", "-o", str(environment.home), f"'{ROOT}'")
        environment.run_uv("pip", "install", "-q", "--no-deps", "-p", str(environment.python), str(wheel))
        assert environment.shell(f"{environment.python} -m ensurepip").returncode == 0
    make, component, status, _ = FAULTS[fault]
    make(environment)
    finding = environment.findings("--engine", "faster-whisper")[component]
    assert finding["status"] == status
    assert " -m pip install " in finding["cure"]
    assert (f"{wheel}[faster-whisper]" in finding["cure"]) is (fault == "missing engine")
    assert environment.findings("--engine", "faster-whisper", before=finding["cure"])[component]["status"] == "ok"
