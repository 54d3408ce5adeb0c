"""The plugin host isolates plugins, which are real distributions on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = """
import asrlab

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name={engine!r}, factory="asrlab.engines.echo:load",
        devices="asrlab.engines.echo:devices",
        models=(asrlab.plugin.ModelSpec(name="m"),), default_model={default!r},
    )]
"""
HOOK = "import asrlab\n@asrlab.plugin.hookimpl\n"
BROKEN = {
    "raises-at-import": "raise RuntimeError('boom at import')",
    "exits-at-import": "import sys; sys.exit('goodbye at import')",
    "raises-in-hook": f"{HOOK}def asrlab_engines(): raise ValueError('boom in hook')",
    "exits-in-hook": f"{HOOK}def asrlab_engines(): raise SystemExit('goodbye in hook')",
    "wrong-type": f"{HOOK}def asrlab_engines(): return ['whisper']",
    "not-a-list": f"{HOOK}def asrlab_engines(): return 7",
    "mistyped-hook": f"{HOOK}def asrlab_enignes(): return []",
    "wrong-argument": f"{HOOK}def asrlab_run_started(event): pass",
    "other-api": "asrlab_plugin_api = 99",
    "missing-module": "import a_module_that_nobody_has",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Write a folder with all broken plugins, and a good plugin whose name sorts between them."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, source in BROKEN.items():
        write_distribution(folder, f"zoo-{name}", source=source, plugins=[name])
    return write_distribution(folder, "zoo-good", source=GOOD.format(engine="good", default=""), plugins=["good"])


@pytest.fixture(scope="module")
def listing(zoo: Path, asrlab_cli: Any) -> Any:
    """Return the result of ``asrlab plugins --json`` for that folder."""
    return asrlab_cli("plugins", "--json", plugins=[zoo])


@pytest.mark.parametrize(
    ("name", "stage", "message"),
    [
        ("raises-at-import", "import", "RuntimeError: boom at import"),
        ("exits-at-import", "import", "SystemExit: goodbye at import"),
        ("raises-in-hook", "asrlab_engines", "ValueError: boom in hook"),
        ("exits-in-hook", "asrlab_engines", "SystemExit: goodbye in hook"),
        ("wrong-type", "asrlab_engines", "must return EngineSpec objects, not str"),
        ("not-a-list", "asrlab_engines", "TypeError"),
        ("mistyped-hook", "hooks", "asrlab_enignes"),
        ("wrong-argument", "hooks", "event"),
        ("other-api", "api", "plugin API 99, but this asrlab has 2"),
        ("missing-module", "import", "a_module_that_nobody_has"),
    ],
)
def test_a_broken_plugin_is_reported(listing: Any, name: str, stage: str, message: str):
    """The failure of a plugin has the stage, the distribution and the command that removes the plugin."""
    failure = next(failure for failure in listing.json["failures"] if failure["name"] == name)
    assert failure["stage"] == stage
    assert message in failure["message"]
    assert (failure["distribution"], failure["version"]) == (f"zoo-{name}", "1.0")
    # no installer can remove the plugin, because its folder has no list of files
    command = f'export ASRLAB_DISABLE_PLUGINS="$ASRLAB_DISABLE_PLUGINS,{name}"'
    assert failure["remove"] == command
    assert command in listing.err


def test_listing_broken_plugins_exits_with_1(listing: Any):
    """The listing exits with 1 if a plugin is broken, with a warning for each broken plugin."""
    assert listing.code == 1
    assert listing.err.count("warning: plugin 'raises-at-import'") == 1


def test_other_engines_work_beside_broken_plugins(zoo: Path, asrlab_cli: Any, clips: tuple[Path, ...]):
    """The engines of the good plugin and of asrlab transcribe beside ten broken plugins."""
    for model in ("good/m", "echo"):
        result = asrlab_cli("transcribe", clips[1], "-m", model, plugins=[zoo])
        assert (result.code, result.out) == (0, "loud loud loud\n")


def test_a_working_plugin_is_listed(listing: Any):
    """The good plugin is listed with its distribution and its engine, after the built-in plugins."""
    rows = listing.json["plugins"]
    assert [row["name"] for row in rows[:4]] == ["echo", "faster-whisper", "openai-whisper", "liquid-audio"]
    good = next(row for row in rows if row["name"] == "good")
    assert (good["distribution"], good["version"], good["engines"]) == ("zoo-good", "1.0", ["good"])


def test_named_plugins_can_be_disabled(zoo: Path, asrlab_cli: Any):
    """ASRLAB_DISABLE_PLUGINS=a,b disables a and b, with or without spaces, and no other plugin."""
    result = asrlab_cli("plugins", "--json", plugins=[zoo], ASRLAB_DISABLE_PLUGINS="raises-at-import, good")
    names = {row["name"] for row in result.json["plugins"]} | {failure["name"] for failure in result.json["failures"]}
    assert names == {*BROKEN, "echo", "faster-whisper", "openai-whisper", "liquid-audio"} - {"raises-at-import"}
    assert result.json["disabled"] == ["good", "raises-at-import"]


def test_a_star_disables_all_plugins_but_the_built_in_ones(zoo: Path, asrlab_cli: Any):
    """ASRLAB_DISABLE_PLUGINS=* loads only the built-in plugins, without a failure."""
    result = asrlab_cli("plugins", "--json", plugins=[zoo], ASRLAB_DISABLE_PLUGINS="*")
    assert (result.code, result.err, result.json["failures"]) == (0, "", [])
    assert [row["name"] for row in result.json["plugins"]] == [
        "echo",
        "faster-whisper",
        "openai-whisper",
        "liquid-audio",
    ]


def test_an_unknown_model_names_the_broken_plugins(zoo: Path, asrlab_cli: Any):
    """The error for an unknown model names the broken plugins, which might offer the model."""
    result = asrlab_cli("transcribe", "x.wav", "-m", "raises/m", "--json", plugins=[zoo])
    assert result.code == 3
    assert 'export ASRLAB_DISABLE_PLUGINS="$ASRLAB_DISABLE_PLUGINS,raises-at-import"' in result.json["error"]["message"]


def test_an_engine_without_a_default_model_needs_one(zoo: Path, asrlab_cli: Any):
    """The name of an engine without a default model is refused with the full names of its models."""
    result = asrlab_cli("transcribe", "x.wav", "-m", "good", plugins=[zoo], ASRLAB_DISABLE_PLUGINS=",".join(BROKEN))
    assert result.code == 3
    assert result.err == "asrlab: there is no model 'good'; did you mean good/m?\n"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Write two distributions with an engine ``twin`` each, and one that offers ``same`` twice."""
    folder = tmp_path_factory.mktemp("twins")
    for name in ("twin-one", "twin-two"):
        write_distribution(folder, name, source=GOOD.format(engine="twin", default="m"), plugins=[name])
    source = GOOD.format(engine="same", default="m")
    return write_distribution(folder, "twice", source=source, plugins=["twice-a", "twice-b"])


