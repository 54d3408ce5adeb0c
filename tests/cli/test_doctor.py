"""``asrlab doctor``: known bad pairs, broken engines, and what mends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asrlab.doctor.checks import check_version_pairs
from asrlab.installation import asrlab_command, install_command

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = "openai-whisper,faster-whisper,liquid-audio"
PYAV = "PyAV with faster-whisper"
BUSY = "asrlab: checking "


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
def test_a_known_bad_pair_is_found_with_its_cure(versions: dict[str, str | None], expected: list[str]):
    """Only versions that are known not to work together are named, with the command that mends them."""
    found = [(finding.subject, finding.status, finding.cure) for finding in check_version_pairs(versions)]
    assert found == [(subject, "note", install_command("av<19")) for subject in expected]


@pytest.fixture(scope="module")
def healthy(asrlab_cli: Any, weights_cache: Path) -> Any:
    """What doctor says here."""
    return asrlab_cli("doctor", "--json", ASRLAB_CACHE=str(weights_cache))


def test_a_sound_environment_has_no_problem(healthy: Any):
    """With both engines and their weights in place, doctor exits with 0 and every check is ok or a note."""
    findings = {finding["subject"]: finding for finding in healthy.json["findings"]}
    assert healthy.code == 0
    assert healthy.err.splitlines() == [f"{BUSY}echo, faster-whisper, openai-whisper, liquid-audio ..."]
    assert {finding["status"] for finding in findings.values()} <= {"ok", "note"}
    assert {"python", "soundfile", "PyAV", "soxr", "plugins", "weights store", "engine echo"} <= set(findings)
    assert "torch " in findings["engine openai-whisper"]["detail"]
    assert "unsupported device mps" in findings["devices of faster-whisper"]["detail"]
    assert "sha256 checked" in findings["weights of faster-whisper/base"]["detail"]


def test_the_notes_are_about_this_environment(healthy: Any):
    """PyAV 19 beside faster-whisper 1.2.1 is noted exactly where both are installed."""
    from importlib.metadata import version

    bad = int(version("av").partition(".")[0]) >= 19 and version("faster-whisper") == "1.2.1"
    assert (PYAV in [finding["subject"] for finding in healthy.json["findings"]]) is bad


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, write_distribution: Any) -> Any:
    """What doctor says with an engine that does not import, a broken plugin, and a cache below a file."""
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
def test_a_problem_is_named_with_its_cure_and_exits_with_1(sick: Any, problem: str, cure: str):
    """An engine that raises on import, a broken plugin, an unusable cache: each a problem, each with its cure."""
    folder, ran = sick
    lines = ran.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(problem))
    assert ran.code == 1
    assert lines[place + 1] == f"        fix: {cure.replace('{folder}', str(folder))}"


def test_the_last_line_counts(sick: Any):
    """The last line counts checks, problems and notes."""
    checks, problems, _ = (int(word) for word in sick[1].out.splitlines()[-1].split() if word.isdigit())
    assert checks > problems >= 3


def test_an_engine_that_dies_while_importing_is_a_problem(asrlab_cli: Any, tmp_path: Path):
    """An import that takes its process along is reported, and doctor goes on."""
    (tmp_path / "faster_whisper.py").write_text("import os\nos.abort()")
    ran = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS="openai-whisper,liquid-audio")
    findings = {finding["subject"]: finding for finding in ran.json["findings"]}
    assert ran.code == 1
    assert findings["engine faster-whisper"]["status"] == "problem"
    assert "its import ends its process (SIGABRT)" in findings["engine faster-whisper"]["detail"]
    assert "weights store" in findings


@pytest.mark.parametrize(
    ("source", "status", "detail"),
    [
        ("import sys\nsys.exit(0)", "problem", "its import ends its process (sys.exit)"),
        ("import atexit\natexit.register(print, 'bye')\nprint('hello')", "ok", "asrlab "),
    ],
    ids=["exits", "talks"],
)
def test_an_engine_that_exits_or_talks_while_importing_does_not_confuse(
    asrlab_cli: Any, tmp_path: Path, write_distribution: Any, source: str, status: str, detail: str
):
    """An import that ends the process is a problem even with status 0; what one prints is not taken for the answer."""
    devices = "import asrlab\ndef devices(): return asrlab.DeviceReport(available=('cpu',))\n"
    (tmp_path / "odd_engine.py").write_text(f"{source}\n{devices}")
    spec = "asrlab.plugin.EngineSpec(name='odd', factory='odd_engine:load', devices='odd_engine:devices', models=())"
    plugin = f"import asrlab\n@asrlab.plugin.hookimpl\ndef asrlab_engines():\n    return [{spec}]\n"
    write_distribution(tmp_path, "odd", source=plugin)
    ran = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in ran.json["findings"] if finding["subject"] == "engine odd")
    assert finding["status"] == status
    assert finding["detail"].startswith(detail)


def test_an_engine_that_is_not_installed_is_a_note(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """A missing optional package is no problem; its note has the command that installs it."""
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
    ran = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in ran.json["findings"] if finding["subject"] == "engine lonely")
    assert ran.code == 0
    assert (finding["status"], finding["cure"]) == ("note", install_command("nobody"))


LFM = """
import atexit, sys
import asrlab

