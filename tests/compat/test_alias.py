"""The replacements as ``sys.modules["whisper"]``, and ``python -m asrlab.compat.run``, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALIASED = """
import sys, asrlab.compat.{package} as shim
sys.modules["{package}"] = shim
"""


def run_python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python with *arguments*, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ASRLAB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def run_aliased(package: str, code: str, *arguments: str | Path) -> list[str]:
    """Run *code* with the replacement of *package* in ``sys.modules``, and return the printed lines."""
    done = run_python("-c", ALIASED.format(package=package) + code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


WHISPER = """
import whisper, whisper.audio, whisper.timing
from whisper.transcribe import cli
model = whisper.load_model(sys.argv[1], device="cpu")
print(type(model).__module__, whisper.transcribe(model, sys.argv[2], word_timestamps=True)["text"])
import whisper.utils
print(sys.modules["whisper"] is shim, whisper.audio is shim.audio, whisper.utils.get_writer is shim.utils.get_writer)
upstream = sys.modules.get("asrlab.engines.openai_whisper.recognizer")
if upstream:
    print(upstream.whisper.__file__ != shim.__file__, upstream.whisper.timing.dtw is whisper.timing.dtw)
"""


@pytest.mark.usefixtures("use_weights")
def test_an_alias_works_over_the_engine_of_the_same_name(clips: tuple[Path, ...]):
    """The engine imports the real package, once, and the program has the replacement, whose classes exist once."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    model, modules, engine = run_aliased("whisper", WHISPER, "tiny.en", clips[1])
    assert model.startswith("asrlab.compat.whisper.model  He was not")
    assert (modules, engine) == ("True True True", "True True")


def test_an_alias_works_over_another_engine(clips: tuple[Path, ...]):
    """An engine that needs no weights transcribes for a program that imports whisper."""
    assert run_aliased("whisper", WHISPER, "echo/echo", clips[1]) == [
        "asrlab.compat.whisper.model  loud loud loud",
        "True True True",
    ]


FASTER_WHISPER = """
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions
from faster_whisper.tokenizer import _LANGUAGE_CODES
model = WhisperModel("base", device="cpu", compute_type="int8", cpu_threads=1)
segments, info = model.transcribe(sys.argv[1], vad_filter=True, vad_parameters=VadOptions(threshold=0.4))
print(type(model).__module__, info.vad_options.threshold, *(segment.text for segment in segments))
print(sys.modules["faster_whisper"] is shim, VadOptions is shim.VadOptions)
"""


@pytest.mark.usefixtures("use_weights")
def test_faster_whisper_can_be_an_alias(clips: tuple[Path, ...]):
    """Classes of the replacement's modules are those of the package, whichever way they are imported."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    model, modules = run_aliased("faster_whisper", FASTER_WHISPER, clips[1])
    assert model.startswith("asrlab.compat.faster_whisper.transcribe 0.4  He was not")
    assert modules == "True True"


LATE = """
import sys, whisper.timing
dtw, package = whisper.timing.dtw, whisper
import asrlab, asrlab.compat.whisper as shim
sys.modules["whisper"] = shim
from asrlab.upstream import find_upstream, import_upstream
print(import_upstream("whisper.timing").dtw is dtw, find_upstream("whisper").origin == package.__file__)
print(import_upstream("whisper.timing").dtw is dtw, "asrlab.compat" in __import__("whisper").__name__)
del sys.modules["whisper"]
print(import_upstream("whisper.timing").dtw is dtw, import_upstream("whisper").__file__ == package.__file__)
"""


def test_a_module_of_upstream_exists_once():
    """A patch reaches the modules that the engine uses, also if the alias came after the import, and is removed."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    done = run_python("-c", LATE)
    assert done.stdout.splitlines() == ["True True"] * 3, done.stderr


PASSED_ON = """
import whisper, whisper.normalizers, torch
from whisper.model import ModelDimensions, sinusoids
from whisper.normalizers.english import EnglishTextNormalizer
from whisper.tokenizer import get_tokenizer
from whisper.utils import exact_div
print(get_tokenizer(multilingual=True).encode(" hello"), EnglishTextNormalizer()("Mr. Brown"), exact_div(6, 3))
print(whisper.__version__, whisper.audio.mel_filters("cpu", 80).shape[0], "base" in whisper._MODELS)
print(hasattr(whisper, "no_such_name"), hasattr(whisper.audio, "no_such_name"), ModelDimensions is shim.ModelDimensions)
"""


