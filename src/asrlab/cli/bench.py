"""``asrlab bench``: a data set through models, scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from asrlab.cli import exits
from asrlab.cli.shared import (
    as_json,
    device_options,
    engine_options,
    fetch_progress,
    model_option,
    options_of,
    progress_bar,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from asrlab.plugins.manager import PluginHost
    from asrlab.runs.result import BenchResult

EPILOG = """\b
Examples:
  asrlab bench smoke -m faster-whisper/base -m openai-whisper/base
  asrlab bench recordings/ -m faster-whisper/small --device cuda
  asrlab bench manifest.jsonl -m faster-whisper/base --json > result.json
"""


def _complete_dataset(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from asrlab.loading import list_datasets

    names = [spec.name for spec in list_datasets() if spec.name.startswith(typed)]
    return [*map(CompletionItem, names), CompletionItem(typed, type="file")]


@click.command(epilog=EPILOG)
@click.argument("dataset", shell_complete=_complete_dataset)
@model_option
@click.option("--normalizer", help="english, basic or none; english if all of the data set is, else basic.")
@click.option("--only-table", is_flag=True, help="Leave out the texts.")
@device_options
@engine_options
@as_json
def bench(
    dataset: str,
    models: tuple[str, ...],
    normalizer: str | None,
    only_table: bool,
    device: str,
    compute_type: str,
    threads: int | None,
    offline: bool,
    patches: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Transcribe DATASET with each MODEL and score the texts against its references.

    DATASET is a name (smoke), a folder of audio files with .txt files beside them, or a JSONL manifest. Each model runs
    in a process of its own, so that its peak memory is its own.
    """
    from asrlab.loading import load_dataset
    from asrlab.plugins.manager import PluginHost
    from asrlab.runs.bench import bench as run

    host = PluginHost()
    options = options_of(given)
    data = load_dataset(dataset, host=host)
    _fetch(models, host, compute_type=compute_type, threads=threads, offline=offline)
    with progress_bar() as progress:
        result = run(
            data,
            models=models,
            device=device,
            compute_type=compute_type,
            threads=threads,
            normalizer=normalizer,
            options=options,
            offline=True,
            patches=patches,
            progress=_Bars(progress),
            host=host,
        )
    if as_json:
        click.echo(result.to_json(), nl=False)
    else:
        _show(result, texts=not only_table)
    return _exit_code(result)


def _fetch(models: tuple[str, ...], host: PluginHost, *, compute_type: str, threads: int | None, offline: bool) -> None:
    from asrlab.loading import check_choices, fetch_weights
    from asrlab.plugins.registry import Registry

    resolved = list(map(Registry(host).resolve, models))
    for model in resolved:
        check_choices(model.engine, compute_type=compute_type, threads=threads)
    with fetch_progress() as show:
        for model in resolved:
            fetch_weights(model, offline=offline, progress=show)


class _Bars:
    """A bar per model."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, model: str, done: int, total: int) -> None:
        if model not in self._tasks:
            self._tasks[model] = self._progress.add_task(model, total=total)
        self._progress.update(self._tasks[model], completed=done)


def _show(result: BenchResult, *, texts: bool) -> None:
    from asrlab.cli.bench_view import failures, table, texts_of
    from asrlab.cli.shared import console

    screen = console()
    screen.print(table(result))
    for line in failures(result):
        console(stderr=True).print(line, soft_wrap=True)
    if texts:
        for line in texts_of(result):
            screen.print(line, soft_wrap=True)


def _exit_code(result: BenchResult) -> int:
    broken = [model.failure for model in result.models if model.failure is not None]
    if broken and len(broken) == len(result.models):
        return exits.code_for(broken[0].kind)
    return exits.SOME_FAILED if broken or result.failed else exits.DONE
