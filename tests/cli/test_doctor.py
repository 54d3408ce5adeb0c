"""Findings of ``asrlab doctor``: known bad version pairs, broken engines, and the fixes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asrlab.doctor.checks import check_version_pairs
from asrlab.installation import asrlab_command, install_command

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = "openai-whisper,faster-whisper,liquid-audio"
PYAV = "PyAV with faster-whisper"
PROGRESS_PREFIX = "asrlab: checking "


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"av": "19.0.2", "faster-whisper": "1.2.1"}, [PYAV]),
        ({"av": "20.1", "faster-whisper": "1.1.0"}, [PYAV]),
        ({"av": "18.1.0", "faster-whisper": "1.2.1"}, []),
        ({"av": "19.0.2", "faster-whisper": "1.3.0"}, []),
        ({"av": "19.0.2", "faster-whisper": None}, []),
        ({}, []),
    ],
)
def test_a_known_bad_pair_is_reported_with_its_fix(versions: dict[str, str | None], expected: list[str]):
    """Only versions that are known not to work together are reported, with the command that fixes them."""
    findings = [(finding.component, finding.status, finding.cure) for finding in check_version_pairs(versions)]
    assert findings == [(component, "note", install_command("av<19")) for component in expected]


@pytest.fixture(scope="module")
def healthy(asrlab_cli: Any, weights_cache: Path) -> Any:
    """Return the result of doctor in this environment."""
    return asrlab_cli("doctor", "--json", ASRLAB_CACHE=str(weights_cache))


def test_a_working_environment_has_no_problem(healthy: Any):
    """With both engines and their weights installed, doctor exits with 0 and every check is ok or a note."""
    findings = {finding["component"]: finding for finding in healthy.json["findings"]}
    assert healthy.code == 0
    assert healthy.err.splitlines() == [f"{PROGRESS_PREFIX}echo, faster-whisper, openai-whisper, liquid-audio ..."]
    assert {finding["status"] for finding in findings.values()} <= {"ok", "note"}
    assert {"python", "soundfile", "PyAV", "soxr", "plugins", "weights store", "engine echo"} <= set(findings)
    assert "torch " in findings["engine openai-whisper"]["detail"]
    assert "unsupported device mps" in findings["devices of faster-whisper"]["detail"]
    assert "sha256 checked" in findings["weights of faster-whisper/base"]["detail"]


def test_the_pyav_note_appears_only_if_both_packages_are_affected(healthy: Any):
    """PyAV 19 beside faster-whisper 1.2.1 is noted exactly if both are installed."""
    from importlib.metadata import version

    bad = int(version("av").partition(".")[0]) >= 19 and version("faster-whisper") == "1.2.1"
    assert (PYAV in [finding["component"] for finding in healthy.json["findings"]]) is bad


@pytest.fixture(scope="module")
def broken_environment(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, write_distribution: Any) -> Any:
    """Return the result of doctor with a broken engine, a broken plugin and a cache below a file."""
    folder = tmp_path_factory.mktemp("sick")
    (folder / "faster_whisper.py").write_text("raise RuntimeError('libcublas.so.12: cannot open shared object file')")
    (folder / "file").write_text("not a folder")
    write_distribution(folder, "broken", source="raise RuntimeError('boom')")
    variables = {
        "ASRLAB_DISABLE_PLUGINS": "openai-whisper,liquid-audio",
        "ASRLAB_CACHE": str(folder / "file" / "cache"),
    }
    return folder, asrlab_cli("doctor", plugins=[folder], **variables)


@pytest.mark.parametrize(
    ("problem", "cure"),
    [
        (
            "problem engine faster-whisper: RuntimeError: libcublas.so.12: cannot open shared object file",
            "mv {folder}/faster_whisper.py {folder}/faster_whisper.py.disabled",
        ),
        (
            "problem plugin broken: plugin 'broken' of broken 1.0 failed at import",
            'export ASRLAB_DISABLE_PLUGINS="$ASRLAB_DISABLE_PLUGINS,broken"',
        ),
        ("problem weights store: ", 'export ASRLAB_CACHE="$HOME/asrlab-cache"'),
    ],
)
def test_a_problem_is_reported_with_its_fix_and_exits_with_1(broken_environment: Any, problem: str, cure: str):
    """A broken engine, a broken plugin and an unusable cache are problems, and each has its fix."""
    folder, result = broken_environment
    lines = result.out.splitlines()
    index = next(number for number, line in enumerate(lines) if line.startswith(problem))
    assert result.code == 1
    assert lines[index + 1] == f"        fix: {cure.replace('{folder}', str(folder))}"


def test_the_last_line_counts_checks_and_problems(broken_environment: Any):
    """The last line counts checks, problems and notes."""
    checks, problems, _ = (int(word) for word in broken_environment[1].out.splitlines()[-1].split() if word.isdigit())
    assert checks > problems >= 3


def test_an_import_that_kills_its_process_is_a_problem(asrlab_cli: Any, tmp_path: Path):
    """An import that kills its process is reported as a problem, and doctor continues."""
    (tmp_path / "faster_whisper.py").write_text("import os\nos.abort()")
    result = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS="openai-whisper,liquid-audio")
    findings = {finding["component"]: finding for finding in result.json["findings"]}
    assert result.code == 1
    assert findings["engine faster-whisper"]["status"] == "problem"
    assert "its import ends its process (SIGABRT)" in findings["engine faster-whisper"]["detail"]
    assert "weights store" in findings


@pytest.mark.parametrize(
    ("source", "status", "detail"),
    [
        ("import sys\nsys.exit(0)", "problem", "its import ends its process (sys.exit)"),
        ("import atexit\natexit.register(print, 'bye')\nprint('hello')", "ok", "asrlab "),
    ],
    ids=["exits", "prints"],
)
def test_an_import_may_exit_or_print(
    asrlab_cli: Any, tmp_path: Path, write_distribution: Any, source: str, status: str, detail: str
):
    """An import that exits is a problem even with status 0, and an import may print to standard output."""
    devices = "import asrlab\ndef devices(): return asrlab.DeviceReport(available=('cpu',))\n"
    (tmp_path / "odd_engine.py").write_text(f"{source}\n{devices}")
    spec = "asrlab.plugin.EngineSpec(name='odd', factory='odd_engine:load', devices='odd_engine:devices', models=())"
    plugin = f"import asrlab\n@asrlab.plugin.hookimpl\ndef asrlab_engines():\n    return [{spec}]\n"
    write_distribution(tmp_path, "odd", source=plugin)
    result = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in result.json["findings"] if finding["component"] == "engine odd")
    assert finding["status"] == status
    assert finding["detail"].startswith(detail)


def test_an_engine_that_is_not_installed_is_a_note(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """A missing optional package is a note with the command that installs the package."""
    source = """
