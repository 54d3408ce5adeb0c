"""What each command prints at 60, 80 and 120 columns and into a pipe, compared with the files in snapshots/."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
SNAPSHOTS = Path(__file__).with_name("snapshots")
ENVIRONMENT = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio", "TERM": "xterm"}
WIDTHS = ("60", "80", "120", "pipe")
STYLES = re.compile(r"\x1b\[[0-9;]*[mKAG]|\r")
NORMALIZER_VERSION = re.compile(r"(whisper-normalizer\s+0\.1\.)\d\d")
INSTALL_COMMAND = re.compile("(?<=to install absent: ).*")
BOXES = re.compile("[┏┃│└━]")

PLUGIN = """
import asrlab
from asrlab.patches import Patch, PatchDecision

asrlab_plugin_api = 2


def engine(name, models, **options):
    return asrlab.plugin.EngineSpec(name=name, factory="layout:load", devices="layout:devices",
                                    default_model=models[0].name, models=models, **options)


@asrlab.plugin.hookimpl
def asrlab_engines():
    model = asrlab.plugin.ModelSpec
    return [
        engine("careful-whisper", (model(name="large-v3-turbo-small", description="multilingual", aliases=("turbo",)),
                                   model(name="tiny.en", description="English, for clocks and other small machines")),
               aliases=("careful",)),
        engine("absent", (model(name="base", description="multilingual"),), import_name="absent_engine",
               distribution="absent-engine", install="pip install 'absent-engine[models]'"),
    ]


@asrlab.plugin.hookimpl
def asrlab_patches():
    decision = PatchDecision(status="not-needed", reason="numpy already does what the patch would make it do")
    return [Patch(name="careful-whisper-rounding-mode", distribution="numpy", versions=("1.26", "2.5"),
                  devices=("cpu", "cuda"), reason="numbers are rounded towards zero, and a word in a thousand is lost",
                  issue_url="https://example.org/a-project/with-a-long-name/issues/1234567890/and-a-comment",
                  obsolete_when="numpy rounds to even", module="numpy", changes={}, check=lambda *_: decision)]


def devices():
    missing = (("cuda", "the library is built without CUDA, and finds no CUDA device"), ("mps", "only on macOS"))
    return asrlab.DeviceReport(available=("cpu",), missing=missing)
