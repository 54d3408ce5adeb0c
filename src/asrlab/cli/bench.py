"""``asrlab bench`` and ``asrlab resume``: evaluate models on a data set, each in a process of its own."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

EPILOG = """\b
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

_run_options = options.combine(
    click.option("--format", help="Format of DATASET, such as kaldi; detected if not given. See docs/reference."),
    options.flag("--allow-external-audio", description="Accept audio files outside of DATASET's folder."),
    click.option("--run", type=options.FilePath(), help="Folder for the records; a run that is there is resumed."),
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
    options.number("--memory-limit", None, "MiB at which a model's process is out of memory.", at_least=1),
)


@click.command(cls=Command, epilog=EPILOG)
@click.argument("dataset", shell_complete=options.complete_dataset)
@options.model_option
@_run_options
@options.normalizers_option
@options.run_view_options
@options.device_options
@options.engine_options
@options.batching_options
@options.as_json
def bench(dataset: str, *, models: tuple[str, ...], offline: bool, **given: Any) -> int:
    """Transcribe DATASET with each MODEL and score the texts against its references.

    DATASET is a name (smoke), a folder of audio files with .txt files beside them, a JSONL manifest, or data in another
    format (docs/reference/data-sets.md). Each model runs in a process of its own, so that its peak memory is its own.
    An utterance that hangs, crashes or runs out of memory twice is set aside; the others are not affected.

    Each outcome is written to disk at once, in a folder of the run (--run, or a dated one: see asrlab runs). Ctrl-C
    finishes the current utterance, or waits a few seconds if there are several; a second Ctrl-C stops at once. asrlab
    resume RUN transcribes the rest.
    """
    from asrlab.cli.progress import fetch_progress, run_progress
    from asrlab.cli.run_view import finish_run
    from asrlab.evaluation.runs.bench import prepare_run
    from asrlab.evaluation.runs.manifest import BenchRequest, default_warmup

    shown = {name: given.pop(name) for name in ("normalizers", "verbose", "only_table", "as_json")}
    run, memory_limit, warmup = given.pop("run"), given.pop("memory_limit"), given.pop("warmup")
    batching, chosen = options.to_batching(given), options.to_transcribe_options(given)
    request = BenchRequest(
        dataset=None,
        models=models,
        warmup=default_warmup(given["repeat"]) if warmup is None else warmup,
        memory_limit_bytes=memory_limit and memory_limit * _MIB,
        batching=batching,
        options=chosen,
        **given,
    )
    with fetch_progress() as show:
        plan = prepare_run(dataset, request, offline=offline, fetch_progress=show)
    with run_progress() as progress:
        result = plan.run(run, progress=progress.show, should_stop=progress.should_stop)
    return finish_run(result, stopped=progress.stopped, **shown)


@click.command(cls=Command, epilog=RESUME_EPILOG)
@click.argument("run")
@options.offline_option
@options.run_view_options
@options.as_json
def resume(run: str, *, offline: bool, **shown: bool) -> int:
    """Resume RUN, which was stopped or killed, by its name or its folder.

    Utterances that have an outcome keep it; the rest is transcribed. If the data set, the weights or a package has
    changed since, nothing is done and the change is named.
    """
    from asrlab import evaluation
    from asrlab.cli.progress import run_progress
    from asrlab.cli.run_view import finish_run

    with run_progress() as progress:
        result = evaluation.resume(run, offline=offline, progress=progress.show, should_stop=progress.should_stop)
    return finish_run(result, stopped=progress.stopped, normalizers=(), **shown)
