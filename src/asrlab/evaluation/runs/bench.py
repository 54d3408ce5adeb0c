"""Runs a data set through models, each in a process of its own, and keeps a record of everything."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import engine_variables, git_state, this_machine, utc_timestamp
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.evaluation.metrics import Profile, TextPair, get_profile, profile_for
from asrlab.evaluation.runs.executor import Executor, ModelJob
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, dataset_fingerprint, describe_utterances
from asrlab.evaluation.runs.index import write_summary
from asrlab.evaluation.runs.languages import spoken_language, text_language, unsupported_languages
from asrlab.evaluation.runs.load import RunRecords, load_run_records
from asrlab.evaluation.runs.local import LocalExecutor
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, ModelFacts, RunManifest
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import Runner, RunProgress
from asrlab.evaluation.runs.storage import Ledger, RunFolder, find_run, new_run_path
from asrlab.loading import check_choices, fetch_weights_to_load, model_info
from asrlab.options import Batching, TranscribeOptions
from asrlab.patches import PatchSelection
from asrlab.patches.direct import known_patches
from asrlab.plugins.hookspecs import RunFinished, RunStarted
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel

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
    progress: Callable[[RunProgress], object] | None = None,
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
    request = BenchRequest(
        dataset=_told(dataset),
        models=tuple(map(portable_name, resolved)),
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
    plan = BenchPlan.of(request, data, resolved, host=host, offline=offline)
    for warning in plan.warnings:
        _log.warning(warning)
    folder = RunFolder(Path(run).expanduser() if run is not None else new_run_path(data.name))
    return plan.run(folder, progress or _ignore, stop or bool, executor or LocalExecutor())


def resume(
    run: str | PathLike[str],
    *,
    offline: bool = False,
    progress: Callable[[RunProgress], object] | None = None,
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
    fields = {
        field.name: getattr(request, field.name) for field in attrs.fields(BenchRequest) if field.name != "dataset"
    }
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


def _ignore(_progress: RunProgress) -> None:
    """No progress."""


_UNIT = 64
"""Enough for batches of like length, and few enough that Ctrl-C and a second try wait for little."""
MAX_REPEATS = 1000
"""The most transcriptions of an utterance, and the most warm-ups."""


@attrs.frozen(kw_only=True)
class BenchPlan:
    """A checked request: everything that a run needs but the folder.

    Attributes:
        manifest: What it will be a run of; the name is that of the folder, once there is one.
        facts: Of the utterances.
        utterances: In order.
        host: The plugins.
        warnings: What speaks against a model before it runs, a sentence each.
    """

    manifest: RunManifest
    facts: tuple[UtteranceFacts, ...]
    utterances: list[Utterance]
    host: PluginHost
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, request: BenchRequest, data: Dataset, models: list[ResolvedModel], *, host: PluginHost, offline: bool
    ) -> BenchPlan:
        """Check a request, read the data set and its audio, and find the weights.

        Raises:
            AsrlabError: See ``asrlab.evaluation.bench``.
        """
        _check(request, models, host)
        utterances = list(data)
        if not utterances:
            raise DatasetError(f"data set {data.name!r} holds no utterance")
        spoken = [spoken_language(utterance.language, request.options) for utterance in utterances]
        scored = _scored_pairs(utterances, spoken, request.options)
        profile = get_profile(request.normalizer or profile_for(pair.language for pair in scored))
        named = models_by_name(models).items()
        found = tuple(_model_facts(name, model, patches=request.patches, offline=offline) for name, model in named)
        facts = describe_utterances(utterances)
        return cls(
            manifest=attrs.evolve(
                _manifest(request, data, facts, found, profile=profile, host=host),
                normalizers=profile.normalizers(scored),
            ),
            facts=facts,
            utterances=utterances,
            host=host,
            warnings=tuple(_language_warnings(models, spoken)),
        )

    def run(
        self,
        folder: RunFolder,
        progress: Callable[[RunProgress], object],
        stop: Callable[[], bool],
        executor: Executor,
    ) -> BenchResult:
        """Begin the run in *folder*, or go on with the one that is there.

        Raises:
            DatasetError: The folder cannot be written, is in use, or holds another run.
        """
        with folder.writing():
            records = self._records(folder)
            with Ledger(folder.ledger) as ledger:
                runner = Runner(
                    records=records,
                    ledger=ledger,
                    utterances=self.utterances,
                    executor=executor,
                    jobs=self._jobs(),
                    progress=progress,
                    stop=stop,
                )
                self._notified(records, runner)
            result = records.result()
            write_summary(folder, records, result)
        return result

    def _records(self, folder: RunFolder) -> RunRecords:
        """Those of the run in *folder*, which is begun if there is none.

        Raises:
            DatasetError: It is a run of something else.
        """
        if not folder.begun:
            folder.begin(attrs.evolve(self.manifest, run=folder.path.absolute().name), self.facts)
            return load_run_records(folder.path)
        records = load_run_records(folder.path)
        changes = [*records.manifest.changes(self.manifest), *_audio_changes(records.utterances, self.facts)]
        if changes:
            listed = "".join(f"\n  {line}" for line in changes[:10])
            raise DatasetError(
                f"the run {folder.path} cannot be gone on with, since it is of something else:{listed}\n"
                "put it back as it was, or begin a new run (another --run)",
                path=folder.path,
            )
        return records

    def _jobs(self) -> dict[str, ModelJob]:
        request, registry = self.manifest.request, Registry(self.host)
        shared = ModelJob(
            model="",
            device=request.device,
            compute_type=request.compute_type,
            threads=request.threads,
            patches=request.patches,
            options=request.options,
            batching=request.batching,
            points=self.host.points,
            disabled=tuple(self.host.disabled),
            memory_limit_bytes=request.memory_limit_bytes,
        )
        return {
            facts.info.name: attrs.evolve(
                shared, model=asked, unit_size=_unit_size(registry.resolve(asked).engine, request.batching)
            )
            for facts, asked in zip(self.manifest.models, request.models, strict=True)
        }

    def _notified(self, records: RunRecords, runner: Runner) -> None:
        dataset = self.manifest.dataset.name
        models = tuple(facts.info.name for facts in self.manifest.models)
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


def _check(request: BenchRequest, models: list[ResolvedModel], host: PluginHost) -> None:
    """Refuse what is known to fail before anything is fetched.

    Raises:
        OptionError: A number is out of range, or a model is given twice.
    """
    PatchSelection.parse(request.patches, known_patches(host))
    for model in models:
        check_choices(model.engine, compute_type=request.compute_type, threads=request.threads)
    names = list(request.models)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"{twice} is given twice; to transcribe several times give repeat", option="models")
    if not names:
        raise OptionError("no model is given; give at least one", option="models")
    for name, value, least in (("repeat", request.repeat, 1), ("warmup", request.warmup, 0)):
        if type(value) is not int or not least <= value <= MAX_REPEATS:
            message = f"{name} must be a whole number from {least} to {MAX_REPEATS}, not {value!r}"
            raise OptionError(message, option=name)
    for name, limit in (("timeout", request.timeout), ("memory_limit_bytes", request.memory_limit_bytes)):
        if limit is not None and not 0 < limit < math.inf:
            raise OptionError(f"{name} must be more than 0 and finite, not {limit}", option=name)


def _scored_pairs(
    utterances: Iterable[Utterance], spoken: Iterable[str | None], options: TranscribeOptions
) -> list[TextPair]:
    """Return a pair without hypothesis for each utterance with a reference, with the language that its text is in."""
    return [
        TextPair(
            id=utterance.id,
            reference=utterance.text,
            hypothesis="",
            language=text_language(language, options),
        )
        for utterance, language in zip(utterances, spoken, strict=True)
        if utterance.text is not None
    ]


def _language_warnings(models: Iterable[ResolvedModel], spoken: list[str | None]) -> Iterator[str]:
    for model in models:
        if unfit := unsupported_languages(model.model.languages if model.model else None, spoken):
            yield unfit.sentence(model.name)


def _unit_size(engine: EngineSpec, batching: Batching) -> int:
    return _UNIT if engine.supports_batching and batching.batch_size != 1 else 1


def portable_name(model: ResolvedModel) -> str:
    """A name that stands for the same model wherever the run is gone on with."""
    return f"{model.name.partition('/')[0]}/{model.path.absolute()}" if model.path else model.name


def models_by_name(models: list[ResolvedModel]) -> dict[str, ResolvedModel]:
    """The models by names that differ, as two folders of the same name would not."""
    names = [model.name for model in models]
    return {model.name if names.count(model.name) == 1 else portable_name(model): model for model in models}


def _model_facts(
    name: str, model: ResolvedModel, *, patches: str | tuple[str, ...] | None, offline: bool
) -> ModelFacts:
    info = model_info(model, fetch_weights_to_load(model, patches=patches, offline=offline))
    return ModelFacts(info=attrs.evolve(info, name=name), packages=model.engine.packages())


def _manifest(
    request: BenchRequest,
    data: Dataset,
    facts: tuple[UtteranceFacts, ...],
    models: tuple[ModelFacts, ...],
    *,
    profile: Profile,
    host: PluginHost,
) -> RunManifest:
    return RunManifest(
        run="",
        created=utc_timestamp(),
        request=request,
        dataset=DatasetFacts(
            name=data.name,
            source=data.source,
            licence=data.licence,
            utterances=len(facts),
            fingerprint=dataset_fingerprint(facts),
        ),
        models=models,
        normalizer=profile.name,
        normalizer_version=profile.version,
        machine=this_machine(),
        environment=engine_variables(),
        git=git_state(Path.cwd()),
        plugin_failures=host.failures,
    )


def _audio_changes(then: tuple[UtteranceFacts, ...], now_: tuple[UtteranceFacts, ...]) -> list[str]:
    """The utterances that are not what they were."""
    before, after = {facts.id: facts for facts in then}, {facts.id: facts for facts in now_}
    return [
        f"the utterance {name!r} is "
        + ("new" if name not in before else "gone" if name not in after else "not what it was")
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