"""
HYPOTHESES = "utt_id,text,reference\nfirst,he was not an old man,he was not an ill man\nsecond,a deal,a deal\n"
COMMANDS = {
    "bench": ("runs", "smoke-base"),  # bench and resume end with the same lines
    "compare": ("compare", "base.jsonl", "tiny.jsonl", "--bootstrap-unit", "utterance", "--resamples", "100"),
    "devices": ("devices", "--engine", "careful-whisper", "--engine", "echo"),
    "models": ("models",),
    "new-plugin": ("new-plugin", "asrlab-morse-{width}"),
    "patches": ("patches",),
    "plugins": ("plugins",),
    "pull": ("pull", "careful-whisper/tiny.en"),
    "report": ("report", "base.jsonl", "--resamples", "100", "-o", "page.html"),
    "runs": ("runs",),
    "runs-of-one": ("runs", "base.jsonl", "--verbose", "--normalizers", "english,none"),
    "score": ("score", "hypotheses.csv", "--language", "en", "--resamples", "100"),
    "transcribe": ("transcribe", "tones/a-first.wav", "-m", "echo"),
    "tune": ("tune", "echo", "--forget"),
    "verify": ("verify", "page.md"),
}
MEASURED = {"bench-of-echo": ("bench", "tones", "-m", "echo", "--run", "live/echo-{width}"), "doctor": ("doctor",)}
"""Commands that print times and facts of the machine, so that their output has no file."""


def write_run(folder: Path, export: Path) -> None:
    """Write the folder of a run from its export."""
    folder.mkdir()
    lines = export.read_text(encoding="utf-8").splitlines(keepends=True)
    kinds = [json.loads(line)["record"] for line in lines]
    manifest = json.loads(lines[0])
    del manifest["record"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    facts = [json.loads(line) for line, kind in zip(lines, kinds, strict=True) if kind == "utterance"]
    for fact in facts:
        del fact["record"]
    (folder / "utterances.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts), encoding="utf-8")
    rest = (line for line, kind in zip(lines, kinds, strict=True) if kind not in {"manifest", "utterance"})
    (folder / "ledger.jsonl").write_text("".join(rest), encoding="utf-8")


@pytest.fixture(scope="module")
def outputs(
    tmp_path_factory: pytest.TempPathFactory,
    run_forked: Any,
    small_folder: Path,
    write_distribution: Callable[..., Path],
) -> dict[tuple[str, str], str]:
    """Return what each command prints, by its name and the width."""
    folder = tmp_path_factory.mktemp("layout")
    plugin = write_distribution(tmp_path_factory.mktemp("plugin"), "layout", source=PLUGIN)
    shutil.copytree(small_folder, folder / "tones")
    shutil.copy(ROOT / "evidence" / "smoke-base.jsonl", folder / "base.jsonl")
    shutil.copy(ROOT / "evidence" / "smoke-tiny.en.jsonl", folder / "tiny.jsonl")
    write_run(folder / "smoke-base", folder / "base.jsonl")
    write_run(folder / "smoke-tiny.en", folder / "tiny.jsonl")
    (folder / "hypotheses.csv").write_text(HYPOTHESES, encoding="utf-8")
    (folder / "page.md").write_text("The model has a WER of 3.2 % and is 10 times faster than whisper.\n")
    (folder / "evidence").mkdir()
    outputs, commands = {}, COMMANDS | MEASURED
    for width in WIDTHS:
        stream = "pipe" if width == "pipe" else "terminal"
        cases = [([part.format(width=width) for part in command], {"stdout": stream}) for command in commands.values()]
        variables = ENVIRONMENT | {"ASRLAB_RUNS": str(folder)} | ({} if width == "pipe" else {"COLUMNS": width})
        results = run_forked(cases, folder=folder, plugins=[plugin], **variables)
        for name, result in zip(commands, results, strict=True):
            assert result.code in {0, 1}, result
            text = STYLES.sub("", result.stdout.decode()).replace(str(folder), "FOLDER")
            outputs[name, width] = INSTALL_COMMAND.sub("COMMAND", NORMALIZER_VERSION.sub(r"\1##", text))
    return outputs


def test_every_command_has_a_snapshot():
    """Every command is in the tables, but for resume, which ends as bench does, and completion, a script."""
    from asrlab.cli.main import COMMANDS as ALL

    used = {arguments[0] for arguments in (COMMANDS | MEASURED).values()}
    assert used | {"resume", "completion"} == set(ALL)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_as_recorded(outputs: Any, name: str, width: str, compare_snapshot: Callable[..., None]):
    """The output is that of the file in snapshots/; --update-snapshots rewrites the files."""
    compare_snapshot(SNAPSHOTS / f"{name}-{width}.txt", outputs[name, width])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS | MEASURED)
def test_lines_fit_the_terminal(outputs: Any, name: str, width: str):
    """No line is wider than the terminal, and none has boxes or trailing spaces.

    Addresses and commands to copy, paths in lists for programs, and messages of verify are not wrapped.
    """
    for line in outputs[name, width].splitlines():
        assert line == line.rstrip()
        assert not BOXES.search(line)
        if width != "pipe" and not re.match(r"page.md:| +fix: ", line) and name not in {"pull", "report", "new-plugin"}:
            columns = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)
            assert columns <= int(width) or len(line.split()) == 1, line


@pytest.mark.parametrize("width", WIDTHS)
def test_names_of_models_are_whole(outputs: Any, width: str):
    """Each model's name is in the output at every width, in one piece."""
    names = {
        "bench": ("faster-whisper/base", "openai-whisper/base"),
        "compare": ("faster-whisper/base", "openai-whisper/base", "faster-whisper/tiny.en"),
        "models": ("careful-whisper/large-v3-turbo-small", "careful-whisper/tiny.en", "absent/base"),
        "runs": ("faster-whisper/base", "openai-whisper/base", "faster-whisper/tiny.en"),
    }
    for command, models in names.items():
        assert [model for model in models if model not in outputs[command, width].split()] == []
