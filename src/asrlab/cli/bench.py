"""``asrlab bench`` and ``asrlab resume``: run models on a data set and score the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli.command import Command
from asrlab.cli.options import (
    FilePath,
    as_json,
    batching_options,
    combine,
    complete_dataset,
    device_options,
    engine_options,
    model_option,
    normalizers_option,
    offline_option,
    only_table_option,
    to_batching,
    to_transcribe_options,
)

if TYPE_CHECKING:
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import ResolvedModel

BENCH_EPILOG = """\b
Examples:
  asrlab bench smoke -m faster-whisper/base -m openai-whisper/base
  asrlab bench recordings/ -m faster-whisper/small --device cuda --run runs/small
  asrlab bench manifest.jsonl -m faster-whisper/base --repeat 5 --warmup 3
  asrlab bench manifest.jsonl -m faster-whisper/base --json > result.json
"""
RESUME_EPILOG = """\b
Examples:
  asrlab runs
  asrlab resume 2026-11-23T09-30-00-smoke
  asrlab resume runs/small --only-table
"""

_MIB = 2**20

_run_options = combine(
    click.option("--format", help="Format of DATASET, such as kaldi; detected if not given. See docs/reference."),
    click.option("--allow-external-audio", is_flag=True, help="Accept audio files outside of DATASET's folder."),
    click.option("--run", type=FilePath(), help="Folder for the records; a run that is there is resumed."),
    click.option(
        "--normalizer",
        help="Normalizer of all utterances: english, basic, none or leaderboard; by language if not given.",
    ),
    click.option(
        "--repeat",
        default=1,
        show_default=True,
        help="Passes over the data set, the models in turn; the first is scored. A speed verdict needs 3.",
    ),
    click.option(
        "--warmup", type=int, help="Transcriptions to discard before the first pass; 1 with --repeat, else 0."
    ),
    click.option(
        "--timeout", type=float, help="Maximum seconds for an utterance; 60 times its duration, at least 300."
    ),
    click.option("--memory-limit", type=click.IntRange(min=1), help="MiB at which a model's process is out of memory."),
)


@click.command(cls=Command, epilog=BENCH_EPILOG)
@click.argument("dataset", shell_complete=complete_dataset)
@model_option
@_run_options
@normalizers_option
@only_table_option
@device_options
@engine_options
@batching_options
@as_json
def bench(
    dataset: str,
    *,
    models: tuple[str, ...],
    normalizers: tuple[str, ...],
    only_table: bool,
    offline: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Transcribe DATASET with each MODEL and score the texts against its references.

    DATASET is a name (smoke), a folder of audio files with .txt files beside them, a JSONL manifest, or data in another
    format (docs/reference/data-sets.md). Each model runs in a process of its own, so that its peak memory is its own.
    An utterance that hangs, crashes or runs out of memory twice is set aside; the others are not affected.

    Each outcome is written to disk at once, in a folder of the run (--run, or a dated one: see asrlab runs). Ctrl-C
    finishes the current utterance, or waits a few seconds if there are several; a second Ctrl-C stops at once. asrlab
    resume RUN transcribes the rest.
    """
    from asrlab import evaluation
    from asrlab.cli.progress import run_progress
    from asrlab.cli.views.run import finish_run
    from asrlab.plugins.manager import PluginHost

    host = PluginHost()
    request = {
        name: given.pop(name) for name in ("format", "allow_external_audio", "device", "compute_type", "threads")
    }
    request |= {name: given.pop(name) for name in ("patches", "normalizer", "repeat", "warmup", "timeout", "run")}
    memory_limit = given.pop("memory_limit")
    batching, options = to_batching(given), to_transcribe_options(given)
    # a mistake in the data set is reported before gigabytes are fetched
    evaluation.load_dataset(
        dataset, format=request["format"], allow_external_audio=request["allow_external_audio"], host=host
    )
    resolved = _resolve(models, host, compute_type=request["compute_type"], threads=request["threads"])
    _fetch(resolved, patches=request["patches"], offline=offline)
    with run_progress() as progress:
        result = evaluation.bench(
            dataset,
            models=models,
            options=options,
            batching=batching,
            memory_limit_bytes=memory_limit and memory_limit * _MIB,
            offline=True,
            progress=progress.show,
            stop=progress.should_stop,
            host=host,
            **request,
        )
    return finish_run(result, stopped=progress.stopped, texts=not only_table, normalizers=normalizers, as_json=as_json)


def _resolve(
    models: tuple[str, ...], host: PluginHost, *, compute_type: str, threads: int | None
) -> list[ResolvedModel]:
    from asrlab.loading import check_choices
    from asrlab.plugins.registry import Registry

    resolved = list(map(Registry(host).resolve, models))
    for model in resolved:
        check_choices(model.engine, compute_type=compute_type, threads=threads)
    return resolved


def _fetch(models: list[ResolvedModel], *, patches: str | None, offline: bool) -> None:
    from asrlab.cli.progress import fetch_progress
    from asrlab.loading import fetch_weights_to_load

    with fetch_progress() as show:
        for model in models:
            fetch_weights_to_load(model, patches=patches, offline=offline, progress=show)


@click.command(cls=Command, epilog=RESUME_EPILOG)
@click.argument("run")
@offline_option
@only_table_option
@as_json
def resume(run: str, *, offline: bool, only_table: bool, as_json: bool) -> int:
    """Resume RUN, which was stopped or killed, by its name or its folder.

    Utterances that have an outcome keep it; the rest is transcribed. If the data set, the weights or a package has
    changed since, nothing is done and the change is named.
    """
    from asrlab import evaluation
    from asrlab.cli.progress import run_progress
    from asrlab.cli.views.run import finish_run

    with run_progress() as progress:
        result = evaluation.resume(run, offline=offline, progress=progress.show, stop=progress.should_stop)
    return finish_run(result, stopped=progress.stopped, texts=not only_table, normalizers=(), as_json=as_json)
