"""``asrlab tune``: how recordings best go together through a model on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, complete_model, console, device_options, echo_json, progress_bar

if TYPE_CHECKING:
    from asrlab.options import Batching
    from asrlab.tuning.calibration import Calibration, Trial

EPILOG = """\b
Examples:
  asrlab tune faster-whisper/base
  asrlab tune faster-whisper/large-v3 --device cuda --seconds 120
  asrlab tune faster-whisper/base --forget
"""


@click.command(epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_model)
@click.option("--seconds", type=float, default=90.0, show_default=True, help="When to stop trying, for each model.")
@click.option("--forget", is_flag=True, help="Remove what was found before, and try nothing.")
@device_options
@as_json
def tune(models: tuple[str, ...], seconds: float, forget: bool, as_json: bool, **where: Any) -> int:
    """Find how recordings best go together through each MODEL here, and keep that for every later call.

    Workers, their threads, batch size, the encoder's batch and the window are tried on the embedded speech, and only
    time decides. What is found holds for this machine, device, weights, compute type and versions; asrlab doctor
    shows it. --batch-size, --workers and the like of other commands come before it.
    """
    if forget:
        return _forget(models, as_json=as_json)
    made = [_tuned(model, seconds, where) for model in models]
    if as_json:
        echo_json({"calibrations": [json.loads(each.to_json()) for each in made]})
    else:
        for each in made:
            _show(each)
    return exit_codes.DONE


def _tuned(model: str, seconds: float, where: dict[str, Any]) -> Calibration:
    from asrlab.evaluation.reports.quality_summary import describe_batching
    from asrlab.tuning.tune import tune as start

    with progress_bar() as bars:
        bar = bars.add_task(model, total=round(seconds))

        def tell(step: str, batching: Batching, used: float) -> None:
            bars.update(bar, completed=round(used), description=f"{model}: {step}, {describe_batching(batching)}")

        return start(model, seconds=seconds, progress=tell, **where)


def _forget(models: tuple[str, ...], *, as_json: bool) -> int:
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


def _show(made: Calibration) -> None:
    from rich.table import Table

    from asrlab.evaluation.reports.quality_summary import describe_batching
    from asrlab.tuning.calibration import CalibrationStore

    table = Table("step", "batch size", "workers", "threads", "margin", "encoder", title=made.circumstances.model)
    table.add_column("RTFx, best of its rounds", justify="right")
    for trial in made.trials:
        table.add_row(trial.step, *_cells(trial.batching), _outcome(trial))
    screen = console()
    screen.print(table)
    how = "everything had its turn" if made.complete else "the time was used up before everything had its turn"
    click.echo(f"chosen after {made.seconds:.0f} s: {describe_batching(made.chosen)} ({how})")
    click.echo(f"kept in {CalibrationStore().path(made.circumstances)}")


def _cells(batching: Batching) -> tuple[str, ...]:
    encoder = "together" if batching.encode_together else "one by one"
    return str(batching.batch_size), str(batching.workers), str(batching.threads), f"{batching.margin:g} s", encoder


def _outcome(trial: Trial) -> str:
    if trial.pace is None:
        return trial.error or "none came to its end"
    return f"{trial.pace:.1f} ({len(trial.seconds)})"
