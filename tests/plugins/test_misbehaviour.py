"""Plugins that harm their process are reported, all others work, and ``--json`` stays JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """
import asrlab, json, os, sys, signal

class Weird(BaseException): pass

def hang(): signal.sigtimedwait([signal.SIGUSR1], 100)

def replace():
    json.dumps = json.loads = json.JSONEncoder = lambda *_, **__: "replaced"

def chatter():
    print("printed by the plugin")
    os.write(1, b"written by the plugin\\n")
    import atexit
    atexit.register(print, "printed at the end")
"""
SPEC = """asrlab.plugin.EngineSpec(
    name="odd", factory="odd_engine:load", devices="asrlab.engines.echo:devices",
    models=(asrlab.plugin.ModelSpec(name="m"),), default_model="m")"""
GOOD_HOOK = f"""
@asrlab.plugin.hookimpl
def asrlab_engines():
    return [{SPEC}]
"""
AT_IMPORT = {
    "raises": "raise Weird('at import')",
    "exits": "os._exit(5)",
    "aborts": "os.abort()",
    "hangs": "hang()",
    "replaces": "replace()",
}
IN_HOOK = {
    "raises": "raise Weird('in hook')",
    "exits": "os._exit(5)",
    "hangs": "hang()",
    "yields for ever": f"while True: yield {SPEC}",
    "replaces": "replace()",
}
MESSAGES = {
    "raises": "Weird: ",
    "exits": "it ends its process (exit status 5)",
    "aborts": "it ends its process (SIGABRT)",
    "hangs": "it does not end within 6 s",
    "yields for ever": "asrlab_engines returns more than 10000 objects",
    "replaces": "it replaces json.dumps, json.loads, json.JSONEncoder for the whole process, which asrlab undoes",
}
WITHOUT_MODEL_ENGINES = "faster-whisper,openai-whisper,liquid-audio"
HARMFUL = [*(f"import-{name}" for name in AT_IMPORT), *(f"hook-{name.replace(' ', '-')}" for name in IN_HOOK)]
DISABLED = ",".join([WITHOUT_MODEL_ENGINES, *HARMFUL])


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Write a folder with a plugin for each misbehaviour, at import and in a hook, and one that only prints."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, code in AT_IMPORT.items():
        write_distribution(folder, f"import-{name}", source=f"{HEAD}\n{code}\n{GOOD_HOOK}", plugins=[f"import-{name}"])
    for name, code in IN_HOOK.items():
        slug = name.replace(" ", "-")
        source = f"{HEAD}\n@asrlab.plugin.hookimpl\ndef asrlab_engines():\n    {code}\n"
        write_distribution(folder, f"hook-{slug}", source=source, plugins=[f"hook-{slug}"])
    write_distribution(folder, "prints", source=f"{HEAD}\nchatter()\n{GOOD_HOOK}", plugins=["prints"])
    (folder / "odd_engine.py").write_text(ENGINE)
    return folder


ENGINE = (
    HEAD
    + """
chatter()
ODD = os.environ.get("ODD", "")
if ODD == "json at load": replace()

def load(request):
    if ODD == "raises at load": raise Weird("at load")
    return Odd(asrlab.TranscriberInfo(
        model=request.model, device=request.device, compute_type="float32", capabilities=asrlab.Capabilities()))

