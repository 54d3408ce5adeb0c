"""Tests of ``asrlab patches``, and of ``--patches`` in the commands that load models."""

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

WITHOUT_MODEL_ENGINES = {"ASRLAB_DISABLE_PLUGINS": "faster-whisper,openai-whisper,liquid-audio"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Return the folder of a package that supports only cuda, and of its engine plugin with a patch."""
    folder = tmp_path_factory.mktemp("toy")
    write_distribution(folder, "toy-cli", source=TOY, plugins=())
    return write_distribution(folder, "toy-cli-plug", source=PLUGIN)


def test_the_patches_are_listed_with_their_status(asrlab_cli: Any, toy: Path):
    """Each patch has its status, reason, link and expiry, as text and as JSON."""
    result = asrlab_cli("patches", "--json", "--device", "cpu", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.err, result.json["device"]) == (0, "asrlab: importing toy-cli ...\n", "cpu")
    assert result.json["patches"] == [
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
    result = asrlab_cli("patches", "--device", "cpu", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.err) == (0, "asrlab: importing toy-cli ...\n")
    assert result.out.splitlines() == [
        "toy-device: applied",
        "  here      [red]cuda[/red] instead of cpu",
        "  why       load() goes to cuda",
        "  for       toy-cli on cpu, mps; tested with 1.0",
        "  upstream  https://example.org/toy/1",
        "  obsolete  when it does not",
    ]


@pytest.mark.parametrize("choice", [(), ("--patches", "toy-device")], ids=["auto", "named"])
def test_a_patch_that_fails_is_listed_and_exits_with_1(asrlab_cli: Any, toy: Path, choice: tuple[str, ...]):
    """A needed patch that fails is listed as failed and exits with 1, also if it was selected by name."""
    result = asrlab_cli("patches", "--json", "--device", "mps", *choice, plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert result.code == 1
    assert result.json["patches"][0]["status"] == "failed"
    assert result.json["patches"][0]["reason"] == "LookupError: [bold]no loader[/bold]"
    assert "warning: patch toy-device for toy-cli on mps: failed" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--patches", "toy-devise"), 2, "there is no patch 'toy-devise'; did you mean 'toy-device'?"),
        (("--device", "gpu"), 3, "there is no device 'gpu'; name one of auto, cpu, cuda, cuda:N, mps"),
    ],
)
def test_an_unknown_patch_or_device_is_an_error(
    asrlab_cli: Any, toy: Path, arguments: tuple[str, ...], code: int, message: str
):
    """The error has its exit code, and standard output has only the JSON object of the error."""
    result = asrlab_cli("patches", *arguments, plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert (
        asrlab_cli("patches", *arguments, "--json", plugins=[toy], **WITHOUT_MODEL_ENGINES).json["error"]["exit_code"]
        == code
    )


def test_transcribe_applies_the_patches_of_the_engine(asrlab_cli: Any, toy: Path, clips: tuple[Path, ...]):
    """The transcript lists the patch, ``off`` disables it, and an unknown name is refused."""
    result = asrlab_cli("transcribe", clips[1], "-m", "toy", "--json", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert result.code == 0
    (patch,) = result.json["files"][0]["transcript"]["asrlab"]["patches"]
    assert (patch["name"], patch["status"]) == ("toy-device", "applied")
    for choice in ({"ASRLAB_PATCHES": "off"}, {"ASRLAB_PATCHES": "toy-device"}):
        options = ("--patches", "off") if choice["ASRLAB_PATCHES"] == "toy-device" else ()
        result = asrlab_cli(
            "transcribe", clips[1], "-m", "toy", *options, plugins=[toy], **WITHOUT_MODEL_ENGINES, **choice
        )
        assert result.code == 3
        assert "Torch not compiled with CUDA enabled" in result.err
    result = asrlab_cli("transcribe", clips[1], "-m", "toy", "--patches", "toy", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.out) == (2, "")
    assert "there is no patch 'toy'" in result.err


def test_bench_applies_the_selection_in_its_worker(asrlab_cli: Any, toy: Path, small_folder: Path):
    """The worker of a bench applies the patch, omits it with ``off``, and an unknown name is refused."""
    bench = ("bench", small_folder, "-m", "toy", "--json")
    assert asrlab_cli(*bench, plugins=[toy], **WITHOUT_MODEL_ENGINES).code == 0
    result = asrlab_cli(*bench, "--patches", "off", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert result.code == 3
    assert "Torch not compiled with CUDA enabled" in result.out
    result = asrlab_cli(*bench, "--patches", "toy", plugins=[toy], **WITHOUT_MODEL_ENGINES)
    assert (result.code, result.json["error"]["type"]) == (2, "PatchError")
