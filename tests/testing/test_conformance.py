"""The built-in engines keep to what the kit asks, and the kit's class and command tell what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asrlab.errors import AsrlabError, OptionError
from asrlab.installation import install_command
from asrlab.testing import Target, TranscriberConformance
from asrlab.testing.conformance.process import run_in_subprocess

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

PACKAGES = {"faster-whisper": "faster_whisper", "openai-whisper": "whisper"}


def tiny_whisper(engine: str) -> Target:
    """The smallest model of Whisper whose weights a package carries."""
    pytest.importorskip(PACKAGES[engine], reason=f"{engine} is not installed")
    return Target(model=f"{engine}/tiny.en")


class TestEcho(TranscriberConformance):
    """The echo engine."""

    @pytest.fixture
    def subject(self) -> Target:
        """On the CPU, the only device it has."""
        return Target(model="echo/echo")


@pytest.mark.usefixtures("tiny_en_carrier", "use_weights")
class TestFasterWhisper(TranscriberConformance):
    """Whisper on CTranslate2."""

    @pytest.fixture
    def subject(self) -> Target:
        """On the CPU."""
        return tiny_whisper("faster-whisper")


@pytest.mark.usefixtures("tiny_en_carrier", "use_weights")
class TestOpenAIWhisper(TranscriberConformance):
    """Whisper on PyTorch."""

    @pytest.fixture
    def subject(self) -> Target:
        """On the CPU."""
        return tiny_whisper("openai-whisper")


class TestLiquidAudio(TranscriberConformance):
    """LFM2.5-Audio with weights that say one text."""

    @pytest.fixture
    def subject(self, tiny_lfm2_audio: Callable[..., Path]) -> Target:
        """On the CPU."""
        return Target(model=f"liquid-audio/{tiny_lfm2_audio()}")


CLASSES = """
import pytest
from asrlab.testing import Subject, TranscriberConformance


class TestConforms(TranscriberConformance):
    @pytest.fixture
    def subject(self):
        return Subject(model="echo/echo")


class TestUnknown(TranscriberConformance):
    @pytest.fixture
    def subject(self):
        return Subject(model="ecco/ecco")


class TestNothing(TranscriberConformance):
    pass
"""


def test_the_class_tells_what_is_wrong(pytester: pytest.Pytester) -> None:
    """A check that holds passes, one that does not fails with its sentence and what to do, and others are skipped."""
    pytester.makepyfile(CLASSES)
    done = pytester.runpytest_inprocess("-k", "plugin or times", "-rs", "-p", "no:cacheprovider")
    text = done.stdout.str()
    assert "ecco/ecco on cpu: plugin: The plugin loads, its hooks work" in text
    assert f"install the plugin with its entry point ({install_command('-e', '.')})" in text
    assert "there is no such model: see the check 'plugin'" in text
    assert "TestNothing needs a fixture 'subject' that returns an asrlab.testing.Target" in text


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m asrlab.testing.conformance``."""
    program = [sys.executable, "-m", "asrlab.testing.conformance", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_the_command_prints_a_table() -> None:
    """A row for each model on each device; what failed and what was skipped below it; exit code 1 for a failure."""
    done = command("echo/echo", "--device", "cpu", "--device", "cuda")
    assert done.returncode == 1, done.stderr
    assert "echo/echo on cpu: skipped parameters: the transcriber holds nothing that tells" in done.stdout
    assert "echo/echo on cuda: failed loads: asrlab.load raised: engine 'echo' cannot use device 'cuda'" in done.stdout


def test_the_command_prints_json() -> None:
    """The same as one document; exit code 0 where nothing failed."""
    done = command("echo/echo", "--json")
    assert done.returncode == 0, done.stderr
    (subject,) = json.loads(done.stdout)["subjects"]
    assert (subject["model"], subject["device"], subject["conforms"], subject["failed"]) == (
        "echo/echo",
        "cpu",
        True,
        0,
    )
    assert {"check": "closing", "outcome": "passed", "told": []}.items() <= subject["checks"][-12].items()


def test_the_commands_help_shows_an_example() -> None:
    """--help has a command line to copy, and a device that does not exist is one line and exit code 2."""
    assert "  python -m asrlab.testing.conformance my-engine/small\n" in command("--help").stdout
    wrong = command("echo/echo", "--device", "tpu")
    assert wrong.returncode == 2
    assert "the kit cannot check on device 'tpu'" in wrong.stderr


def end_badly() -> None:
    """End without an answer."""
    sys.stderr.write("nothing is well\n")
    sys.exit(3)


def wait_for_ever() -> None:
    """Wait for what does not come."""
    sys.stdin.read()
    import threading

    threading.Event().wait()


def test_a_process_that_ends_badly_is_told() -> None:
    """Its code and its last words are in the error."""
    with pytest.raises(AsrlabError, match=r"ended with code 3; its last words:\nnothing is well"):
        run_in_subprocess(end_badly, limit_s=60)


def test_a_process_that_takes_too_long_is_ended() -> None:
    """Beyond its limit it is killed, and the error says what to do."""
    with pytest.raises(AsrlabError, match="did not end within 1 s; make the engine faster"):
        run_in_subprocess(wait_for_ever, limit_s=1)


def test_a_subject_on_no_device_is_refused() -> None:
    """A device that the kit cannot check on is an error at once."""
    with pytest.raises(OptionError, match="name one of cpu, cuda"):
        Target(model="echo/echo", device="auto")


def test_the_names_of_the_kit_load_no_pytest() -> None:
    """A subject can be had without pytest; the class is what brings it."""
    code = "import sys; from asrlab.testing import Subject; print({'pytest', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
