"""An engine that does not import is reported before its weights are requested."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

ENGINES = {spec.name: spec for spec in Registry(PluginHost()).engines() if any(model.weights for model in spec.models)}

CODE = """
import json, sys
import asrlab
model, errors = sys.argv[1], []
for call in (
    lambda: asrlab.load(model, device="cpu", offline=True),
    lambda: asrlab.evaluation.bench("smoke", models=[model], device="cpu", offline=True),
):
    try:
        call()
    except asrlab.AsrlabError as error:
        errors.append([type(error).__name__, error.message])
print(json.dumps(errors))
"""


def load_errors(model: str, environment: dict[str, str]) -> list[list[str]]:
    """Return the errors of ``load`` and ``bench`` for *model* in a new process."""
    command = [sys.executable, "-c", CODE, model]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    errors: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return errors


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_package_that_does_not_import_is_reported_before_weights(engine: str, tmp_path: Path, asrlab_cli: Any):
    """With an empty store, ``load`` and ``bench`` report a broken package, not the missing weights."""
    spec = ENGINES[engine]
    if not spec.is_installed():
        pytest.skip(f"{spec.distribution} is not installed")
    (tmp_path / f"{spec.import_name}.py").write_text("raise ImportError('broken on purpose')\n")
    environment = asrlab_cli.environment(plugins=[tmp_path], ASRLAB_CACHE=str(tmp_path / "cache"))
    message = f"engine {engine!r} is installed but cannot be imported: broken on purpose; run: asrlab doctor"
    assert load_errors(f"{engine}/{spec.default_model}", environment) == [["EngineUnavailableError", message]] * 2


PLUGIN = """
import asrlab

asrlab_plugin_api = 2
MODEL = asrlab.plugin.ModelSpec(name="lfm", weights=("liquidai/lfm2.5-audio-1.5b",))


@asrlab.plugin.hookimpl
def asrlab_engines():
    return [
        asrlab.plugin.EngineSpec(
            name="theirs",
            factory="their_engine:load",
            devices="their_plugin:devices",
            models=(MODEL,),
            weights_formats=("safetensors",),
        )
    ]


def devices():
    return asrlab.DeviceReport(available=("cpu",))
"""


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("import a_missing_module", ["No module named 'a_missing_module'"] * 2),
        ("raise SystemExit(3)", ["SystemExit: 3"] * 2),
        ("load = None", None),
    ],
    ids=["import-fails", "exits", "imports"],
)
def test_an_engine_of_a_plugin_is_imported_before_weights(
    tmp_path: Path, write_distribution: Callable[..., Path], asrlab_cli: Any, code: str, reasons: list[str] | None
):
    """``load`` and ``bench`` report the import error of a plugin's engine, and missing weights if it imports."""
    folder = write_distribution(tmp_path / "theirs", "their-plugin", source=PLUGIN)
    (folder / "their_engine.py").write_text(f"{code}\n")
    environment = asrlab_cli.environment(plugins=[folder], ASRLAB_CACHE=str(tmp_path / "cache"))
    errors = load_errors("theirs/lfm", environment)
    if reasons is None:
        assert [kind for kind, _ in errors] == ["WeightsError"] * 2
    else:
        expected = [
            [
                "EngineUnavailableError",
                f"engine 'theirs' is installed but cannot be imported: {reason}; run: asrlab doctor",
            ]
            for reason in reasons
        ]
        assert errors == expected


def test_bench_reports_an_import_that_aborts(tmp_path: Path, write_distribution: Callable[..., Path], asrlab_cli: Any):
    """An import that aborts ends only a worker process, and ``bench`` reports the abort before missing weights."""
    folder = write_distribution(tmp_path / "theirs", "their-plugin", source=PLUGIN)
    (folder / "their_engine.py").write_text("import os\nos.abort()\n")
    run = asrlab_cli(
        "bench", "smoke", "-m", "theirs/lfm", "--json", plugins=[folder], ASRLAB_CACHE=str(tmp_path / "cache")
    )
    assert run.json["error"]["type"] == "EngineUnavailableError"
    assert "its import ends its process (SIGABRT)" in run.json["error"]["message"]
