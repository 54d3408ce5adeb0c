"""``asrlab patches``, and ``--patches`` where models are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOY = """
def load(device="cuda"):
    if device == "cuda":
        raise RuntimeError("Torch not compiled with CUDA enabled")
    return device
"""

PLUGIN = """
import asrlab


def check(originals, device):
    if device == "mps":
        raise LookupError("[bold]no loader[/bold]\\nand more")
    return asrlab.patches.PatchDecision(status="needed", reason=f"[red]cuda[/red] instead of {device}")


@asrlab.plugin.hookimpl
def asrlab_patches():
    return [asrlab.patches.Patch(
        name="toy-device", distribution="toy-cli", versions=("1.0",), devices=("cpu", "mps"),
        reason="load() goes to cuda", issue_url="https://example.org/toy/1", obsolete_when="when it does not",
        module="toy_cli",
        changes={"toy_cli:load": lambda load, current_device: lambda: load(current_device())}, check=check,
    )]


@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="toy", factory="toy_cli_plug:load", devices="toy_cli_plug:devices", default_model="m",
        models=(asrlab.plugin.ModelSpec(name="m"),), distribution="toy-cli", import_name="toy_cli",
    )]


def devices():
    return asrlab.DeviceReport(available=("cpu",))


def load(request):
    import toy_cli
    toy_cli.load()
    return Toy(asrlab.TranscriberInfo(
        model=request.model, device=request.device, compute_type="float32", capabilities=asrlab.Capabilities(),
    ))


class Toy(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        segment = asrlab.Segment(text="heard", start=0.0, end=len(audio.read()) / 16000)
        return asrlab.plugin.Recognition(segments=iter([segment]), language="en")

    def release(self):
        pass
"""

ALONE = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """A package that knows only cuda, and a plugin with an engine over it and the patch it needs."""
    folder = tmp_path_factory.mktemp("toy")
    write_distribution(folder, "toy-cli", source=TOY, plugins=())
    return write_distribution(folder, "toy-cli-plug", source=PLUGIN)


def test_the_patches_are_listed_with_what_they_do_here(asrlab_cli: Any, toy: Path):
    """Each has its status, reason, link and end, as text and in JSON."""
    ran = asrlab_cli("patches", "--json", "--device", "cpu", plugins=[toy], **ALONE)
    assert (ran.code, ran.err, ran.json["device"]) == (0, "asrlab: importing toy-cli ...\n", "cpu")
    assert ran.json["patches"] == [
        {
            "name": "toy-device",
            "distribution": "toy-cli",
            "status": "applied",
            "reason": "[red]cuda[/red] instead of cpu",
            "versions": ["1.0"],
            "devices": ["cpu", "mps"],
            "issue_url": "https://example.org/toy/1",
            "obsolete_when": "when it does not",
            "module": "toy_cli",
            "direct_use": False,
            "why": "load() goes to cuda",
            "changes": ["toy_cli:load"],
        }
    ]
    ran = asrlab_cli("patches", "--device", "cpu", plugins=[toy], **ALONE)
    assert (ran.code, ran.err) == (0, "asrlab: importing toy-cli ...\n")
    assert ran.out.splitlines() == [
        "toy-device: applied",
        "  here      [red]cuda[/red] instead of cpu",
        "  why       load() goes to cuda",
        "  for       toy-cli on cpu, mps; tested with 1.0",
        "  upstream  https://example.org/toy/1",
        "  obsolete  when it does not",
    ]


@pytest.mark.parametrize("choice", [(), ("--patches", "toy-device")], ids=["auto", "named"])
def test_a_patch_that_fails_is_listed_and_exits_with_1(asrlab_cli: Any, toy: Path, choice: tuple[str, ...]):
    """One that is needed and cannot be applied is in the list like the others, asked for by name or not."""
    ran = asrlab_cli("patches", "--json", "--device", "mps", *choice, plugins=[toy], **ALONE)
    assert ran.code == 1
    assert ran.json["patches"][0]["status"] == "failed"
    assert ran.json["patches"][0]["reason"] == "LookupError: [bold]no loader[/bold]"
    assert "warning: patch toy-device for toy-cli on mps: failed" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--patches", "toy-devise"), 2, "there is no patch 'toy-devise'; did you mean 'toy-device'?"),
        (("--device", "gpu"), 3, "there is no device 'gpu'; name one of auto, cpu, cuda, cuda:N, mps"),
    ],
)
def test_an_unknown_patch_or_device_is_a_message(
    asrlab_cli: Any, toy: Path, arguments: tuple[str, ...], code: int, message: str
):
    """Its exit code says which, and standard output holds nothing but the JSON of the error."""
    ran = asrlab_cli("patches", *arguments, plugins=[toy], **ALONE)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert asrlab_cli("patches", *arguments, "--json", plugins=[toy], **ALONE).json["error"]["exit_code"] == code


def test_transcribe_applies_what_the_engine_needs(asrlab_cli: Any, toy: Path, clips: tuple[Path, ...]):
    """The transcript tells of the patch; switched off, the engine fails as it does without; a name is checked."""
    ran = asrlab_cli("transcribe", clips[1], "-m", "toy", "--json", plugins=[toy], **ALONE)
    assert ran.code == 0
    (patch,) = ran.json["files"][0]["transcript"]["asrlab"]["patches"]
    assert (patch["name"], patch["status"]) == ("toy-device", "applied")
    for choice in ({"ASRLAB_PATCHES": "off"}, {"ASRLAB_PATCHES": "toy-device"}):
        given = ("--patches", "off") if choice["ASRLAB_PATCHES"] == "toy-device" else ()
        ran = asrlab_cli("transcribe", clips[1], "-m", "toy", *given, plugins=[toy], **ALONE, **choice)
        assert ran.code == 3
        assert "Torch not compiled with CUDA enabled" in ran.err
    ran = asrlab_cli("transcribe", clips[1], "-m", "toy", "--patches", "toy", plugins=[toy], **ALONE)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no patch 'toy'" in ran.err


def test_bench_hands_the_choice_to_its_worker(asrlab_cli: Any, toy: Path, small_folder: Path):
    """A benchmark runs patched in its own process, unpatched where that is asked for, and refuses an unknown name."""
    bench = ("bench", small_folder, "-m", "toy", "--json")
    assert asrlab_cli(*bench, plugins=[toy], **ALONE).code == 0
    ran = asrlab_cli(*bench, "--patches", "off", plugins=[toy], **ALONE)
    assert ran.code == 3
    assert "Torch not compiled with CUDA enabled" in ran.out
    ran = asrlab_cli(*bench, "--patches", "toy", plugins=[toy], **ALONE)
    assert (ran.code, ran.json["error"]["type"]) == (2, "PatchError")
