"""``asrlab tune``: find and store the fastest batching settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

if TYPE_CHECKING:
    from asrlab.options import Batching
    from asrlab.tuning.calibration import Calibration

EPILOG = """\b
Examples:
  asrlab tune faster-whisper/base
  asrlab tune faster-whisper/large-v3 --device cuda --seconds 120
  asrlab tune faster-whisper/base --forget
"""


@click.command(cls=Command, epilog=EPILOG)
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
    from asrlab.evaluation.reports.sentences import describe_batching
    from asrlab.terminal.screen import open_screen
    from asrlab.terminal.table import Table
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
    optional = ("batch size", "workers", "threads", "encoder", "padding", "step")
    table = Table(columns=columns, rows=rows, texts=1, optional=optional, title=calibration.key.model)
    open_screen().show(table)
    note = "all candidates were tried" if calibration.complete else "the time limit came before all were tried"
    click.echo(f"chosen after {calibration.seconds:.0f} s: {describe_batching(calibration.batching)} ({note})")
    click.echo(f"stored in {CalibrationStore().path(calibration.key)}")
