"""Runs a data set through models, each in a process of its own, and keeps a record of everything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.runs.executor import Executor
from asrlab.evaluation.runs.folder import RunFolder, find_run, new_run_path
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.local import LocalExecutor
from asrlab.evaluation.runs.manifest import Request
from asrlab.evaluation.runs.plan import Plan, asked_name
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import Progress
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

_log = logging.getLogger("asrlab.evaluation.runs")


def bench(
    dataset: str | PathLike[str] | Dataset | object,
    *,
    models: str | Sequence[str],
    format: str | None = None,  # noqa: A002 - what it is, and called as on the command line
    allow_external_audio: bool = False,
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    patches: str | Sequence[str] | None = None,
    options: TranscribeOptions | None = None,
    batching: Batching | None = None,
    normalizer: str | None = None,
    repeat: int = 1,
    warmup: int | None = None,
    timeout: float | None = None,
    memory_limit_bytes: int | None = None,
    run: str | PathLike[str] | None = None,
    offline: bool = False,
    progress: Callable[[Progress], object] | None = None,
    stop: Callable[[], bool] | None = None,
    executor: Executor | None = None,
    host: PluginHost | None = None,
) -> BenchResult:
    """Transcribe a data set with each of several models and score the texts; every outcome is on the disk at once.

    A folder that holds a run already is gone on with, if it is a run of the very same; see `resume`.

    Args:
        dataset: A name such as ``smoke``, a path, a data set, or an object of the library ``datasets``.
        models: Names, as ``asrlab.load`` takes them; or a single one.
        format: As for ``asrlab.evaluation.load_dataset``, where the data set is given by its path.
        allow_external_audio: Likewise.
        device: As for ``asrlab.load``.
        compute_type: As for ``asrlab.load``.
        threads: As for ``asrlab.load``.
        patches: As for ``asrlab.load``.
        options: For every utterance; the language is detected where they give none.
        batching: How utterances go through an engine together that can do so, as for ``Transcriber.transcribe_many``.
        normalizer: A profile's name (see `asrlab.evaluation.metrics.get_profile`); None gives each utterance that of its
            language, ``english`` or ``basic``. The language is the data set's, else that of *options*; an utterance
            of unknown language has ``basic``.
        repeat: How often every utterance is transcribed. The models take turns, once through the whole data set each,
            in a new process each time. Scores are of the first.
        warmup: How many transcriptions each process throws away before the first that counts; None takes 1 where
            *repeat* is above 1, so that no pass pays for a first call, and else 0.
        timeout: Seconds that an utterance may take; None takes 60 times its duration and at least 300, or 3600 where
            the file does not tell its duration.
        memory_limit_bytes: Resident memory at which a process counts as out of it; None leaves that to the system.
        run: The folder for the records; None makes a dated one in the user's data folder, or in ``ASRLAB_RUNS``.
        offline: Fetch no weights over the network.
        progress: Told how far each model is: at its start, and after each outcome.
        stop: Asked before anything new is begun; once it says true, what is under way is waited for, and the result is
            what there is.
        executor: What runs the work; None for processes on this machine, one at a time.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        DatasetError: The data set cannot be read, or is empty; or the run's folder cannot be written, is in use, or
            holds another run.
        EngineNotFoundError: A name stands for nothing.
        EngineUnavailableError: An engine is not installed.
        WeightsError: Weights are missing.
        OptionError: There is no such normalizer, or an engine does not know the compute type.
        PatchError: There is no patch of a name given.

    A model that was not made for the language of some utterances runs, and a warning (module ``logging``) names it
    before anything does. Errors are raised before anything runs, but for a disk that fills up. A model that does not
    load, or an utterance that fails, is a failure in the result.
    """
    host = host or PluginHost()
    names = (models,) if isinstance(models, str) else tuple(models)
    resolved = list(map(Registry(host).resolve, names))
    request = Request(
        dataset=_told(dataset),
        models=tuple(map(asked_name, resolved)),
        device=device,
        compute_type=compute_type,
        threads=threads,
        patches=patches if isinstance(patches, str | None) else tuple(patches),
        options=options or TranscribeOptions(),
        batching=batching or Batching(),
        normalizer=normalizer,
        repeat=repeat,
        warmup=int(repeat > 1) if warmup is None else warmup,
        timeout=timeout,
        memory_limit_bytes=memory_limit_bytes,
        format=format,
        allow_external_audio=allow_external_audio,
    )
    if isinstance(dataset, Dataset):
        data = dataset
    else:
        data = load_dataset(dataset, format=format, allow_external_audio=allow_external_audio, host=host)
    plan = Plan.of(request, data, resolved, host=host, offline=offline)
    for warning in plan.warnings:
        _log.warning(warning)
    folder = RunFolder(Path(run).expanduser() if run is not None else new_run_path(data.name))
    return plan.run(folder, progress or _ignore, stop or bool, executor or LocalExecutor())


def resume(
    run: str | PathLike[str],
    *,
    offline: bool = False,
    progress: Callable[[Progress], object] | None = None,
    stop: Callable[[], bool] | None = None,
    executor: Executor | None = None,
    host: PluginHost | None = None,
) -> BenchResult:
    """Go on with a run that was stopped or killed, with the utterances that have no outcome yet.

    Args:
        run: Its folder, or its name.
        offline: As for `bench`, like those that follow.
        progress: See `bench`.
        stop: See `bench`.
        executor: See `bench`.
        host: See `bench`.

    Raises:
        DatasetError: There is no such run; or its data set, weights or packages have changed since, and it says what;
            or its data set was given as an object, so that only `bench` with ``run=`` can go on with it.
    """
    path = find_run(run)
    if path.is_file():
        raise DatasetError(f"{path} is a file; give the folder or the name of a run: asrlab runs", path=path)
    request = load_run_records(path).manifest.request
    if request.dataset is None:
        raise DatasetError(
            f"the data set of the run {path} was given as an object; call asrlab.evaluation.bench with it and run={str(path)!r}",
            path=path,
        )
    fields = {field.name: getattr(request, field.name) for field in attrs.fields(Request) if field.name != "dataset"}
    return bench(
        request.dataset,
        **fields,
        run=path,
        offline=offline,
        progress=progress,
        stop=stop,
        executor=executor,
        host=host,
    )


def _told(dataset: object) -> str | None:
    """How `resume` finds the data set again; None for an object."""
    if not isinstance(dataset, str | PathLike):
        return None
    path = Path(dataset).expanduser()
    return str(path.absolute()) if path.exists() else str(dataset)


def _ignore(_progress: Progress) -> None:
    """No progress."""