import asrlab

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="lonely", factory="x:load", devices="x:devices", models=(), import_name="nobody.has_this",
        distribution="nobody", install="pip install nobody",
    )]
"""
    write_distribution(tmp_path, "lonely", source=source)
    result = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in result.json["findings"] if finding["component"] == "engine lonely")
    assert result.code == 0
    assert (finding["status"], finding["cure"]) == ("note", install_command("nobody"))


LFM = """
import atexit, sys
import asrlab

# when doctor's own process ends, print the engines' libraries that the process has loaded
heavy = {"torch", "ctranslate2", "whisper", "faster_whisper", "liquid_audio"}
atexit.register(lambda: print("loaded:", *sorted(heavy & sys.modules.keys()), file=sys.stderr))

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="lfm", factory="asrlab.engines.echo:load", devices="asrlab.engines.echo:devices",
        models=(asrlab.plugin.ModelSpec(name="audio", weights=("liquidai/lfm2.5-audio-1.5b",)),), default_model="audio",
    )]
"""


@pytest.fixture(scope="module")
def without_weights(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, write_distribution: Any) -> Any:
    """Return the result of doctor for an engine whose weights are on the hub and not in the store."""
    folder = tmp_path_factory.mktemp("bare")
    write_distribution(folder, "lfm", source=LFM)
    return asrlab_cli(
        *("doctor", "--json", "--engine", "lfm", "--engine", "faster-whisper"),
        plugins=[folder],
        ASRLAB_CACHE=str(folder / "cache"),
    )


def test_missing_weights_are_a_note_with_repository_revision_size_and_command(without_weights: Any):
    """The note on missing weights describes the download without starting it, and advises no package."""
    finding = next(
        finding for finding in without_weights.json["findings"] if finding["component"] == "weights of lfm/audio"
    )
    assert without_weights.code == 0
    assert finding["status"] == "note"
    assert finding["detail"] == "not on this machine: LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)"
    assert finding["cure"] == asrlab_command("pull", "lfm/audio")


def test_doctors_own_process_loads_no_engine(without_weights: Any):
    """Engines are imported and asked for their devices in separate processes."""
    devices = {
        f["component"]: f["detail"] for f in without_weights.json["findings"] if f["component"].startswith("devices of")
    }
    assert devices["devices of lfm"].startswith("cpu; auto takes cpu; no cuda: echo runs on the cpu")
    assert "unsupported device mps" in devices["devices of faster-whisper"]
    assert [line for line in without_weights.err.splitlines() if not line.startswith(PROGRESS_PREFIX)] == ["loaded:"]


def test_a_failing_device_report_is_a_problem(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """An engine whose device report fails is a problem, and its detail has the engine's error."""
    source = LFM.replace('devices="asrlab.engines.echo:devices"', 'devices="lfm:broken"')
    write_distribution(tmp_path, "lfm", source=source + "\ndef broken():\n    raise OSError('no driver')\n")
    result = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in result.json["findings"] if finding["component"] == "devices of lfm")
    assert (result.code, finding["status"]) == (1, "problem")
    assert "no driver" in finding["detail"]