def test_an_ambiguous_name_is_an_error_when_used(twins: Path, asrlab_cli: Any, clips: tuple[Path, ...]):
    """The error for an ambiguous name has both full names, and other names work."""
    result = asrlab_cli("transcribe", clips[0], "-m", "twin/m", plugins=[twins])
    assert result.code == 3
    assert "offered by twin-one and by twin-two; choose twin-one:twin/m or twin-two:twin/m" in result.err
    assert asrlab_cli("transcribe", clips[0], "-m", "echo", plugins=[twins]).code == 0


def test_a_distribution_prefix_selects_the_engine(twins: Path, asrlab_cli: Any, clips: tuple[Path, ...]):
    """``distribution:engine/model`` loads the model, and results have this full name."""
    result = asrlab_cli("transcribe", clips[1], "-m", "twin-two:twin/m", "--json", plugins=[twins])
    assert result.code == 0
    assert result.json["files"][0]["transcript"]["asrlab"]["model"]["name"] == "twin-two:twin/m"


def test_a_distribution_prefix_is_always_accepted(asrlab_cli: Any, clips: tuple[Path, ...]):
    """``asrlab:echo/echo`` loads ``echo/echo``."""
    result = asrlab_cli("transcribe", clips[1], "-m", "asrlab:echo/echo", "--json")
    assert result.json["files"][0]["transcript"]["asrlab"]["model"]["name"] == "echo/echo"


def test_every_listed_name_can_be_used(twins: Path, asrlab_cli: Any):
    """``resolve`` accepts each name that ``list_models`` returns, even if names are ambiguous."""
    code = """
import json, asrlab
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
registry = Registry(PluginHost())
names = [model.name for model in asrlab.list_models() if model.engine.name != "same"]
print(json.dumps([names, [registry.resolve(name).name for name in names]]))
"""
    listed, resolved = _python(code, asrlab_cli=asrlab_cli, path=twins)
    assert listed == resolved
    assert {"twin-one:twin/m", "twin-two:twin/m", "echo/echo"} <= set(listed)


