"""Public functions that start and resume runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets import Dataset
from asrlab.evaluation.runs.executor import Executor
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.manifest import BenchRequest, default_warmup
from asrlab.evaluation.runs.plan import prepare_run
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import RunProgress
from asrlab.evaluation.runs.storage import find_run
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugins.manager import PluginHost


def bench(
    dataset: str | PathLike[str] | Dataset | object,
    *,
    models: str | Sequence[str],
    format: str | None = None,  # noqa: A002 - the word of the command line
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
    progress: Callable[[RunProgress], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    executor: Executor | None = None,
    host: PluginHost | None = None,
) -> BenchResult:
    """Transcribe a data set with each of several models, and score the texts.

    Every outcome is on the disk at once. A folder that holds a run of the same request is resumed; see `resume`. The
    result has a failure for a model that does not load and for an utterance that fails. Errors are raised before
    anything runs, but for a full disk. A warning (module ``logging``) names models that were not made for the language
    of utterances.

    Args:
        dataset: A name such as ``smoke``, a path, a data set, or an object of the library ``datasets``.
        models: Names as for ``asrlab.load``, or a single name.
        format: As for ``asrlab.evaluation.load_dataset``, for a data set given by its path.
        allow_external_audio: As for ``asrlab.evaluation.load_dataset``.
        device: As for ``asrlab.load``.
        compute_type: As for ``asrlab.load``.
        threads: As for ``asrlab.load``.
        patches: As for ``asrlab.load``.
        options: Options for every utterance; without a language there, the data set's is used or detected.
        batching: Batching settings, as for ``Transcriber.transcribe_many``.
        normalizer: Name of a profile (see `asrlab.evaluation.metrics.get_profile`). None normalizes each utterance by
            its language, from the data set or else from *options*; with ``basic`` if the language is not known.
        repeat: Number of transcriptions of every utterance. The models take turns, with one pass through the data set
            each, in a new process each time. Scores are of the first.
        warmup: Number of transcriptions that each process drops before the first one that counts; None for 1 if
            *repeat* is above 1, else 0.
        timeout: Time limit of an utterance in seconds; None for 60 times its duration and at least 300, or 3600 if its
            file does not declare a duration.
        memory_limit_bytes: Resident memory at which a process counts as out of memory; None for no limit.
        run: Folder of the records; None creates a dated one in the user's data folder, or in ``ASRLAB_RUNS``.
        offline: Fetch no weights over the network.
        progress: Called with the progress of each model, at its start and after each outcome.
        should_stop: Asked before anything new starts; once True, work in flight is awaited and the result is partial.
        executor: Executor of the work; None for processes on this machine, one at a time.
        host: Plugins; None loads those of this environment.

    Raises:
        DatasetError: If the data set cannot be read or is empty, or if the run's folder is in use or holds another run.
        OutputError: If the run's folder cannot be written.
        EngineNotFoundError: If a name of a model is unknown.
        EngineUnavailableError: If an engine is not installed.
        WeightsError: If weights are missing.
        OptionError: If the normalizer is unknown, or an engine does not support the compute type.
        PatchError: If a named patch does not exist.
    """
    request = BenchRequest(
        dataset=None,  # the preparation sets dataset and models, in a form that `resume` finds again
        models=(models,) if isinstance(models, str) else tuple(models),
        device=device,
        compute_type=compute_type,
        threads=threads,
        patches=patches if isinstance(patches, str | None) else tuple(patches),
        options=options or TranscribeOptions(),
        batching=batching or Batching(),
        normalizer=normalizer,
        repeat=repeat,
        warmup=default_warmup(repeat) if warmup is None else warmup,
        timeout=timeout,
        memory_limit_bytes=memory_limit_bytes,
        format=format,
        allow_external_audio=allow_external_audio,
    )
    plan = prepare_run(dataset, request, host=host, offline=offline)
    return plan.run(run, progress=progress, should_stop=should_stop, executor=executor)


def resume(
    run: str | PathLike[str],
    *,
    offline: bool = False,
    progress: Callable[[RunProgress], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    executor: Executor | None = None,
    host: PluginHost | None = None,
) -> BenchResult:
    """Resume a run that was stopped or killed, with the utterances that have no outcome yet.

    Args:
        run: Folder or name of the run.
        offline: As for `bench`.
        progress: As for `bench`.
        should_stop: As for `bench`.
        executor: As for `bench`.
        host: As for `bench`.

    Raises:
        DatasetError: If there is no such run; if its data set, weights or packages have changed, which the message
            lists; or if its data set was given as an object, so that only `bench` with ``run=`` can resume it.
    """
    path = find_run(run)
    if path.is_file():
        raise DatasetError(f"{path} is a file; give the folder or the name of a run: asrlab runs", path=path)
    request = load_run_records(path).manifest.request
    if request.dataset is None:
        raise DatasetError(
            f"the data set of the run {path} was given as an object; call asrlab.evaluation.bench with the object and "
            f"run={str(path)!r}",
            path=path,
        )
    plan = prepare_run(request.dataset, request, host=host, offline=offline)
    return plan.run(path, progress=progress, should_stop=should_stop, executor=executor)