# at the end, in doctor's own process: which engines' libraries it loaded
heavy = {"torch", "ctranslate2", "whisper", "faster_whisper", "liquid_audio"}
atexit.register(lambda: print("loaded:", *sorted(heavy & sys.modules.keys()), file=sys.stderr))

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="lfm", factory="asrlab.engines.echo.recognizer:load", devices="asrlab.engines.echo.recognizer:devices",
        models=(asrlab.plugin.ModelSpec(name="audio", weights=("liquidai/lfm2.5-audio-1.5b",)),), default_model="audio",
    )]
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any, write_distribution: Any) -> Any:
    """What doctor says of an engine whose weights are on the hub only, where none are in the store."""
    folder = tmp_path_factory.mktemp("bare")
    write_distribution(folder, "lfm", source=LFM)
    return asrlab_cli(
        *("doctor", "--json", "--engine", "lfm", "--engine", "faster-whisper"),
        plugins=[folder],
        ASRLAB_CACHE=str(folder / "cache"),
    )


def test_missing_weights_are_a_note_with_repository_revision_size_and_command(bare: Any):
    """What would be pulled is told without pulling; no package is advised that does not carry it."""
    finding = next(finding for finding in bare.json["findings"] if finding["subject"] == "weights of lfm/audio")
    assert bare.code == 0
    assert finding["status"] == "note"
    assert finding["detail"] == "not on this machine: LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)"
    assert finding["cure"] == asrlab_command("pull", "lfm/audio")


def test_doctors_own_process_loads_no_engine(bare: Any):
    """Engines are imported, and asked for their devices, in processes of their own."""
    devices = {f["subject"]: f["detail"] for f in bare.json["findings"] if f["subject"].startswith("devices of")}
    assert devices["devices of lfm"].startswith("cpu; auto takes cpu; no cuda: echo runs on the cpu")
    assert "unsupported device mps" in devices["devices of faster-whisper"]
    assert [line for line in bare.err.splitlines() if not line.startswith(BUSY)] == ["loaded:"]


def test_devices_that_cannot_be_told_are_a_problem(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """An engine that imports but whose report of devices fails is named, with what it said."""
    source = LFM.replace('devices="asrlab.engines.echo.recognizer:devices"', 'devices="lfm:broken"')
    write_distribution(tmp_path, "lfm", source=source + "\ndef broken():\n    raise OSError('no driver')\n")
    ran = asrlab_cli("doctor", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS=ENGINES)
    finding = next(finding for finding in ran.json["findings"] if finding["subject"] == "devices of lfm")
    assert (ran.code, finding["status"]) == (1, "problem")
    assert "no driver" in finding["detail"]