def test_a_distribution_that_offers_a_name_twice_is_reported(twins: Path, asrlab_cli: Any):
    """If no prefix helps, the message has the command that disables one of the plugins."""
    result = asrlab_cli("transcribe", "x.wav", "-m", "same/m", plugins=[twins])
    assert result.code == 3
    assert "offered twice by twice; disable one plugin: ASRLAB_DISABLE_PLUGINS=twice-b" in result.err


def test_listing_models_imports_no_engine(third_party: Path, asrlab_cli: Any):
    """``asrlab models`` imports neither engines nor the packages that they use."""
    code = """
import json, sys
from asrlab.cli.main import main
heavy = ("torch", "ctranslate2", "faster_whisper", "whisper", "av", "soundfile", "onnxruntime", "huggingface_hub")
try:
    main(["models", "--json"])
except SystemExit as end:
    print(json.dumps([end.code, [name for name in heavy if name in sys.modules]]))
"""
    assert _python(code, asrlab_cli=asrlab_cli, path=third_party) == [0, []]


HOOKS = """
import json, os
import attrs, asrlab

def note(kind, run):
    with open(os.environ["HOOK_NOTES"], "a") as file:
        file.write(json.dumps([kind, attrs.asdict(run)]) + chr(10))

@asrlab.plugin.hookimpl
def asrlab_run_started(run): note("started", run)

@asrlab.plugin.hookimpl
def asrlab_run_finished(run): note("finished", run)
"""
BAD_HOOKS = """
import sys, asrlab

@asrlab.plugin.hookimpl
def asrlab_run_started(run): raise RuntimeError("no run today")

@asrlab.plugin.hookimpl
def asrlab_run_finished(run): sys.exit(9)
"""


def test_the_hooks_of_a_run_receive_facts_and_may_fail(
    tmp_path: Path, write_distribution: Callable[..., Path], asrlab_cli: Any, small_folder: Path
):
    """Both hooks receive their facts, and a hook that raises or exits only causes a warning."""
    write_distribution(tmp_path, "a-bad-listener", source=BAD_HOOKS)
    write_distribution(tmp_path, "listener", source=HOOKS)
    notes = tmp_path / "notes.jsonl"
    result = asrlab_cli("bench", small_folder, "-m", "echo", "--json", plugins=[tmp_path], HOOK_NOTES=str(notes))
    assert result.code == 0
    (_, started), (_, finished) = map(json.loads, notes.read_text().splitlines())
    assert started == {"dataset": "tones", "models": ["echo/echo"]}
    assert finished.pop("seconds") > 0
    assert finished == {"dataset": "tones", "models": ["echo/echo"], "utterances": 3, "failed": 0}
    assert "failed at asrlab_run_started: RuntimeError: no run today" in result.err
    assert "failed at asrlab_run_finished: SystemExit: 9" in result.err


def test_a_third_party_engine_and_data_set_work_through_the_api(third_party: Path, small_folder: Path, asrlab_cli: Any):
    """``asrlab.load``, an alias, ``load_dataset`` and ``bench`` accept a plugin's engine and data set."""
    code = f"""
import json, asrlab
with asrlab.load("third") as transcriber:
    first = transcriber.transcribe({str(small_folder / "a-first.wav")!r})
data = asrlab.evaluation.load_dataset("third-set")
result = asrlab.evaluation.bench(data, models="drei/calm")
print(json.dumps([first.text, first.model.name, [u.id for u in data], result.models[0].score.wer]))
"""
    text, model, ids, wer = _python(code, asrlab_cli=asrlab_cli, path=third_party, THIRD_PARTY_CLIPS=str(small_folder))
    assert (text, model) == ("heard", "third/calm")
    assert ids[0] == "a-first.txt"
    assert wer == pytest.approx(0.5)  # the folder's three .txt files are not audio and count as deletions


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def load(request): return 7\ndef devices(): return asrlab.DeviceReport(available=('cpu',))",
            "returned a int",
        ),
        ("def load(request): 1 / 0\ndef devices(): return asrlab.DeviceReport(available=('cpu',))", "ZeroDivision"),
        ("def devices(): return ['cpu']", "returned a list instead of a DeviceReport"),
        ("def devices(): raise OSError('libmissing.so.9')", "OSError: libmissing.so.9"),
        ("raise SystemExit(3)", "is installed but cannot be imported: SystemExit: 3"),
        ("def devices(): return asrlab.DeviceReport(available=('cpu',))", "has no attribute 'load'"),
    ],
)
def test_an_engine_that_breaks_its_contract_is_unavailable(
    tmp_path: Path, write_distribution: Callable[..., Path], asrlab_cli: Any, source: str, message: str
):
    """Any error or wrong result of an engine's functions is an EngineUnavailableError with the engine's name."""
    plugin = GOOD.format(engine="odd", default="m").replace("asrlab.engines.echo:", "odd_code:")
    write_distribution(tmp_path, "odd-engine", source=plugin)
    (tmp_path / "odd_code.py").write_text(f"import asrlab\n{source}\n")
    code = """
import json, asrlab
try:
    asrlab.load("odd")
except asrlab.EngineUnavailableError as error:
    print(json.dumps([error.engine, str(error)]))
"""
    engine, error = _python(code, asrlab_cli=asrlab_cli, path=tmp_path)
    assert engine == "odd"
    assert message in error


