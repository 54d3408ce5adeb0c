"""Patches for code that calls the packages itself: in a block, or for a process; and those that plugins bring."""

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


def needed(originals, device):
    {look}
    return asrlab.patches.PatchDecision(status="needed", reason=f"it goes to cuda instead of {{device}}")


@asrlab.plugin.hookimpl
def asrlab_patches():
    return [
        asrlab.patches.Patch(
            name={name!r}, distribution="toy-speech", versions=("1.0",), devices=("cpu", "mps"),
            reason="it goes to cuda", link="https://example.org/2", retires="when it does not", module="toy_speech",
            changes={{"toy_speech:align": lambda function, device_now: lambda times: [device_now(), *times]}},
            needed=needed,
        )
    ]
"""


@attrs.frozen
class Installed:
    """``toy-speech`` and plugins that patch it, in a folder for Python's path."""

    folder: Path
    write: Callable[..., Path]

    def plugin(self, distribution: str, *, name: str = "toy-plugged", look: str = "pass", source: str = PLUGIN) -> None:
        """Install a plugin with one patch, whose look at the package begins with the statement *look*."""
        text = source.format(name=name, look=look) if source is PLUGIN else source
        self.write(self.folder, distribution, source=text, plugins=[distribution])

    def run(self, code: str) -> str:
        """What a fresh interpreter prints that runs *code* there."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("ASRLAB_")}
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = mine | {"PYTHONPATH": path, "ASRLAB_DISABLE_PLUGINS": "faster-whisper"}
        command = [sys.executable, "-c", f"import sys, asrlab\n{code}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def installed(toy: Any, tmp_path: Path, write_distribution: Callable[..., Path]) -> Iterator[Installed]:
    """The package with one plugin, whose patch it needs."""
    it = Installed(tmp_path / "toy", write_distribution)
    it.plugin("toy-plug")
    yield it
    for name in [name for name in sys.modules if name.startswith("toy_plug")]:
        del sys.modules[name]


def test_a_block_is_patched_and_the_package_is_as_it_was_after_it(toy: Any, installed: Installed):
    """In the block the package runs on the device; the scope says what was done; an exception in it ends it, too."""
    original = toy.module.align
    with patched("toy-speech", device="mps") as scope:
        (told,) = scope.report
        assert (told.name, told.status) == ("toy-plugged", "applied")
        assert told.reason == "it goes to cuda instead of mps"
        assert toy.module.align([1.0]) == ["mps", 1.0]
    assert toy.module.align is original
    with pytest.raises(TypeError), patched("toy-speech", device="mps"):
        toy.module.align(1.0)
    assert toy.module.align is original


def test_blocks_for_two_devices_may_be_nested(toy: Any, installed: Installed):
    """The inner block's device holds inside it, and the outer one's again after it."""
    with patched("toy-speech", device="mps"):
        with patched("toy-speech", device="cpu"):
            assert toy.module.align([]) == ["cpu"]
        assert toy.module.align([]) == ["mps"]


def test_auto_is_what_torch_has_here(toy: Any, installed: Installed):
    """Without a device it is the best that PyTorch has, and the CPU where PyTorch was not imported."""
    expected = torch_devices().best() if "torch" in sys.modules else "cpu"
    with patched("toy-speech"):
        assert toy.module.align([]) == [expected]


@pytest.mark.parametrize("variable", [None, "off", "toy-plugged"])
def test_the_environment_chooses_for_a_block(
    toy: Any, installed: Installed, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    """``ASRLAB_PATCHES`` decides unless ``patches=`` does."""
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
def test_what_nobody_knows_is_refused(installed: Installed, arguments: Any, error: type[Exception], message: str):
    """An unknown package, patch or device is an error at once, with a near name, in a block and for a process."""
    for function in (lambda **given: patched(**given).__enter__(), asrlab.patches.install_patches):
        with pytest.raises(error) as refused:
            function(**{"distribution": "toy-speech"} | arguments)
        assert message in str(refused.value)


def test_a_named_patch_that_fails_is_an_error_in_a_block(toy: Any, installed: Installed):
    """By name the block is not entered; by ``auto`` it runs, unpatched."""
    installed.plugin("toy-plug-fails", name="toy-fails", look="raise KeyError('code')")
    with pytest.raises(asrlab.PatchError, match="'toy-fails' cannot be applied"):
        patched("toy-speech", device="cpu", patches="toy-fails").__enter__()
    with patched("toy-speech", device="cpu") as scope:
        assert scope.status("toy-fails") == "failed"
        assert toy.module.align([]) == ["cpu"]


def test_trying_all_says_what_each_does_here_and_leaves_nothing(toy: Any, installed: Installed):
    """Every known patch gets its status; a failing one that was named is no error; nothing stays changed."""
    original = toy.module.align
    installed.plugin("toy-plug-fails", name="toy-fails", look="raise KeyError('code')")
    host = PluginHost(disabled=["faster-whisper", "openai-whisper", "liquid-audio"])
    tried = {patch.name: status.status for patch, status in try_patches(device="cpu", host=host)}
    assert tried == {"toy-plugged": "applied", "toy-fails": "failed"}
    tried = {patch.name: status.status for patch, status in try_patches(patches="toy-fails", device="cpu", host=host)}
    assert tried == {"toy-plugged": "skipped", "toy-fails": "failed"}
    assert toy.module.align is original


def test_plugins_patches_come_after_those_built_in(installed: Installed):
    """All seven built-in ones are known, with what a reader needs; a plugin's own stands behind them."""
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
        assert all((patch.reason, patch.retires, patch.versions, patch.devices, patch.changes))
        assert patch.link.startswith("https://")


