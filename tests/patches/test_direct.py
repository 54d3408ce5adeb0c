"""Patches for code that calls the packages directly: in a block, for a process, and from plugins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import asrlab
from asrlab.device import torch_devices
from asrlab.patches.direct import known_patches, patched, try_patches
from asrlab.plugins.manager import PluginHost

PLUGIN = """
import asrlab


def check(originals, device):
    {statement}
    return asrlab.patches.PatchDecision(status="needed", reason=f"it goes to cuda instead of {{device}}")


@asrlab.plugin.hookimpl
def asrlab_patches():
    return [
        asrlab.patches.Patch(
            name={name!r}, distribution="toy-speech", versions=("1.0",), devices=("cpu", "mps"),
            reason="it goes to cuda", issue_url="https://example.org/2", obsolete_when="when it does not",
            module="toy_speech",
            changes={{"toy_speech:align": lambda function, current_device: lambda times: [current_device(), *times]}},
            check=check,
        )
    ]
"""


@attrs.frozen
class Installation:
    """A folder for Python's path with ``toy-speech`` and plugins that patch it."""

    folder: Path
    write: Callable[..., Path]

    def plugin(
        self, distribution: str, *, name: str = "toy-plugged", statement: str = "pass", source: str = PLUGIN
    ) -> None:
        """Install a plugin with one patch, whose check begins with *statement*."""
        text = source.format(name=name, statement=statement) if source is PLUGIN else source
        self.write(self.folder, distribution, source=text, plugins=[distribution])

    def run(self, code: str) -> str:
        """Run *code* in a fresh interpreter and return its output."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASRLAB_")}
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = inherited | {"PYTHONPATH": path, "ASRLAB_DISABLE_PLUGINS": "faster-whisper"}
        command = [sys.executable, "-c", f"import sys, asrlab\n{code}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def installed(toy: Any, tmp_path: Path, write_distribution: Callable[..., Path]) -> Iterator[Installation]:
    """Install the package with a plugin whose patch the package needs."""
    installation = Installation(tmp_path / "toy", write_distribution)
    installation.plugin("toy-plug")
    yield installation
    for name in [name for name in sys.modules if name.startswith("toy_plug")]:
        del sys.modules[name]


def test_a_block_is_patched_and_the_package_restored(toy: Any, installed: Installation):
    """The package runs on the device in the block, and is restored after it, also after an exception."""
    original = toy.module.align
    with patched("toy-speech", device="mps") as scope:
        (status,) = scope.report
        assert (status.name, status.status) == ("toy-plugged", "applied")
        assert status.reason == "it goes to cuda instead of mps"
        assert toy.module.align([1.0]) == ["mps", 1.0]
    assert toy.module.align is original
    with pytest.raises(TypeError), patched("toy-speech", device="mps"):
        toy.module.align(1.0)
    assert toy.module.align is original


def test_blocks_for_two_devices_can_be_nested(toy: Any, installed: Installation):
    """The device of the inner block is used inside it, and that of the outer block after it."""
    with patched("toy-speech", device="mps"):
        with patched("toy-speech", device="cpu"):
            assert toy.module.align([]) == ["cpu"]
        assert toy.module.align([]) == ["mps"]


def test_auto_is_the_best_device_of_torch(toy: Any, installed: Installation):
    """The default device is the best of PyTorch, and the CPU if PyTorch was not imported."""
    expected = torch_devices().best() if "torch" in sys.modules else "cpu"
    with patched("toy-speech"):
        assert toy.module.align([]) == [expected]


@pytest.mark.parametrize("variable", [None, "off", "toy-plugged"])
def test_the_environment_selects_patches_of_a_block(
    toy: Any, installed: Installation, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    """``ASRLAB_PATCHES`` selects the patches unless ``patches=`` is given."""
    with monkeypatch.context() as environment:
        if variable is not None:
            environment.setenv("ASRLAB_PATCHES", variable)
        with patched("toy-speech", device="cpu") as scope:
            assert scope.status("toy-plugged") == ("skipped" if variable == "off" else "applied")
        with patched("toy-speech", device="cpu", patches="off"):
            assert toy.module.align([]) == ["cuda"]
        with patched("toy-speech", device="cpu", patches=["toy-plugged"]):
            assert toy.module.align([]) == ["cpu"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"distribution": "toy_speech"}, asrlab.PatchError, "'toy_speech' is known; did you mean 'toy-speech'?"),
        ({"distribution": "numpy"}, asrlab.PatchError, "there are patches for faster-whisper, liquid-audio, openai-"),
        ({"patches": "toy-pluged"}, asrlab.PatchError, "no patch 'toy-pluged'; did you mean 'toy-plugged'?"),
        ({"device": "gpu"}, asrlab.DeviceUnavailableError, "there is no device 'gpu'; name one of auto, cpu, cuda"),
        ({"device": "cuda:one"}, asrlab.DeviceUnavailableError, "there is no device 'cuda:one'"),
    ],
    ids=["spelling", "unknown", "patch", "device", "number"],
)
def test_unknown_names_are_refused(installed: Installation, arguments: Any, error: type[Exception], message: str):
    """An unknown package, patch or device is an error at once, with a similar name, in a block and for a process."""
    for function in (lambda **given: patched(**given).__enter__(), asrlab.patches.install_patches):
        with pytest.raises(error) as refused:
            function(**{"distribution": "toy-speech"} | arguments)
        assert message in str(refused.value)


def test_a_named_patch_that_fails_is_an_error_in_a_block(toy: Any, installed: Installation):
    """A named patch that fails prevents the block; with ``auto`` the block runs without the patch."""
    installed.plugin("toy-plug-fails", name="toy-fails", statement="raise KeyError('code')")
    with pytest.raises(asrlab.PatchError, match="'toy-fails' cannot be applied"):
        patched("toy-speech", device="cpu", patches="toy-fails").__enter__()
    with patched("toy-speech", device="cpu") as scope:
        assert scope.status("toy-fails") == "failed"
        assert toy.module.align([]) == ["cpu"]


def test_trying_all_patches_reports_and_restores(toy: Any, installed: Installation):
    """Each known patch gets a status, a named patch that fails is not an error, and the package is restored."""
    original = toy.module.align
    installed.plugin("toy-plug-fails", name="toy-fails", statement="raise KeyError('code')")
    host = PluginHost(disabled=["faster-whisper", "openai-whisper", "liquid-audio"])
    tried = {patch.name: status.status for patch, status in try_patches(device="cpu", host=host)}
    assert tried == {"toy-plugged": "applied", "toy-fails": "failed"}
    tried = {patch.name: status.status for patch, status in try_patches(patches="toy-fails", device="cpu", host=host)}
    assert tried == {"toy-plugged": "skipped", "toy-fails": "failed"}
    assert toy.module.align is original


def test_patches_of_plugins_come_after_the_built_in_ones(installed: Installation):
    """The seven built-in patches are known, with all their facts, and those of a plugin come after them."""
    known = known_patches()
    assert [patch.name for patch in known] == [
        "faster-whisper-pyav-metadata-errors",
        "openai-whisper-alignment-heads",
        "openai-whisper-float64-alignment",
        "liquid-audio-resampling",
        "liquid-audio-detokenizer-device",
        "liquid-audio-flash-attention",
        "liquid-audio-default-device",
        "toy-plugged",
    ]
    for patch in known:
        assert all((patch.reason, patch.obsolete_when, patch.versions, patch.devices, patch.changes))
        assert patch.issue_url.startswith("https://")


def test_the_first_of_two_patches_with_one_name_is_used(
    toy: Any, installed: Installation, caplog: pytest.LogCaptureFixture
):
    """The second patch of a name is skipped, with a warning that names both distributions."""
    installed.plugin("toy-plug-two")
    assert [patch.name for patch in known_patches()].count("toy-plugged") == 1
    assert "skipping patch 'toy-plugged' of toy-plug-two: toy-plug has a patch of this name" in caplog.text


def test_a_hook_that_raises_loses_only_its_own_patches(installed: Installation):
    """The other patches are known, and the host reports the failure."""
    source = "import asrlab\n@asrlab.plugin.hookimpl\ndef asrlab_patches(): raise ValueError('boom in hook')"
    installed.plugin("toy-plug-raises", source=source)
    host = PluginHost()
    assert "toy-plugged" in [patch.name for patch in known_patches(host)]
    assert [failure.message for failure in host.failures] == ["ValueError: boom in hook"]


LIGHT = """
before = set(sys.modules)
asrlab.patches.patched, asrlab.patches.install_patches, asrlab.patches.Patch
from asrlab.patches.direct import known_patches
assert len(known_patches()) == 7  # faster-whisper's plugin is disabled here
heavy = {"wrapt", "torch", "numpy", "whisper", "faster_whisper", "liquid_audio", "transformers", "toy_speech"}
print(sorted(heavy & set(sys.modules)))
"""


def test_listing_patches_imports_no_package(installed: Installation):
    """Listing the patches imports neither the patched packages nor torch nor wrapt."""
    assert installed.run(LIGHT) == "[]\n"


INSTALL = {
    "before": """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