class Odd(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        audio.read()
        chatter()
        return asrlab.plugin.Recognition(segments=self.segments(), language="en")

    def segments(self):
        if ODD == "raises": raise Weird("while transcribing")
        if ODD == "exits": sys.exit(0)
        if ODD == "json": replace()
        yield asrlab.Segment(text="heard", start=0.0, end=0.1)
        while ODD == "yields for ever":
            yield asrlab.Segment(text="more", start=1e6, end=1e6 + 1)

    def release(self): pass
"""
)


@pytest.fixture(scope="module")
def run(zoo: Path, asrlab_cli: Any) -> Callable[..., Any]:
    """Return a function that runs a command with all these plugins."""

    def run_(*arguments: str | Path, **variables: str) -> Any:
        variables = {"ASRLAB_DISABLE_PLUGINS": WITHOUT_MODEL_ENGINES, "ASRLAB_PLUGIN_TIMEOUT": "6"} | variables
        return asrlab_cli(*arguments, plugins=[zoo], **variables)

    return run_


@pytest.fixture(scope="module")
def listing(run: Callable[..., Any]) -> Any:
    """Return the result of ``asrlab plugins --json`` for all these plugins."""
    return run("plugins", "--json")


@pytest.mark.parametrize("plugin", [*(f"import {name}" for name in AT_IMPORT), *(f"hook {name}" for name in IN_HOOK)])
def test_a_harmful_plugin_is_reported_and_not_loaded(listing: Any, plugin: str):
    """The failure of a plugin has its name and a description, and the other plugins are loaded."""
    failure = next(row for row in listing.json["failures"] if row["name"] == plugin.replace(" ", "-"))
    assert MESSAGES[plugin.partition(" ")[2]] in failure["message"]
    assert listing.code == 1
    assert "odd" in [name for row in listing.json["plugins"] if row["name"] == "prints" for name in row["engines"]]


@pytest.mark.parametrize("command", ["models", "doctor --engine echo", "devices --engine echo", "patches"])
def test_output_stays_json_with_harmful_plugins(run: Callable[..., Any], listing: Any, command: str):
    """Standard output is one JSON document, whatever the plugins print, replace or raise."""
    result = run(*command.split(), "--json")
    assert listing.json["failures"]
    assert result.code == (1 if command.startswith("doctor") else 0)
    assert "printed by the plugin" in result.err
    assert "does not end" in result.err  # a warning for each plugin
    if command == "models":
        assert {"echo/echo", "odd/m"} <= {row["name"] for row in result.json["models"]}
    elif command.startswith("doctor"):
        assert {"plugin import-exits", "plugin hook-hangs"} <= {row["component"] for row in result.json["findings"]}
    else:
        assert result.json


@pytest.mark.parametrize(
    ("odd", "code", "message"),
    [
        ("", 0, ""),
        ("json at load", 0, ""),
        ("json", 0, ""),
        ("raises at load", 3, "Weird: at load, raised by engine 'odd' in odd_engine:load"),
        ("raises", 3, "Weird: while transcribing, raised by engine 'odd' while it transcribed"),
        ("exits", 3, "SystemExit: 0, raised by engine 'odd' while it transcribed"),
        ("yields for ever", 3, "engine 'odd' yields segments without an end"),
    ],
)
def test_transcribing_with_a_bad_engine_reports_it_as_json(
    run: Callable[..., Any], clips: tuple[Path, ...], odd: str, code: int, message: str
):
    """An engine that prints, replaces, raises or never ends is reported by name in JSON."""
    result = run("transcribe", clips[1], "-m", "odd", "--json", ODD=odd, ASRLAB_DISABLE_PLUGINS=DISABLED)
    assert result.code == code
    if code:
        error = result.json.get("error") or result.json["files"][0]["error"]
        assert message in error["message"]
    else:
        assert result.json["files"][0]["transcript"]["text"] == "heard"


def test_standard_output_has_only_the_transcript(run: Callable[..., Any], clips: tuple[Path, ...]):
    """Output of a plugin goes to standard error, also without ``--json``."""
    result = run("transcribe", clips[1], "-m", "odd", ASRLAB_DISABLE_PLUGINS=DISABLED)
    assert result.out.removesuffix("printed at the end\n" * 3) == "heard\n"
    assert result.err.count("written by the plugin") == 3


@pytest.mark.parametrize(("odd", "message"), [("exits", "exit status 0"), ("yields for ever", "without an end")])
def test_a_run_with_a_bad_engine_is_json(run: Callable[..., Any], small_folder: Path, odd: str, message: str):
    """A run records the failures of such an engine and continues to its end."""
    result = run("bench", small_folder, "-m", "odd", "--json", ODD=odd, ASRLAB_DISABLE_PLUGINS=DISABLED)
    failures = [row["failure"]["message"] for row in result.json["models"][0]["utterances"]]
    assert [message in failure for failure in failures] == [True] * 3
    assert result.code == 1


def test_a_plugin_is_probed_again_after_a_change(tmp_path: Path, write_distribution: Any, asrlab_cli: Any):
    """A probe result is cached until the files of the plugin change, so a fixed plugin is loaded."""
    write_distribution(tmp_path, "moody", source="import os\nos._exit(7)\n")
    variables = {
        "plugins": [tmp_path],
        "ASRLAB_CACHE": str(tmp_path / "cache"),
        "ASRLAB_DISABLE_PLUGINS": WITHOUT_MODEL_ENGINES,
    }
    assert "exit status 7" in asrlab_cli("models", "--json", **variables).err
    assert "trying plugins" not in asrlab_cli("models", "--json", **variables).err
    (tmp_path / "moody.py").write_text("# nothing to offer\n")
    result = asrlab_cli("plugins", "--json", **variables)
    assert (result.code, [row["name"] for row in result.json["plugins"]]) == (0, ["echo", "moody"])


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan"])
def test_an_invalid_timeout_is_refused(asrlab_cli: Any, tmp_path: Path, write_distribution: Any, value: str):
    """The message has the name of the variable and the valid values."""
    write_distribution(tmp_path, "calm", source="")
    result = asrlab_cli("models", plugins=[tmp_path], ASRLAB_PLUGIN_TIMEOUT=value, ASRLAB_CACHE=str(tmp_path))
    assert result.code == 2
    assert f"ASRLAB_PLUGIN_TIMEOUT must be a number of seconds above 0, not '{value}'" in result.err
