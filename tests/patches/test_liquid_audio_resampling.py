"""Resampling for liquid-audio with a torchaudio that is broken, absent or working, and with a fixed upstream."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from asrlab.patches.direct import patched
from asrlab.patches.liquid_audio_resampling import resample
from asrlab.testing import SimulatedProcess

pytest_plugins = ["asrlab.testing.pytest_plugin"]

torch = pytest.importorskip("torch", reason="torch is not installed")
with suppress(Exception):  # before the tests, which check that no package is changed; some need no liquid-audio
    import_module("liquid_audio.data.mapper")

NAME = "liquid-audio-resampling"

RATES = ((44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (22_050, 24_000), (16_000, 24_000), (11_025, 16_000))


def noise(*shape: int) -> Any:
    """Return white noise, which shows differences in resampling best."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("rates", RATES, ids=str)
def test_samples_are_torchaudios(rates: tuple[int, int]):
    """Resampled noise equals torchaudio's, whose filter has the precision of the samples."""
    torchaudio = pytest.importorskip("torchaudio", reason="torchaudio does not import", exc_type=Exception)
    for wave in (noise(1, 4001), noise(2, 3, 777), noise(1, 5)):
        for samples, tolerance in ((wave, 2e-4), (wave.double(), 1e-12)):
            ours, theirs = resample(samples, *rates), torchaudio.functional.resample(samples, *rates)
            assert ours.shape == theirs.shape
            assert ours.dtype == theirs.dtype
            assert (ours - theirs).abs().max() < tolerance


def test_equal_rates_return_the_same_tensor():
    """Equal rates return the same tensor, and half precision stays half precision."""
    wave = noise(1, 100)
    assert resample(wave, 16_000, 16_000) is wave
    assert resample(wave.bfloat16(), 32_000, 16_000).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("wave", "rates", "error"),
    [
        ("noise", (0, 16_000), ValueError),
        ("noise", (16_000, -1), ValueError),
        ("noise", (22_050.5, 16_000), ValueError),
        ("integers", (8_000, 16_000), TypeError),
    ],
)
def test_invalid_rates_and_samples_are_refused(wave: str, rates: tuple[Any, Any], error: type[Exception]):
    """Rates that are not positive whole numbers, and samples that are integers, are refused."""
    samples = noise(1, 10) if wave == "noise" else torch.ones(1, 10, dtype=torch.int16)
    with pytest.raises(error):
        resample(samples, *rates)


def resample_on_mps() -> tuple[bool, str, tuple[str, ...]]:
    """Resample on MPS; return whether the samples are the CPU's, their device, and operators without a kernel."""
    from asrlab.testing.mps.simulation import current_simulation

    wave = noise(1, 4410)
    on_mps = resample(wave.to("mps"), 44_100, 16_000)
    simulation = current_simulation()
    assert simulation is not None
    without_kernel = simulation.report().without_kernel
    return (
        torch.equal(on_mps.cpu(), resample(wave, 44_100, 16_000)),
        str(on_mps.device),
        tuple(map(str, without_kernel)),
    )


def test_samples_stay_on_their_device(simulated_mps_process: SimulatedProcess):
    """Resampling on MPS, which has no float64, runs on the device."""
    simulated_mps_process.reset()
    assert simulated_mps_process.run(resample_on_mps) == (True, "mps:0", ())


@pytest.fixture
def modules() -> tuple[Any, Any]:
    """Return the modules of liquid-audio that import torchaudio."""
    pytest.importorskip("torchaudio", reason="torchaudio does not import", exc_type=Exception)
    pytest.importorskip("liquid_audio.data.mapper", reason="liquid-audio is not installed", exc_type=ImportError)
    return sys.modules["liquid_audio.processor"], sys.modules["liquid_audio.data.mapper"]


def test_a_working_torchaudio_is_unchanged(modules: tuple[Any, Any]):
    """If torchaudio imports, the patch is not needed, even if it is named."""
    finders = list(sys.meta_path)
    with patched("liquid-audio", device="cpu", patches=NAME) as scope:
        assert scope.status(NAME) == "not-needed"
        assert all(module.torchaudio is sys.modules["torchaudio"] for module in modules)
    assert sys.meta_path == finders


def test_the_patch_is_retired_without_an_import_of_torchaudio(
    modules: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
):
    """The patch is retired if liquid-audio's processor does not import torchaudio."""
    with monkeypatch.context() as patch:
        for module in modules:
            patch.delattr(module, "torchaudio")
        with patched("liquid-audio", device="cpu") as scope:
            assert scope.status(NAME) == "retired"
            assert not hasattr(modules[0], "torchaudio")


BROKEN = """
import ctypes, pathlib
ctypes.CDLL(str(pathlib.Path(__file__).with_name("libtorchaudio.so")))
"""

