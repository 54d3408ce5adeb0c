"""Engines that do one thing wrong turn exactly the check of it red."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asrlab.testing import Target
from asrlab.testing.conformance.check import Check, Verdict, judge
from asrlab.testing.conformance.checks import CHECKS
from asrlab.testing.conformance.context import CheckContext
from asrlab.testing.conformance.process import run_in_subprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAD_ENGINES = Path(__file__).with_name("bad_engines.py")
ENGINE = """
import asrlab
{before}


@asrlab.plugin.hookimpl
def asrlab_engines():
    {within}
    return [
        asrlab.plugin.EngineSpec(
            name="{name}", factory="bad_engines:load", devices="bad_engines:devices",
            models=(asrlab.plugin.ModelSpec(name="good"),), compute_types=("float32",), {fields}
        )
    ]
"""
API = "asrlab_plugin_api = 2"
OTHERS = {
    "says-nothing": {"name": "says-nothing"},
    "of-later-times": {"name": "of-later-times", "before": "asrlab_plugin_api = 99"},
    "first-twin": {"name": "twin", "before": API},
    "second-twin": {"name": "twin", "before": API},
    "imports-engine": {
        "name": "imports-engine",
        "before": f"import sndhdr_engine\n{API}",
        "fields": "import_name='sndhdr_engine', distribution='bad-engines', versions_of=('bad-engines',), install='x',",
    },
    "asks-network": {"name": "asks-network", "before": f"import socket\n{API}", "within": "socket.socket().close()"},
}

LEAKS = tuple(check.name for check in CHECKS if check.name.startswith("leaves-"))
# what is wrong with a model, and what is told of it
FAULTS = {
    "says-nothing/good": ("plugin", "write asrlab_plugin_api = 2"),
    "of-later-times/good": ("plugin", "it is written for plugin API 99, this asrlab has 2"),
    "twin/good": ("names", "2 engines are called 'twin' (first-twin, second-twin)"),
    "no-default/good": ("names", "default_model 'better' is none of the models good"),
    "no-install/good": ("spec", "state the command that installs numpy"),
    "no-tuple/good": ("spec", "languages of 'good' is 'en'; give a tuple of str"),
    "no-factory/good": ("code", "factory='bad_engines:lode' cannot be imported"),
    "lax/good": ("compute-type", "compute_type='float13' was taken, and is now 'float32'"),
    "bad/loads": ("loads", "no weights in the box"),
    "bad/capabilities": ("capabilities", "capabilities.languages is ['en']; give a tuple"),
    "bad/facts": ("facts", "info.compute_type is 'auto'; name the number format"),
    "bad/device": ("device", "asked for cpu, info.device says Device(requested='cpu', resolved='cuda:0'"),
    "bad/parameters": ("parameters", "of the model's parameters 100% on meta"),
    "bad/times-ms": ("times", "is not inside the audio of 2.99 s (are they milliseconds"),
    "bad/times-nan": ("times", "has a time that is no finite number"),
    "bad/times-order": ("times", "starts before the one in front of it"),
    "bad/words-unasked": ("words", "has words that nobody asked for"),
    "bad/words-lacking": ("words", "has no words where they were asked for"),
    "bad/silence": ("silence", "raised ZeroDivisionError: division by the loudest sample"),
    "bad/empty": ("empty", "raised ZeroDivisionError: division by the duration"),
    "bad/short": ("short", "raised IndexError: no frame"),
    "bad/stereo": ("stereo", "raised ValueError: cannot take this"),
    "bad/low-rate": ("low-rate", "raised ValueError: cannot take this"),
    "bad/refused-options": ("refused-options", "transcribe(..., hotwords='amiable') was taken"),
    "bad/honoured-options": ("honoured-options", "beam_size=2 raised TypeError"),
    "bad/same-again": ("same-again", "the same audio gave 'word "),
    "bad/stream": ("stream", "leave both as they are, and write recognize()"),
    "bad/many-order": ("many", "3 items gave the outcomes [2, 1, 0]"),
    "bad/many-raises": ("many", "cannot decode '<bytes>': it looks like text was raised where nothing should be"),
    "bad/at-once": ("at-once", "two threads at once: RuntimeError: made in another thread"),
    "bad/closing": ("closing", "closed is False after close()"),
}
LEFT = {
    "leaves-environment": "os.environ is changed: BAD_ENGINE; pass settings as arguments",
    "leaves-folder": "the current folder is /, was ",
    "leaves-signals": "the handlers of SIGUSR1 are changed",
    "leaves-logging": "the loggers bad have other handlers each time",
    "leaves-warnings": "warnings.filters is changed: ('ignore', None, <class 'Warning'>",
    "leaves-random": "random is in the same state whatever it was before",
    "leaves-torch": "torch's default dtype is torch.float64, was torch.float32",
    "leaves-patches": "numpy.linalg.norm is another object than before; offer the change as a Patch",
    "leaves-threads": "threads go on after closing: bad-thread",
    "leaves-files": "files stay open after closing: ",
    "leaves-temporary": "temporary files stay: bad-",
}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Iterator[Path]:
    """The bad plugins, installed."""
    folder = tmp_path_factory.mktemp("bad")
    write_distribution(folder, "bad-engines", source=BAD_ENGINES.read_text(encoding="utf-8"))
    (folder / "sndhdr_engine.py").write_text("")
    for name, given in OTHERS.items():
        parts = {"before": "", "within": "pass", "fields": ""} | given
        write_distribution(folder, name, source=ENGINE.format(**parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr("asrlab.engine.transcriber.Transcriber", importlib.import_module("bad_engines").BadTranscriber)
        yield folder


def verdicts(model: str, *, apart: bool = False, **choices: object) -> dict[str, Verdict]:
    """What becomes of the checks that need no process of their own, or of those that do, by name."""
    case = CheckContext(Target(model=model, **choices))
    try:
        return {check.name: judge(check, case) for check in CHECKS if check.apart is apart}
    finally:
        case.close()


def failed(found: dict[str, Verdict]) -> dict[str, str]:
    """The problems of those that failed."""
    return {name: "\n".join(verdict.told) for name, verdict in found.items() if verdict.outcome == "failed"}


def test_a_good_engine_passes() -> None:
    """The same engine without a fault passes every check, those of its process, too."""
    found = verdicts("bad/good") | verdicts("bad/good", apart=True)
    assert failed(found) == {}
    skipped = {name for name, verdict in found.items() if verdict.outcome == "skipped"}
    assert skipped == {"parameters"}


@pytest.mark.parametrize("model", FAULTS)
def test_one_fault_fails_one_check(model: str) -> None:
    """What is wrong fails its check and no other, and the message says what and what to do."""
    name, message = FAULTS[model]
    found = failed(verdicts(model))
    assert list(found) == [name]
    assert message in found[name]


def test_each_check_is_seen_to_fail() -> None:
    """There is a bad engine for every check."""
    seen = {name for name, _ in FAULTS.values()} | set(LEFT) | {"listing"}
    assert seen == {check.name for check in CHECKS}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("imports-engine/good", "listing its models imports sndhdr_engine; name the engine's code by dotted strings"),
        ("asks-network/good", "listing its models uses the network (socket.__new__"),
    ],
)
def test_listing_that_does_too_much_fails(model: str, message: str) -> None:
    """A plugin that imports its engine, or opens a socket, when its models are listed fails the check of that."""
    found = judge(one_check("listing"), CheckContext(Target(model=model)))
    assert found.outcome == "failed"
    assert message in found.told[0]


def one_check(name: str) -> Check:
    """The check of that name."""
    return next(check for check in CHECKS if check.name == name)


def all_leaks() -> dict[str, list[tuple[str, str]]]:
    """What each of the leaking models leaves behind, one after the other in one process."""
    from asrlab.testing.conformance.leaks import leaks_of

    found = {}
    # a temporary file is there for all that come after it
    for name in sorted(LEAKS, key=["leaves-torch", "leaves-temporary"].__contains__):
        if name == "leaves-torch":
            import torch  # noqa: F401 - as an engine on PyTorch has it
        found[name] = [(f"leaves-{leak.kind}", leak.told) for leak in leaks_of(Target(model=f"bad/{name}"))]
    return found


@pytest.fixture(scope="module")
def leaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Found in a fresh process."""
    found: dict[str, list[tuple[str, str]]] = run_in_subprocess(
        all_leaks, limit_s=300, temporary=tmp_path_factory.mktemp("temporary")
    )
    return found


