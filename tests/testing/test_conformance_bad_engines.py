"""An engine with one fault fails exactly one check."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asrlab.testing import Target
from asrlab.testing.conformance.check import Check, CheckContext, CheckResult, run_check
from asrlab.testing.conformance.session import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAD_ENGINES = Path(__file__).with_name("bad_engines.py")
PLUGIN_SOURCE = """
import asrlab
{header}


@asrlab.plugin.hookimpl
def asrlab_engines():
    {hook_body}
    return [
        asrlab.plugin.EngineSpec(
            name="{name}", factory="bad_engines:load", devices="bad_engines:devices",
            models=(asrlab.plugin.ModelSpec(name="good"),), compute_types=("float32",), {fields}
        )
    ]
"""
API_LINE = "asrlab_plugin_api = 2"
OTHER_PLUGINS = {
    "no-api": {"name": "no-api"},
    "later-api": {"name": "later-api", "header": "asrlab_plugin_api = 99"},
    "first-twin": {"name": "twin", "header": API_LINE},
    "second-twin": {"name": "twin", "header": API_LINE},
    "imports-engine": {
        "name": "imports-engine",
        "header": f"import sndhdr_engine\n{API_LINE}",
        "fields": "import_name='sndhdr_engine', distribution='bad-engines', install='x', "
        "reported_distributions=('bad-engines',),",
    },
    "opens-socket": {
        "name": "opens-socket",
        "header": f"import socket\n{API_LINE}",
        "hook_body": "socket.socket().close()",
    },
}

LEAKS = tuple(check.name for check in CHECKS if check.name.startswith("leaves-"))
# the model, its failing check, and the message
FAULTS = {
    "no-api/good": ("plugin", "write asrlab_plugin_api = 2"),
    "later-api/good": ("plugin", "it requires plugin API 99, but this asrlab has 2"),
    "twin/good": ("names", "2 engines are called 'twin' (first-twin, second-twin)"),
    "no-default/good": ("names", "default_model 'better' is not one of the models good"),
    "no-install/good": ("spec", "set the command that installs numpy"),
    "no-tuple/good": ("spec", "languages of 'good' is 'en'; use a tuple of str"),
    "no-factory/good": ("code", "factory='bad_engines:lode' cannot be imported"),
    "lax/good": ("compute-type", "compute_type='float13' was accepted as 'float32'"),
    "bad/loads": ("loads", "no weights in the box"),
    "bad/capabilities": ("capabilities", "capabilities.languages is ['en']; use a tuple"),
    "bad/facts": ("facts", "info.compute_type is 'auto'; name the number format in use"),
    "bad/device": ("device", "requested cpu, but info.device is Device(requested='cpu', resolved='cuda:0'"),
    "bad/parameters": ("parameters", "of the model's parameters 100% on meta"),
    "bad/times-ms": ("times", "is outside the audio of 2.99 s (are the times milliseconds"),
    "bad/times-nan": ("times", "has a time that is not a finite number"),
    "bad/times-order": ("times", "starts before its predecessor"),
    "bad/words-unasked": ("words", "has words that were not requested"),
    "bad/words-lacking": ("words", "lacks the requested words"),
    "bad/silence": ("silence", "raised ZeroDivisionError: division by the loudest sample"),
    "bad/empty": ("empty", "raised ZeroDivisionError: division by the duration"),
    "bad/short": ("short", "raised IndexError: no frame"),
    "bad/stereo": ("stereo", "raised ValueError: cannot take this"),
    "bad/low-rate": ("low-rate", "raised ValueError: cannot take this"),
    "bad/refused-options": ("refused-options", "transcribe(..., hotwords='amiable') was accepted"),
    "bad/honoured-options": ("honoured-options", "beam_size=2 raised TypeError"),
    "bad/same-again": ("same-again", "the same audio gave 'word "),
    "bad/stream": ("stream", "make recognize() give the same in both"),
    "bad/many-order": ("many", "3 items gave the results [2, 1, 0]"),
    "bad/many-raises": ("many", "cannot decode '<bytes>': it looks like text"),
    "bad/at-once": ("at-once", "two threads at once: RuntimeError: made in another thread"),
    "bad/closing": ("closing", "closed is False after close()"),
}
LEAK_MESSAGES = {
    "leaves-environment": "os.environ is changed: BAD_ENGINE; pass settings as arguments",
    "leaves-folder": "the current folder is /, was ",
    "leaves-signals": "the handlers of SIGUSR1 are changed",
    "leaves-logging": "the loggers bad have other handlers after each use",
    "leaves-warnings": "warnings.filters is changed: ('ignore', None, <class 'Warning'>",
    "leaves-random": "random has the same state whatever its state was before",
    "leaves-torch": "torch's default dtype is torch.float64, was torch.float32",
    "leaves-patches": "numpy.linalg.norm was replaced; offer the change as a Patch",
    "leaves-threads": "threads run after closing: bad-thread",
    "leaves-files": "files are open after closing: ",
    "leaves-temporary": "temporary files remain: bad-",
}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Iterator[Path]:
    """Install the plugins with faults; yield their folder."""
    folder = tmp_path_factory.mktemp("bad")
    write_distribution(folder, "bad-engines", source=BAD_ENGINES.read_text(encoding="utf-8"))
    (folder / "sndhdr_engine.py").write_text("")
    for name, values in OTHER_PLUGINS.items():
        parts = {"header": "", "hook_body": "pass", "fields": ""} | values
        write_distribution(folder, name, source=PLUGIN_SOURCE.format(**parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.syspath_prepend(str(BAD_ENGINES.parents[2]))  # so that a child process can import this module
        patch.setattr("asrlab.engine.transcriber.Transcriber", importlib.import_module("bad_engines").BadTranscriber)
        yield folder


def run_checks(model: str, *, in_fresh_process: bool = False, **options: object) -> dict[str, CheckResult]:
    """Run the checks that need a fresh process, or all others; return their results by name."""
    context = CheckContext(Target(model=model, **options))
    try:
        return {check.name: run_check(check, context) for check in CHECKS if check.in_fresh_process is in_fresh_process}
    finally:
        context.close()


def failures(results: dict[str, CheckResult]) -> dict[str, str]:
    """Return the problems of the failed checks by name."""
    return {name: "\n".join(result.messages) for name, result in results.items() if result.outcome == "failed"}


def test_a_good_engine_passes() -> None:
    """The same engine without a fault passes every check."""
    results = run_checks("bad/good") | run_checks("bad/good", in_fresh_process=True)
    assert failures(results) == {}
    skipped = {name for name, result in results.items() if result.outcome == "skipped"}
    assert skipped == {"parameters"}


@pytest.mark.parametrize("model", FAULTS)
def test_one_fault_fails_one_check(model: str) -> None:
    """A fault fails its check and no other, and the message has the fault and the next step."""
    name, message = FAULTS[model]
    problems = failures(run_checks(model))
    assert list(problems) == [name]
    assert message in problems[name]


def test_every_check_can_fail() -> None:
    """Every check fails for one of the faulty engines."""
    failing = {name for name, _ in FAULTS.values()} | set(LEAK_MESSAGES) | {"listing"}
    assert failing == {check.name for check in CHECKS}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("imports-engine/good", "listing its models imports sndhdr_engine; use dotted names for the engine's code"),
        ("opens-socket/good", "listing its models uses the network (socket.__new__"),
    ],
)
def test_a_listing_with_side_effects_fails(model: str, message: str) -> None:
    """A plugin that imports its engine, or opens a socket, when its models are listed fails the check ``listing``."""
    result = run_check(find_check("listing"), CheckContext(Target(model=model)))
    assert result.outcome == "failed"
    assert message in result.messages[0]


def find_check(name: str) -> Check:
    """Return the check with this name."""
    return next(check for check in CHECKS if check.name == name)


def all_leaks() -> dict[str, list[tuple[str, str]]]:
    """Find the leaks of each leaking model, one model after the other in one process."""
    from asrlab.testing.conformance.leaks import find_leaks

    leaks = {}
    # a temporary file is a leak of every later model, too
    for name in sorted(LEAKS, key=["leaves-torch", "leaves-temporary"].__contains__):
        if name == "leaves-torch":
            import torch  # noqa: F401 - as an engine on PyTorch imports it
        leaks[name] = [(f"leaves-{leak.kind}", leak.message) for leak in find_leaks(Target(model=f"bad/{name}"))]
    return leaks


@pytest.fixture(scope="module")
def leaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Find the leaks in a fresh process."""
    leaks_by_model: dict[str, list[tuple[str, str]]] = Target(model="bad/good", limit_s=300).run_in_subprocess(
        all_leaks, temporary=tmp_path_factory.mktemp("temporary")
    )
    return leaks_by_model