def test_devices_of_other_engines_are_listed_beside_a_broken_one(
    tmp_path: Path, write_distribution: Callable[..., Path], asrlab_cli: Any
):
    """``asrlab devices`` shows the error of an engine in its row, and the rows of all others."""
    plugin = GOOD.format(engine="odd", default="m").replace("asrlab.engines.echo:", "odd_code:")
    write_distribution(tmp_path, "odd-engine", source=plugin)
    (tmp_path / "odd_code.py").write_text("def devices(): raise OSError('libmissing.so.9')\n")
    result = asrlab_cli("devices", "--json", plugins=[tmp_path], ASRLAB_DISABLE_PLUGINS="faster-whisper,openai-whisper")
    rows = {row["engine"]: row for row in result.json["engines"]}
    assert result.code == 0
    assert "libmissing.so.9" in rows["odd"]["error"]
    assert rows["echo"]["available"] == ["cpu"]


def _python(code: str, *, asrlab_cli: Any, path: Path, **variables: str) -> Any:
    """Run *code* with the plugins in *path*, and return its output as JSON."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=asrlab_cli.environment(plugins=[path], **variables),
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


OPEN = """
import asrlab

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="open", factory="open_hub:load", devices="asrlab.engines.echo:devices",
        models=(asrlab.plugin.ModelSpec(name="a/listed"),), accepts_any_model="an id on a hub",
    )]


def load(request):
    raise asrlab.WeightsError(f"asked for {request.spec.name} of {request.model.name}, offline {request.offline}")
"""


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[..., Path]) -> Path:
    """Write an engine that accepts names besides those that it lists."""
    return write_distribution(tmp_path_factory.mktemp("open"), "open-hub", source=OPEN, plugins=["open"])


@pytest.mark.parametrize("name", ["a/listed", "owner/of-a.model@1f0e"])
def test_an_engine_with_other_models_receives_any_name(
    open_hub: Path, asrlab_cli: Any, clips: tuple[Path, ...], name: str
):
    """The factory receives the rest of the name, with its slashes, and whether downloads are allowed."""
    result = asrlab_cli("transcribe", clips[0], "-m", f"open/{name}", plugins=[open_hub])
    assert result.code == 4
    assert f"asked for {name} of open/{name}, offline True" in result.err
    online = asrlab_cli(
        *("transcribe", clips[0], "-m", f"open/{name}"), plugins=[open_hub], ASRLAB_OFFLINE="", HF_HUB_OFFLINE=""
    )
    assert "offline False" in online.err


def test_weights_that_an_engine_fetches_are_listed(open_hub: Path, asrlab_cli: Any):
    """``asrlab models`` and ``asrlab pull`` report that the engine fetches its weights."""
    rows = {row["name"]: row for row in asrlab_cli("models", "--json", plugins=[open_hub]).json["models"]}
    assert rows["open/a/listed"]["weights"] == "by its engine"
    pulled = asrlab_cli("pull", "open/a/listed", "open/b/c", plugins=[open_hub]).out.splitlines()
    assert pulled == [f"open/{name}\tis fetched by its engine, when it is loaded" for name in ("a/listed", "b/c")]


def test_a_path_is_not_a_model_name(open_hub: Path, asrlab_cli: Any, clips: tuple[Path, ...], tmp_path: Path):
    """A name that begins like a path is a folder of weights, and the engine alone is not a model."""
    result = asrlab_cli("transcribe", clips[0], "-m", "open/./gone", plugins=[open_hub], cwd=tmp_path)
    assert f"there are no weights at {tmp_path / 'gone'}" in result.err
    assert asrlab_cli("transcribe", clips[0], "-m", "open", plugins=[open_hub]).code == 3