@pytest.mark.parametrize("name", LEFT)
def test_what_stays_behind_fails_its_check(name: str, leaks: dict[str, list[tuple[str, str]]]) -> None:
    """Each kind of thing that stays is told by its own check and no other."""
    assert {kind for kind, _ in leaks[name]} == {name}
    assert LEFT[name] in leaks[name][0][1]


def test_leaks_reach_their_check() -> None:
    """What is found in the other process fails the check of its kind."""
    found = judge(one_check("leaves-environment"), CheckContext(Target(model="bad/leaves-environment")))
    assert found.told == (LEFT["leaves-environment"] + " instead",)


def test_an_excused_failure_is_skipped() -> None:
    """A check that is known to fail is skipped with the reason."""
    found = verdicts("bad/silence", excuses={"silence": "upstream issue 7"})
    assert failed(found) == {}
    assert "excused: upstream issue 7 (raised ZeroDivisionError" in found["silence"].told[0]


def test_an_excuse_without_cause_fails() -> None:
    """A check that passes must not be excused."""
    found = failed(verdicts("bad/good", excuses={"silence": "upstream issue 7"}))
    assert list(found) == ["silence"]
    assert "take 'silence' out of the subject's excuses" in found["silence"]


def test_an_engine_that_claims_no_determinism_may_differ() -> None:
    """Where the same text is not claimed, none is asked for."""
    found = verdicts("bad/same-again", deterministic=False)
    assert failed(found) == {}
    assert found["same-again"].outcome == "skipped"
