"""``asrlab tune``: find the fastest batching settings for a model on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import as_json, device_options, models_argument

if TYPE_CHECKING:
    from asrlab.options import Batching
    from asrlab.tuning.calibration import Calibration, Trial

EPILOG = """\b
Examples:
  asrlab tune faster-whisper/base
  asrlab tune faster-whisper/large-v3 --device cuda --seconds 120
  asrlab tune faster-whisper/base --forget
"""


@click.command(cls=Command, epilog=EPILOG)
@models_argument
@click.option("--seconds", type=float, default=90.0, show_default=True, help="Time limit for each model.")
@click.option("--forget", is_flag=True, help="Remove the stored settings, and try nothing.")
@device_options
@as_json
def tune(models: tuple[str, ...], *, seconds: float, forget: bool, as_json: bool, **load_options: Any) -> int:
    """Find the fastest batching settings for each MODEL on this machine, and store them.

    Workers, their threads, batch size, the encoder's batch and the window are tried on embedded speech, and only time
    decides. The settings apply to this machine, device, weights, compute type and versions; asrlab doctor shows them.
    --batch-size, --workers and the like of other commands override them.
    """
    import json

    from asrlab.cli.output import echo_json

    if forget:
        return _forget(models, as_json=as_json)
    calibrations = [_tune(model, seconds, load_options) for model in models]
    if as_json:
        echo_json({"calibrations": [json.loads(calibration.to_json()) for calibration in calibrations]})
    else:
        for calibration in calibrations:
            _show(calibration)
    return exit_codes.DONE


def _tune(model: str, seconds: float, load_options: dict[str, Any]) -> Calibration:
    import asrlab.tuning.tune
    from asrlab.cli.progress import progress_bar
    from asrlab.evaluation.reports.sentences import describe_batching

    with progress_bar() as bars:
        bar = bars.add_task(model, total=round(seconds))

        def show(step: str, batching: Batching, used: float) -> None:
            bars.update(bar, completed=round(used), description=f"{model}: {step}, {describe_batching(batching)}")

        return asrlab.tuning.tune.tune(model, seconds=seconds, progress=show, **load_options)


def _forget(models: tuple[str, ...], *, as_json: bool) -> int:
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
    return exit_codes.DONE


def _show(calibration: Calibration) -> None:
    from rich.table import Table

    from asrlab.cli.output import console
    from asrlab.evaluation.reports.sentences import describe_batching
    from asrlab.tuning.calibration import CalibrationStore

    title = calibration.key.model
    table = Table("step", "batch size", "workers", "threads", "padding", "encoder", title=title)
    table.add_column("RTFx, best of its rounds", justify="right")
    for trial in calibration.trials:
        table.add_row(trial.step, *_cells(trial.batching), _outcome(trial))
    console().print(table)
    note = "all candidates were tried" if calibration.complete else "the time limit came before all were tried"
    click.echo(f"chosen after {calibration.seconds:.0f} s: {describe_batching(calibration.batching)} ({note})")
    click.echo(f"stored in {CalibrationStore().path(calibration.key)}")


def _cells(batching: Batching) -> tuple[str, ...]:
    encoder = "in batches" if batching.batch_encoder else "one by one"
    return str(batching.batch_size), str(batching.workers), str(batching.threads), f"{batching.padding_s:g} s", encoder


def _outcome(trial: Trial) -> str:
    if trial.rtfx is None:
        return trial.error or "no round was completed"
    return f"{trial.rtfx:.1f} ({len(trial.seconds)})"
