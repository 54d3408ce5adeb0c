"""The public functions that start and resume runs, and the checks of request, data set and weights before the start."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from asrlab.environment import engine_variables, git_state, this_machine, utc_timestamp
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.evaluation.metrics import TextPair, get_profile, profile_for
from asrlab.evaluation.runs.executor import Executor, ModelJob, never
from asrlab.evaluation.runs.fingerprint import (
    UtteranceFacts,
    dataset_fingerprint,
    describe_utterances,
    spoken_language,
    text_language,
    unsupported_languages,
)
from asrlab.evaluation.runs.index import write_summary
from asrlab.evaluation.runs.load import RunRecords, load_run_records
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, ModelFacts, RunManifest, default_warmup
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import Runner, RunProgress
from asrlab.evaluation.runs.storage import Ledger, RunFolder, find_run, new_run_path
from asrlab.evaluation.runs.worker_pool import LocalExecutor
from asrlab.loading import check_choices, fetch_weights_to_load, model_info
from asrlab.options import Batching, TranscribeOptions
from asrlab.patches import PatchSelection
from asrlab.patches.direct import known_patches
from asrlab.plugins.hookspecs import RunFinished, RunStarted
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.weights import Progress as FetchProgress

_log = logging.getLogger("asrlab.evaluation.runs")

_UNIT_SIZE = 64
"""Enough utterances for batches of similar length, and few enough that Ctrl-C and retries are quick."""
MAX_REPEATS = 1000
"""Maximum number of transcriptions of an utterance, and of warm-ups."""


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


def prepare_run(
    dataset: str | PathLike[str] | Dataset | object,
    request: BenchRequest,
    *,
    host: PluginHost | None = None,
    offline: bool = False,
    fetch_progress: FetchProgress | None = None,
) -> RunPlan:
    """Check *request*, read the data set and its audio, and fetch the weights, as `bench` does before anything runs.

    The names of data set and models in *request* are replaced by names that a resumed run finds again.
    """
    host = host or PluginHost()
    models = list(map(Registry(host).resolve, request.models))
    request = attrs.evolve(request, dataset=_dataset_reference(dataset), models=tuple(map(portable_name, models)))
    _check_request(request, models, host)
    data = dataset
    if not isinstance(data, Dataset):
        external = request.allow_external_audio
        data = load_dataset(data, format=request.format, allow_external_audio=external, host=host)
    utterances = list(data)
    if not utterances:
        raise DatasetError(f"data set {data.name!r} has no utterances")
    languages = [spoken_language(utterance.language, request.options) for utterance in utterances]
    scoring = _choose_normalizer(request, utterances, languages)
    fetch = partial(fetch_weights_to_load, patches=request.patches, offline=offline, progress=fetch_progress)
    model_facts = [
        ModelFacts(info=attrs.evolve(model_info(model, fetch(model)), name=name), packages=model.engine.packages())
        for name, model in models_by_name(models).items()
    ]
    facts = describe_utterances(utterances)
    return RunPlan(
        manifest=RunManifest(
            run="",
            created=utc_timestamp(),
            request=request,
            dataset=DatasetFacts(
                **{name: getattr(data, name) for name in ("name", "source", "licence")},
                utterances=len(facts),
                fingerprint=dataset_fingerprint(facts),
            ),
            models=tuple(model_facts),
            machine=this_machine(),
            environment=engine_variables(),
            git=git_state(Path.cwd()),
            plugin_failures=host.failures,
            **scoring,
        ),
        facts=facts,
        utterances=utterances,
        host=host,
        warnings=tuple(_language_warnings(models, languages)),
    )


@attrs.frozen(kw_only=True)
class RunPlan:
    """A checked request with everything that a run needs but its folder.

    The manifest's run has no name yet. *warnings* has a sentence for each model that does not suit the data set.
    """

    manifest: RunManifest
    facts: tuple[UtteranceFacts, ...]
    utterances: list[Utterance]
    host: PluginHost
    warnings: tuple[str, ...] = ()

    def run(
        self,
        path: str | PathLike[str] | None = None,
        *,
        progress: Callable[[RunProgress], object] | None = None,
        should_stop: Callable[[], bool] | None = None,
        executor: Executor | None = None,
    ) -> BenchResult:
        """Start the run in the folder *path*, or resume the run that is there; None creates a dated folder.

        Raises:
            DatasetError: If the folder is in use or holds another run.
            OutputError: If the folder cannot be written.
        """
        for warning in self.warnings:
            _log.warning(warning)
        folder = RunFolder(Path(path).expanduser() if path is not None else new_run_path(self.manifest.dataset.name))
        with folder.lock():
            records = self._open_records(folder)
            with Ledger(folder.ledger) as ledger:
                runner = Runner(
                    records=records,
                    ledger=ledger,
                    utterances=self.utterances,
                    executor=executor or LocalExecutor(),
                    jobs=self._jobs(),
                    progress=progress or (lambda _: None),
                    should_stop=should_stop or never,
                )
                self._run_with_hooks(records, runner)
            result = records.result()
            write_summary(folder, records, result)
        return result

    def _open_records(self, folder: RunFolder) -> RunRecords:
        """Return the records of the run in *folder*, which is started if there is none."""
        if not folder.has_begun:
            folder.begin(attrs.evolve(self.manifest, run=folder.path.absolute().name), self.facts)
            return load_run_records(folder.path)
        records = load_run_records(folder.path)
        changes = [*records.manifest.changes(self.manifest), *_utterance_changes(records.utterances, self.facts)]
        if changes:
            lines = "".join(f"\n  {change}" for change in changes[:10])
            raise DatasetError(
                f"cannot resume the run {folder.path} because its inputs changed:{lines}\n"
                "restore them, or start a new run with another --run",
                path=folder.path,
            )
        return records

    def _jobs(self) -> dict[str, ModelJob]:
        request, host, jobs = self.manifest.request, self.host, {}
        for facts, name in zip(self.manifest.models, request.models, strict=True):
            is_batch = Registry(host).resolve(name).engine.supports_batching and request.batching.batch_size != 1
            jobs[facts.info.name] = ModelJob(
                model=name,
                request=request,
                unit_size=_UNIT_SIZE if is_batch else 1,
                points=host.points,
                disabled=tuple(host.disabled),
            )
        return jobs

    def _run_with_hooks(self, records: RunRecords, runner: Runner) -> None:
        dataset, models = self.manifest.dataset.name, tuple(runner.jobs)
        self.host.notify("asrlab_run_started", run=RunStarted(dataset=dataset, models=models))
        try:
            runner.run()
        finally:
            finished = RunFinished(
                dataset=dataset,
                models=models,
                utterances=len(records.outcomes),
                failed=sum(outcome.failure is not None for outcome in records.outcomes.values()),
                seconds=records.seconds,
            )
            self.host.notify("asrlab_run_finished", run=finished)


def _check_request(request: BenchRequest, models: list[ResolvedModel], host: PluginHost) -> None:
    """Refuse what is known to fail before weights are fetched."""
    PatchSelection.parse(request.patches, known_patches(host))
    for model in models:
        check_choices(model.engine, compute_type=request.compute_type, threads=request.threads)
    names = list(request.models)
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"{duplicate} is given twice; to transcribe several times give repeat", option="models")
    if not names:
        raise OptionError("no model is given; give at least one", option="models")
    for name, value, minimum in (("repeat", request.repeat, 1), ("warmup", request.warmup, 0)):
        if type(value) is not int or not minimum <= value <= MAX_REPEATS:
            message = f"{name} must be a whole number from {minimum} to {MAX_REPEATS}, not {value!r}"
            raise OptionError(message, option=name)
    for name, limit in (("timeout", request.timeout), ("memory_limit_bytes", request.memory_limit_bytes)):
        if limit is not None and not 0 < limit < math.inf:
            raise OptionError(f"{name} must be more than 0 and finite, not {limit}", option=name)


def _dataset_reference(dataset: object) -> str | None:
    """Return the name or absolute path by which a resumed run finds the data set; None for an object."""
    if not isinstance(dataset, str | PathLike):
        return None
    path = Path(dataset).expanduser()
    return str(path.absolute()) if path.exists() else str(dataset)


def portable_name(model: ResolvedModel) -> str:
    """Return a name that stands for the same model in every working directory."""
    return f"{model.name.partition('/')[0]}/{model.path.absolute()}" if model.path else model.name


def models_by_name(models: list[ResolvedModel]) -> dict[str, ResolvedModel]:
    """Return the models by unique names; two folders of the same name would not have them."""
    names = [model.name for model in models]
    return {model.name if names.count(model.name) == 1 else portable_name(model): model for model in models}


def _choose_normalizer(
    request: BenchRequest, utterances: Iterable[Utterance], languages: Iterable[str | None]
) -> dict[str, Any]:
    """Return the facts of the scoring profile for the manifest."""
    pairs = [
        TextPair(id=row.id, reference=row.text, hypothesis="", language=text_language(language, request.options))
        for row, language in zip(utterances, languages, strict=True)
        if row.text is not None
    ]
    profile = get_profile(request.normalizer or profile_for(pair.language for pair in pairs))
    version, normalizers = profile.version, profile.normalizers(pairs)
    return {"normalizer": profile.name, "normalizer_version": version, "normalizers": normalizers}


def _language_warnings(models: Iterable[ResolvedModel], languages: list[str | None]) -> Iterator[str]:
    for model in models:
        if unsupported := unsupported_languages(model.model.languages if model.model else None, languages):
            yield unsupported.sentence(model.name)


def _utterance_changes(before: tuple[UtteranceFacts, ...], after: tuple[UtteranceFacts, ...]) -> list[str]:
    was, now = {facts.id: facts for facts in before}, {facts.id: facts for facts in after}
    return [
        f"the utterance {name!r} is " + ("new" if name not in was else "gone" if name not in now else "changed")
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]