print("toy_speech" in sys.modules, patches.report)
import toy_speech
print(toy_speech.align([]), [status.status for status in patches.report])
""",
    "after": """
import toy_speech
patches = asrlab.patches.install_patches("toy-speech", device="mps")
print(False, ())
print(toy_speech.align([]), [status.status for status in patches.report])
""",
    "removed-after": """
print(False, ())
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), [status.status for status in patches.report])
patches.remove()
patches.remove()
assert toy_speech.align([]) == ["cuda"]
assert "Model" in repr(toy_speech.Model) and toy_speech.align.__name__ == "align"
""",
}


@pytest.mark.parametrize("case", INSTALL)
def test_a_process_is_patched_when_the_package_is_imported(installed: Installation, case: str):
    """A patch is applied at the import of its package, or at once after it, and ``remove`` undoes it."""
    assert installed.run(INSTALL[case]) == "False ()\n['mps'] ['applied']\n"


def test_patches_removed_before_the_import_are_not_applied(installed: Installation):
    """``remove`` before the import leaves the package unchanged."""
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
patches.remove()
import toy_speech
print(toy_speech.align([]), patches.report)
"""
    assert installed.run(code) == "['cuda'] ()\n"


def test_patches_removed_during_the_import_are_undone(installed: Installation):
    """``remove`` while the patches are being applied, as by another thread, undoes them afterwards."""
    installed.plugin("toy-plug-removes", name="toy-removes", statement="import __main__; __main__.patches.remove()")
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), sorted(status.status for status in patches.report))
"""
    assert installed.run(code) == "['cuda'] ['applied', 'applied']\n"


def test_patches_that_wait_for_two_modules_are_applied_once(installed: Installation):
    """The import of one of two modules applies all patches once, and ``remove`` undoes all."""
    (installed.folder / "toy_more.py").write_text("import toy_speech\n")
    source = PLUGIN.format(name="toy-more", statement="pass").replace('module="toy_speech"', 'module="toy_more"')
    installed.plugin("toy-plug-more", source=source)
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech, toy_more
print(toy_speech.align([])[0], [status.status for status in patches.report])
patches.remove()
print(toy_speech.align([]))
"""
    assert installed.run(code) == "mps ['applied', 'applied']\n['cuda']\n"