@pytest.mark.parametrize("name", LEAK_MESSAGES)
def test_a_leak_fails_its_check(name: str, leaks: dict[str, list[tuple[str, str]]]) -> None:
    """Each kind of leak fails its own check and no other."""
    assert {kind for kind, _ in leaks[name]} == {name}
    assert LEAK_MESSAGES[name] in leaks[name][0][1]


def test_leaks_reach_their_check() -> None:
    """A leak in the child process fails the check of its kind."""
    result = run_check(find_check("leaves-environment"), CheckContext(Target(model="bad/leaves-environment")))
    assert result.messages == (LEAK_MESSAGES["leaves-environment"] + " instead",)


def test_an_expected_failure_is_skipped() -> None:
    """A check that is expected to fail is skipped with the reason."""
    results = run_checks("bad/silence", expected_failures={"silence": "upstream issue 7"})
    assert failures(results) == {}
    assert "expected failure: upstream issue 7 (raised ZeroDivisionError" in results["silence"].messages[0]


def test_an_expected_failure_that_passes_fails() -> None:
    """A check that passes must not be an expected failure."""
    problems = failures(run_checks("bad/good", expected_failures={"silence": "upstream issue 7"}))
    assert list(problems) == ["silence"]
    assert "remove 'silence' from expected_failures" in problems["silence"]


def test_a_target_without_determinism_may_differ() -> None:
    """A target with ``deterministic=False`` may give different texts."""
    results = run_checks("bad/same-again", deterministic=False)
    assert failures(results) == {}
    assert results["same-again"].outcome == "skipped"