def test_what_only_upstream_has_is_upstreams():
    """Tokenizers, normalizers, constants and private names come from the installed package."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    assert run_aliased("whisper", PASSED_ON) == [
        "[7751] mister brown 2",
        "20250625 80 True",
        "False False True",
    ]


def test_faster_whispers_modules_are_passed_on():
    """Language codes are upstream's, and what has no replacement is upstream's object."""
    upstream = pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    from faster_whisper.transcribe import get_ctranslate2_storage

    from asrlab.compat import faster_whisper as shim
    from asrlab.compat.faster_whisper import feature_extractor, tokenizer, transcribe

    assert upstream.tokenizer._LANGUAGE_CODES == tokenizer._LANGUAGE_CODES  # noqa: SLF001 - programs use it
    assert transcribe.get_ctranslate2_storage is get_ctranslate2_storage
    assert feature_extractor.FeatureExtractor is upstream.feature_extractor.FeatureExtractor
    assert shim.vad.get_speech_timestamps is upstream.vad.get_speech_timestamps
    assert (shim.__version__, shim.audio.pad_or_trim) == (upstream.__version__, upstream.audio.pad_or_trim)


MISSING = """
import sys
sys.modules["faster_whisper"] = None
from asrlab.compat.faster_whisper import __version__, tokenizer
print(__version__, len(tokenizer._LANGUAGE_CODES))
try:
    from asrlab.compat.faster_whisper.vad import get_speech_timestamps
except ImportError as error:
    print(error)
"""


def test_what_only_upstream_has_needs_upstream():
    """Without the package its own facts remain, and anything else is one error that names what to install."""
    done = run_python("-c", MISSING)
    facts, error = done.stdout.splitlines()
    assert facts == "1.2.1 100"
    assert "faster_whisper.vad.get_speech_timestamps" in error
    assert "faster-whisper, which may have it, is not installed; run: " in error


PROGRAM = """
import sys, whisper
print(whisper.__name__, __name__, sys.argv[1:], whisper.load_model("echo/echo").transcribe(sys.argv[1])["text"])
sys.exit(7)
"""


@pytest.mark.parametrize("kind", ["script", "module"])
def test_run_keeps_arguments_and_exit_code(tmp_path: Path, clips: tuple[Path, ...], kind: str):
    """A script or module runs unchanged: as ``__main__``, with its arguments, and with its exit code."""
    (tmp_path / "program.py").write_text(PROGRAM)
    program = ["-m", "program"] if kind == "module" else [tmp_path / "program.py"]
    command = [sys.executable, "-m", "asrlab.compat.run", "whisper", *program, clips[1], "--flag"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    arguments = [str(clips[1]), "--flag"]
    assert done.stdout == f"asrlab.compat.whisper __main__ {arguments}  loud loud loud\n", done.stderr
    assert done.returncode == 7


def test_run_starts_installed_commands(tmp_path: Path, clips: tuple[Path, ...]):
    """Upstream's own command writes its file with a model of another engine."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    command = ("whisper", clips[1], "--model", "echo/echo", "--output_dir", tmp_path, "--output_format", "txt")
    done = run_python("-m", "asrlab.compat.run", "whisper", *command)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{clips[1].stem}.txt").read_text() == "loud\nloud\nloud\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["whisper"], "give a script, -m MODULE, or an installed command"),
        (["whisper", "no-such-program"], "no script or installed command 'no-such-program'"),
        (["whisper", "-m", "no.such"], "no module 'no.such'"),
        (["whisper", "-m"], "-m requires the name of a module"),
    ],
)
def test_run_refuses_what_it_cannot_start(arguments: list[str], message: str):
    """A program that is not there is a usage error, and help shows examples."""
    done = run_python("-m", "asrlab.compat.run", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "asrlab.compat.run whisper transcribe.py talk.mp3" in run_python("-m", "asrlab.compat.run", "--help").stdout