def test_of_two_patches_of_one_name_the_first_counts(toy: Any, installed: Installed, caplog: pytest.LogCaptureFixture):
    """The other is left out, and the warning names both distributions."""
    installed.plugin("toy-plug-two")
    assert [patch.name for patch in known_patches()].count("toy-plugged") == 1
    assert "patch 'toy-plugged' of toy-plug-two is left out: toy-plug has one of this name" in caplog.text


def test_a_plugin_whose_hook_raises_loses_its_own_patches_alone(installed: Installed):
    """The others are known, and the host tells of the failure."""
    source = "import asrlab\n@asrlab.plugin.hookimpl\ndef asrlab_patches(): raise ValueError('boom in hook')"
    installed.plugin("toy-plug-raises", source=source)
    host = PluginHost()
    assert "toy-plugged" in [patch.name for patch in known_patches(host)]
    assert [failure.message for failure in host.failures] == ["ValueError: boom in hook"]


LIGHT = """
before = set(sys.modules)
asrlab.patches.patched, asrlab.patches.install_patches, asrlab.patches.Patch
from asrlab.patches.direct import known_patches
assert len(known_patches()) == 7  # faster-whisper's plugin is left out here
heavy = {"wrapt", "torch", "numpy", "whisper", "faster_whisper", "liquid_audio", "transformers", "toy_speech"}
print(sorted(heavy & set(sys.modules)))
"""


def test_knowing_the_patches_imports_none_of_the_packages(installed: Installed):
    """Neither the packages that are patched nor torch nor wrapt are imported to list the patches."""
    assert installed.run(LIGHT) == "[]\n"


INSTALL = {
    "before": """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
print("toy_speech" in sys.modules, patches.report)
import toy_speech
print(toy_speech.align([]), [each.status for each in patches.report])
""",
    "after": """
import toy_speech
patches = asrlab.patches.install_patches("toy-speech", device="mps")
print(False, ())
print(toy_speech.align([]), [each.status for each in patches.report])
""",
    "removed-after": """
print(False, ())
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), [each.status for each in patches.report])
patches.remove()
patches.remove()
assert toy_speech.align([]) == ["cuda"]
assert "Model" in repr(toy_speech.Model) and toy_speech.align.__name__ == "align"
""",
}


