"""``asrlab bench``: a data set through models, scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from asrlab.cli.options import (
    as_json,
    batching_of,
    batching_options,
    device_options,
    engine_options,
    fetch_progress,
    model_option,
    options_of,
)
from asrlab.cli.progress import running
from asrlab.cli.views.run import finished, normalizers_option, table_options

if TYPE_CHECKING:
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import ResolvedModel

EPILOG = """\b
Examples:
  asrlab bench smoke -m faster-whisper/base -m openai-whisper/base
  asrlab bench recordings/ -m faster-whisper/small --device cuda --run runs/small
  asrlab bench manifest.jsonl -m faster-whisper/base --repeat 5 --warmup 3
  asrlab bench manifest.jsonl -m faster-whisper/base --json > result.json
"""

_MIB = 2**20


def _complete_dataset(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from asrlab.evaluation.catalog import list_datasets

    names = [spec.name for spec in list_datasets() if spec.name.startswith(typed)]
    return [*map(CompletionItem, names), CompletionItem(typed, type="file")]


@click.command(epilog=EPILOG)
@click.argument("dataset", shell_complete=_complete_dataset)
@model_option
@click.option("--format", help="DATASET's format, such as kaldi; told by its content. See docs/reference/data-sets.md.")
@click.option(
    "--allow-external-audio", is_flag=True, help="Accept files outside of DATASET's folder, named in it or linked."
)
@click.option("--run", type=click.Path(path_type=Path), help="Folder for the records; one with the same run goes on.")
@click.option(
    "--normalizer", help="Of all utterances: english, basic, none or leaderboard; by each one's language if not given."
)
@normalizers_option
@click.option(
    "--repeat",
    default=1,
    show_default=True,
    help="Transcribe the data set so often, the models in turn; scores are of the first. A verdict on speed needs 3.",
)
@click.option(
    "--warmup", type=int, help="Transcriptions to throw away before the first that counts; 1 with --repeat, else 0."
)
@click.option("--timeout", type=float, help="Seconds an utterance may take; 60 times its duration, at least 300.")
@click.option("--memory-limit", type=click.IntRange(min=1), help="MiB at which a model's process counts as out of it.")
@table_options
@device_options
@engine_options
@batching_options
@as_json
def bench(
    dataset: str,
    models: tuple[str, ...],
    format: str | None,  # noqa: A002 - click passes options by their names
    allow_external_audio: bool,
    run: Path | None,
    normalizer: str | None,
    normalizers: str | None,
    repeat: int,
    warmup: int | None,
    timeout: float | None,
    memory_limit: int | None,
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

    DATASET is a name (smoke), a folder of audio files with .txt files beside them, a JSONL manifest, or data in another
    format (docs/reference/data-sets.md). Each model runs in a process of its own, so that its peak memory is its own.
    An utterance that hangs, crashes or runs out of memory twice is set aside; the others are not touched.

    Every outcome is on the disk as soon as it is there, in a folder of the run's own (--run, or a dated one: see asrlab
    runs). After Ctrl-C the utterance under way is finished, or several at once get a few seconds; a second Ctrl-C does
    not wait. asrlab resume RUN goes on.
    """
    from asrlab.evaluation.catalog import load_dataset
    from asrlab.evaluation.runs.bench import bench as start
    from asrlab.plugins.manager import PluginHost

    host = PluginHost()
    batching, options = batching_of(given), options_of(given)
    # what is wrong with it is said before gigabytes are fetched
    load_dataset(dataset, format=format, allow_external_audio=allow_external_audio, host=host)
    _fetch(_checked(models, host, compute_type=compute_type, threads=threads), patches=patches, offline=offline)
    with running() as one:
        result = start(
            dataset,
            models=models,
            format=format,
            allow_external_audio=allow_external_audio,
            device=device,
            compute_type=compute_type,
            threads=threads,
            patches=patches,
            options=options,
            batching=batching,
            normalizer=normalizer,
            repeat=repeat,
            warmup=warmup,
            timeout=timeout,
            memory_limit_bytes=memory_limit and memory_limit * _MIB,
            run=run,
            offline=True,
            progress=one.progress,
            stop=one.stop,
            host=host,
        )
    return finished(result, stopped=one.stopped, texts=not only_table, normalizers=normalizers, as_json=as_json)


def _checked(
    models: tuple[str, ...], host: PluginHost, *, compute_type: str, threads: int | None
) -> list[ResolvedModel]:
    from asrlab.loading import check_choices
    from asrlab.plugins.registry import Registry

    resolved = list(map(Registry(host).resolve, models))
    for model in resolved:
        check_choices(model.engine, compute_type=compute_type, threads=threads)
    return resolved


def _fetch(models: list[ResolvedModel], *, patches: str | None, offline: bool) -> None:
    from asrlab.loading import fetch_weights_to_load

    with fetch_progress() as show:
        for model in models:
            fetch_weights_to_load(model, patches=patches, offline=offline, progress=show)