SCRIPT = """
import sys, pathlib, asrlab, torch
from asrlab.patches.direct import patched
from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio

KIND, FOLDER, CLIP = sys.argv[1:]
if KIND == "absent":
    sys.modules["torchaudio"] = None
NAME = "liquid-audio-resampling"
was_imported = "torchaudio" in sys.modules

def assert_raises(error, words, function):
    try:
        function()
    except error as raised:
        assert words in str(raised), raised
        return
    raise AssertionError("no error was raised")

# without the patch
def plain():
    import liquid_audio
words = {"broken": "libtorchaudio.so", "absent": "torchaudio"}[KIND]
assert_raises((OSError, ImportError), words, plain)
with patched("liquid-audio", device="cpu", patches="off"):
    assert_raises((OSError, ImportError), words, plain)

# with the patch, in code that calls the package directly
with patched("liquid-audio", device="cpu") as scope:
    assert scope.status(NAME) == "applied", scope.report
    import liquid_audio.data.mapper, liquid_audio.processor
    modules = liquid_audio.processor, liquid_audio.data.mapper
    for module in modules:
        assert module.torchaudio.functional.resample(torch.ones(1, 441), 44_100, 16_000).shape == (1, 160)
        assert_raises(ImportError, words, lambda: module.torchaudio.load("x.wav"))
assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("asrlab")]
assert ("torchaudio" in sys.modules) is was_imported
unpatched = [module.torchaudio for module in modules]
for module in modules:
    assert_raises(ImportError, words, lambda: module.torchaudio.functional.resample)

# in a transcriber: applied while it is open, reported, and unpatched
tiny = write_tiny_lfm2_audio(pathlib.Path(FOLDER), says="speak_now")
model = f"liquid-audio/{tiny}"
with asrlab.load(model, device="cpu") as transcriber:
    transcript = transcriber.transcribe(CLIP)
    assert transcript.text == "speak_now"
    status = next(patch for patch in transcript.patches if patch.name == NAME)
    assert status.status == "applied" and words in status.reason, status
    assert modules[0].torchaudio is not unpatched[0]
    chat = liquid_audio.ChatState(transcriber.recognizer.processor, dtype=torch.float32)
    chat.add_audio(torch.ones(1, 44_100), 44_100)
    assert 95 <= chat.audio_in.shape[1] <= 105
assert all(module.torchaudio is before for module, before in zip(modules, unpatched))

# if the patch assert_raises, code that does not resample works
torchaudio = modules[1].torchaudio
del modules[1].torchaudio
with patched("liquid-audio", device="cpu") as scope:
    assert scope.status(NAME) == "failed", scope.report
    processor = liquid_audio.LFM2AudioProcessor.from_pretrained(tiny)
    assert processor.decode(torch.arange(96).reshape(1, 8, 12) * 21).isfinite().all()
    assert modules[0].torchaudio is unpatched[0]
modules[1].torchaudio = torchaudio
print("passed")
"""


@pytest.fixture
def broken_torchaudio(tmp_path: Path) -> Path:
    """Return a folder with a torchaudio whose library cannot be loaded, as with another torch."""
    package = tmp_path / "broken" / "torchaudio"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(BROKEN)
    (package / "libtorchaudio.so").write_text("no library")
    return package.parent


@pytest.mark.parametrize("kind", ["broken", "absent"])
def test_liquid_audio_works_without_torchaudio_only_with_the_patch(
    kind: str, broken_torchaudio: Path, tmp_path: Path, clips: tuple[Path, ...], asrlab_cli: Any
):
    """Only with the patch liquid-audio imports and transcribes; afterwards the original objects are restored."""
    pytest.importorskip("liquid_audio", reason="liquid-audio is not installed", exc_type=ImportError)
    environment = asrlab_cli.environment(plugins=[broken_torchaudio] if kind == "broken" else [])
    command = [sys.executable, "-c", SCRIPT, kind, str(tmp_path / "tiny"), str(clips[1])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.splitlines()[-1:] == ["passed"], done.stderr[-2000:]


INSTALLED = """
import asrlab
installed = asrlab.patches.install_patches("liquid-audio", device="cpu")
import transformers, sys
assert "torchaudio" not in sys.modules
import liquid_audio, torch
print([patch.status for patch in installed.report if patch.name == "liquid-audio-resampling"])
import liquid_audio.processor as processor
print(processor.torchaudio.functional.resample(torch.ones(1, 32), 32_000, 16_000).shape[1])
installed.remove()
try:
    processor.torchaudio.functional
except ImportError as error:
    print("libtorchaudio.so" in str(error))
print([finder for finder in sys.meta_path if type(finder).__module__.startswith("asrlab")])
"""


def test_a_process_can_be_patched_before_the_import(broken_torchaudio: Path, asrlab_cli: Any):
    """``install_patches`` makes a later ``import liquid_audio`` succeed, until the patches are removed."""
    pytest.importorskip("liquid_audio", reason="liquid-audio is not installed", exc_type=ImportError)
    environment = asrlab_cli.environment(plugins=[broken_torchaudio])
    command = [sys.executable, "-c", INSTALLED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.splitlines() == ["['applied']", "16", "True", "[]"], done.stderr[-2000:]