@pytest.mark.parametrize("case", INSTALL)
def test_a_process_is_patched_when_the_package_is_imported(installed: Installed, case: str):
    """Before the import it waits and imports nothing; after it, it is applied at once; ``remove`` undoes it."""
    assert installed.run(INSTALL[case]) == "False ()\n['mps'] ['applied']\n"


def test_removed_before_the_import_nothing_is_applied(installed: Installed):
    """``remove`` before the package is imported leaves it as upstream wrote it."""
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
patches.remove()
import toy_speech
print(toy_speech.align([]), patches.report)
"""
    assert installed.run(code) == "['cuda'] ()\n"


def test_removed_while_the_package_is_imported_nothing_stays(installed: Installed):
    """``remove`` while the patches are being applied, as another thread may call it, undoes them when they are."""
    installed.plugin("toy-plug-removes", name="toy-removes", look="import __main__; __main__.patches.remove()")
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), sorted(each.status for each in patches.report))
"""
    assert installed.run(code) == "['cuda'] ['applied', 'applied']\n"


def test_patches_that_wait_for_two_modules_are_applied_once(installed: Installed):
    """The first of a package's modules that is imported brings all of its patches, and ``remove`` undoes all."""
    (installed.folder / "toy_more.py").write_text("import toy_speech\n")
    source = PLUGIN.format(name="toy-more", look="pass").replace('module="toy_speech"', 'module="toy_more"')
    installed.plugin("toy-plug-more", source=source)
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech, toy_more
print(toy_speech.align([])[0], [each.status for each in patches.report])
patches.remove()
print(toy_speech.align([]))
"""
    assert installed.run(code) == "mps ['applied', 'applied']\n['cuda']\n"


@pytest.mark.parametrize(
    "look",
    ["raise KeyError('code')", "raise SystemExit(3)", "import a_module_that_nobody_has", "return None"],
)
def test_a_patch_that_fails_never_fails_the_import(installed: Installed, look: str):
    """Whatever a patch does when its package is imported, the import succeeds and the other patches are applied."""
    installed.plugin("toy-plug-fails", name="toy-fails", look=look)
    code = """
patches = asrlab.patches.install_patches("toy-speech", device="mps")
import toy_speech
print(toy_speech.align([]), sorted(each.status for each in patches.report))
"""
    assert installed.run(code) == "['mps'] ['applied', 'failed']\n"


def test_a_layer_that_fails_never_fails_the_import(installed: Installed):
    """Not even if what looks for the device raises."""
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
    told = "toy_speech was imported, and its patches could not be applied: no device for you"
    assert installed.run(code) == f"{told}\n['cuda'] ()\n"


def test_threads_that_import_the_package_at_once_patch_it_once(installed: Installed):
    """Eight threads import it, and one removes the patches: no import fails, and nothing is left behind."""
    code = """
import threading
patches = [asrlab.patches.install_patches("toy-speech", device="mps") for _ in range(4)]
start = threading.Barrier(9)
seen = []
def bring():
    start.wait()
    import toy_speech
    seen.append(toy_speech)
def drop():
    start.wait()
    for each in patches:
        each.remove()
threads = [threading.Thread(target=bring) for _ in range(8)] + [threading.Thread(target=drop)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(seen), seen[0].align([]))
"""
    assert installed.run(code) == "8 ['cuda']\n"


def test_an_installed_patch_and_a_block_share_the_place(toy: Any, installed: Installed):
    """A block inside a patched process ends without undoing what the process has."""
    original = toy.module.align
    patches = asrlab.patches.install_patches("toy-speech", device="mps")
    with patched("toy-speech", device="cpu"):
        assert toy.module.align([]) == ["cpu"]
    assert toy.module.align([]) == ["mps"]
    other = threading.Thread(target=patches.remove)
    other.start()
    other.join()
    assert toy.module.align is original