@pytest.mark.parametrize(
    "statement",
    ["raise KeyError('code')", "raise SystemExit(3)", "import a_missing_module", "return None"],
)
def test_a_patch_that_fails_never_fails_the_import(installed: Installation, statement: str):
    """The import of a package succeeds even if a patch fails, and the other patches are applied."""
    installed.plugin("toy-plug-fails", name="toy-fails", statement=statement)
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), sorted(status.status for status in patches.report))
"""
    assert installed.run(code) == "['mps'] ['applied', 'failed']\n"


def test_a_device_lookup_that_fails_never_fails_the_import(installed: Installation):
    """The import of a package succeeds even if the lookup of the device raises."""
    code = """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import asrlab.patches.direct
def broken(*_):
    raise RuntimeError("no device for you")
asrlab.patches.direct.torch_devices = broken
sys.modules["torch"] = None
patches = asrlab.patches.install_patches("toy-speech")
import toy_speech
print(toy_speech.align([]), patches.report)
"""
    message = "toy_speech was imported, and its patches could not be applied: no device for you"
    assert installed.run(code) == f"{message}\n['cuda'] ()\n"


def test_threads_that_import_together_patch_once(installed: Installation):
    """Eight threads import the package and one removes the patches: no import fails, and the package is restored."""
    code = """
import threading
patches = [asrlab.patches.install_patches("toy-speech", device="mps") for _ in range(4)]
start = threading.Barrier(9)
modules = []
def import_package():
    start.wait()
    import toy_speech
    modules.append(toy_speech)
def remove_patches():
    start.wait()
    for patch in patches:
        patch.remove()
threads = [threading.Thread(target=import_package) for _ in range(8)] + [threading.Thread(target=remove_patches)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(modules), modules[0].align([]))
"""
    assert installed.run(code) == "8 ['cuda']\n"


def test_an_installed_patch_and_a_block_share_the_target(toy: Any, installed: Installation):
    """The end of a block inside a patched process does not undo the patch of the process."""
    original = toy.module.align
    patches = asrlab.patches.install_patches("toy-speech", device="mps")
    with patched("toy-speech", device="cpu"):
        assert toy.module.align([]) == ["cpu"]
    assert toy.module.align([]) == ["mps"]
    other = threading.Thread(target=patches.remove)
    other.start()
    other.join()
    assert toy.module.align is original
