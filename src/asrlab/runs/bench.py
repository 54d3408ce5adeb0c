"""Runs a data set through models, each in a process of its own, and keeps a record of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

import attrs

from asrlab.datasets import Dataset, Utterance
from asrlab.errors import DatasetError, OptionError
from asrlab.loading import check_choices, fetch_weights, load_dataset, model_info
from asrlab.metrics import Normalizer, get_normalizer
from asrlab.options import TranscribeOptions
from asrlab.patches import PatchChoice
from asrlab.patching import known_patches
from asrlab.plugins.events import RunFinished, RunStarted
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.runs.executor import Executor
from asrlab.runs.facts import environment, git_state, now
from asrlab.runs.fingerprint import UtteranceFacts, describe, fingerprint
from asrlab.runs.folder import RunFolder, find_run, new_run_path
from asrlab.runs.ledger import Ledger
from asrlab.runs.local import LocalExecutor
from asrlab.runs.machine import this_machine
from asrlab.runs.manifest import DatasetFacts, Manifest, ModelFacts, Request
from asrlab.runs.messages import Job
from asrlab.runs.reading import RunRecords, records_of
from asrlab.runs.result import BenchResult
from asrlab.runs.runner import Progress, Runner
from asrlab.runs.summary import write_summary

__all__ = ["Progress", "bench", "resume"]


def bench(
    dataset: str | PathLike[str] | Dataset,
    *,
    models: str | Sequence[str],
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    patches: str | Sequence[str] | None = None,
    options: TranscribeOptions | None = None,
    normalizer: str | None = None,
    repeat: int = 1,
    warmup: int = 0,
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
        dataset: A name such as ``smoke``, a path, or a data set.
        models: Names, as ``asrlab.load`` takes them; or a single one.
        device: As for ``asrlab.load``.
        compute_type: As for ``asrlab.load``.
        threads: As for ``asrlab.load``.
        patches: As for ``asrlab.load``.
        options: For every utterance; the language is detected where they give none.
        normalizer: ``english``, ``basic`` or ``none``; None takes ``english`` where every utterance says that it is
            English, and ``basic`` elsewhere.
        repeat: How often every utterance is transcribed, the whole data set time after time. Scores are of the first.
        warmup: How many transcriptions each process throws away before the first that counts.
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

    They are raised before anything runs, but for a disk that fills up. A model that does not load, or an utterance that
    fails, is a failure in the result.
    """
    host = host or PluginHost()
    names = (models,) if isinstance(models, str) else tuple(models)
    resolved = list(map(Registry(host).resolve, names))
    request = Request(
        dataset=_told(dataset),
        models=tuple(map(_asked, resolved)),
        device=device,
        compute_type=compute_type,
        threads=threads,
        patches=patches if isinstance(patches, str | None) else tuple(patches),
        options=options or TranscribeOptions(),
        normalizer=normalizer,
        repeat=repeat,
        warmup=warmup,
        timeout=timeout,
        memory_limit_bytes=memory_limit_bytes,
    )
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, host=host)
    plan = _Plan.of(request, data, resolved, host=host, offline=offline)
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
    request = records_of(path).manifest.request
    if request.dataset is None:
        raise DatasetError(
            f"the data set of the run {path} was given as an object; call asrlab.bench with it and run={str(path)!r}",
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


def _told(dataset: str | PathLike[str] | Dataset) -> str | None:
    """How `resume` finds the data set again."""
    if isinstance(dataset, Dataset):
        return None
    path = Path(dataset).expanduser()
    return str(path.absolute()) if path.exists() else str(dataset)


def _ignore(_progress: Progress) -> None:
    """No progress."""


@attrs.frozen(kw_only=True)
class _Plan:
    """A checked request: everything that a run needs but the folder."""

    manifest: Manifest
    facts: tuple[UtteranceFacts, ...]
    utterances: list[Utterance]
    host: PluginHost

    @classmethod
    def of(
        cls, request: Request, data: Dataset, models: list[ResolvedModel], *, host: PluginHost, offline: bool
    ) -> _Plan:
        _check(request, models, host)
        utterances = list(data)
        if not utterances:
            raise DatasetError(f"data set {data.name!r} holds no utterance")
        normalizer = get_normalizer(request.normalizer or _normalizer_for(utterances))
        found = tuple(_model_facts(name, model, offline=offline) for name, model in _named(models).items())
        facts = describe(utterances)
        return cls(
            manifest=_manifest(request, data, facts, found, normalizer=normalizer, host=host),
            facts=facts,
            utterances=utterances,
            host=host,
        )

    def run(
        self,
        folder: RunFolder,
        progress: Callable[[Progress], object],
        stop: Callable[[], bool],
        executor: Executor,
    ) -> BenchResult:
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
            write_summary(folder, records)
        return records.result()

    def _records(self, folder: RunFolder) -> RunRecords:
        """Those of the run in *folder*, which is begun if there is none.

        Raises:
            DatasetError: It is a run of something else.
        """
        if not folder.begun:
            folder.begin(attrs.evolve(self.manifest, run=folder.path.absolute().name), self.facts)
            return records_of(folder.path)
        records = records_of(folder.path)
        changes = [*records.manifest.changes(self.manifest), *_audio_changes(records.utterances, self.facts)]
        if changes:
            listed = "".join(f"\n  {line}" for line in changes[:10])
            raise DatasetError(
                f"the run {folder.path} cannot be gone on with, since it is of something else:{listed}\n"
                "put it back as it was, or begin a new run (another --run)",
                path=folder.path,
            )
        return records

    def _jobs(self) -> dict[str, Job]:
        request = self.manifest.request
        shared = Job(
            model="",
            device=request.device,
            compute_type=request.compute_type,
            threads=request.threads,
            patches=request.patches,
            options=request.options,
            points=self.host.points,
            disabled=tuple(self.host.disabled),
            memory_limit_bytes=request.memory_limit_bytes,
        )
        return {
            facts.info.name: attrs.evolve(shared, model=asked)
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


def _check(request: Request, models: list[ResolvedModel], host: PluginHost) -> None:
    """Refuse what is known to fail before anything is fetched.

    Raises:
        OptionError: A number is out of range, or a model is given twice.
    """
    PatchChoice.of(request.patches, known_patches(host))
    for model in models:
        check_choices(model.engine, compute_type=request.compute_type, threads=request.threads)
    names = list(request.models)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"{twice} is given twice; to transcribe several times give repeat", option="models")
    if not names:
        raise OptionError("no model is given; give at least one", option="models")
    for name, value, least in (("repeat", request.repeat, 1), ("warmup", request.warmup, 0)):
        if value < least:
            raise OptionError(f"{name} must be at least {least}, not {value}", option=name)
    for name, limit in (("timeout", request.timeout), ("memory_limit_bytes", request.memory_limit_bytes)):
        if limit is not None and not limit > 0:
            raise OptionError(f"{name} must be more than 0, not {limit}", option=name)


def _normalizer_for(utterances: Iterable[Utterance]) -> str:
    english = all((utterance.language or "").split("-")[0].lower() == "en" for utterance in utterances)
    return "english" if english else "basic"


def _asked(model: ResolvedModel) -> str:
    """A name that stands for the same model wherever the run is gone on with."""
    return f"{model.name.partition('/')[0]}/{model.path.absolute()}" if model.path else model.name


def _named(models: list[ResolvedModel]) -> dict[str, ResolvedModel]:
    """The models by names that differ, as two folders of the same name would not."""
    names = [model.name for model in models]
    return {model.name if names.count(model.name) == 1 else _asked(model): model for model in models}


def _model_facts(name: str, model: ResolvedModel, *, offline: bool) -> ModelFacts:
    info = model_info(model, fetch_weights(model, offline=offline))
    return ModelFacts(info=attrs.evolve(info, name=name), packages=model.engine.packages())


def _manifest(
    request: Request,
    data: Dataset,
    facts: tuple[UtteranceFacts, ...],
    models: tuple[ModelFacts, ...],
    *,
    normalizer: Normalizer,
    host: PluginHost,
) -> Manifest:
    return Manifest(
        run="",
        created=now(),
        request=request,
        dataset=DatasetFacts(
            name=data.name,
            source=data.source,
            licence=data.licence,
            utterances=len(facts),
            fingerprint=fingerprint(facts),
        ),
        models=models,
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        machine=this_machine(),
        environment=environment(),
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
