"""The preparation of a run: request, data set and weights are checked once, and the run starts in a folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import engine_variables, git_state, this_machine, utc_timestamp
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.evaluation.metrics import TextPair, get_profile, profile_for
from asrlab.evaluation.runs.executor import Executor, ModelJob, never
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, dataset_fingerprint, describe_utterances
from asrlab.evaluation.runs.index import write_summary
from asrlab.evaluation.runs.languages import spoken_language, text_language, unsupported_languages
from asrlab.evaluation.runs.load import RunRecords, load_run_records
from asrlab.evaluation.runs.local import LocalExecutor
from asrlab.evaluation.runs.manifest import BenchRequest, DatasetFacts, ModelFacts, RunManifest
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import Runner, RunProgress
from asrlab.evaluation.runs.storage import Ledger, RunFolder, new_run_path
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


def prepare_run(
    dataset: str | PathLike[str] | Dataset | object,
    request: BenchRequest,
    *,
    host: PluginHost | None = None,
    offline: bool = False,
    fetch_progress: FetchProgress | None = None,
) -> RunPlan:
    """Check *request*, read the data set and its audio, and fetch the weights.

    Args:
        dataset: As for ``asrlab.evaluation.bench``.
        request: The request; the names of its data set and models are replaced by names that a resumed run finds again.
        host: As for ``asrlab.evaluation.bench``.
        offline: As for ``asrlab.evaluation.bench``.
        fetch_progress: Called with the progress of downloads.

    Raises:
        AsrlabError: As for ``asrlab.evaluation.bench``.
    """
    host = host or PluginHost()
    models = list(map(Registry(host).resolve, request.models))
    request = attrs.evolve(request, dataset=_dataset_reference(dataset), models=tuple(map(portable_name, models)))
    _check_request(request, models, host)
    if isinstance(dataset, Dataset):
        data = dataset
    else:
        external = request.allow_external_audio
        data = load_dataset(dataset, format=request.format, allow_external_audio=external, host=host)
    utterances = list(data)
    if not utterances:
        raise DatasetError(f"data set {data.name!r} has no utterances")
    languages = [spoken_language(utterance.language, request.options) for utterance in utterances]
    pairs = _scored_pairs(utterances, languages, request.options)
    profile = get_profile(request.normalizer or profile_for(pair.language for pair in pairs))
    model_facts = tuple(
        _model_facts(name, model, request, offline=offline, fetch_progress=fetch_progress)
        for name, model in _models_by_name(models).items()
    )
    facts = describe_utterances(utterances)
    manifest = RunManifest(
        run="",
        created=utc_timestamp(),
        request=request,
        dataset=_dataset_facts(data, facts),
        models=model_facts,
        normalizer=profile.name,
        normalizer_version=profile.version,
        normalizers=profile.normalizers(pairs),
        machine=this_machine(),
        environment=engine_variables(),
        git=git_state(Path.cwd()),
        plugin_failures=host.failures,
    )
    warnings = tuple(_language_warnings(models, languages))
    return RunPlan(manifest=manifest, facts=facts, utterances=utterances, host=host, warnings=warnings)


@attrs.frozen(kw_only=True)
class RunPlan:
    """A checked request with everything that a run needs but its folder.

    Attributes:
        manifest: The manifest, whose run has no name yet.
        facts: Facts of the utterances.
        utterances: The utterances in order.
        host: The plugins.
        warnings: A sentence for each model that does not suit the data set.
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
                    progress=progress or _ignore,
                    should_stop=should_stop or never,
                )
                self._run_with_hooks(records, runner)
            result = records.result()
            write_summary(folder, records, result)
        return result

    def _open_records(self, folder: RunFolder) -> RunRecords:
        """Return the records of the run in *folder*, which is started if there is none.

        Raises:
            DatasetError: If the folder holds a run of another request, data set or model.
        """
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
        request, registry = self.manifest.request, Registry(self.host)
        common = ModelJob(
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
                common, model=name, unit_size=_unit_size(registry.resolve(name).engine, request.batching)
            )
            for facts, name in zip(self.manifest.models, request.models, strict=True)
        }

    def _run_with_hooks(self, records: RunRecords, runner: Runner) -> None:
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


def _check_request(request: BenchRequest, models: list[ResolvedModel], host: PluginHost) -> None:
    """Refuse what is known to fail before weights are fetched.

    Raises:
        OptionError: If a number is out of range, or a model is given twice or not at all.
    """
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


def _models_by_name(models: list[ResolvedModel]) -> dict[str, ResolvedModel]:
    """Return the models by unique names; two folders of the same name would not have them."""
    names = [model.name for model in models]
    return {model.name if names.count(model.name) == 1 else portable_name(model): model for model in models}


def _model_facts(
    name: str, model: ResolvedModel, request: BenchRequest, *, offline: bool, fetch_progress: FetchProgress | None
) -> ModelFacts:
    weights = fetch_weights_to_load(model, patches=request.patches, offline=offline, progress=fetch_progress)
    return ModelFacts(info=attrs.evolve(model_info(model, weights), name=name), packages=model.engine.packages())


def _dataset_facts(data: Dataset, facts: tuple[UtteranceFacts, ...]) -> DatasetFacts:
    return DatasetFacts(
        name=data.name,
        source=data.source,
        licence=data.licence,
        utterances=len(facts),
        fingerprint=dataset_fingerprint(facts),
    )


def _scored_pairs(
    utterances: Iterable[Utterance], languages: Iterable[str | None], options: TranscribeOptions
) -> list[TextPair]:
    """Return a pair without hypothesis for each utterance with a reference, with the language of its text."""
    return [
        TextPair(id=utterance.id, reference=utterance.text, hypothesis="", language=text_language(language, options))
        for utterance, language in zip(utterances, languages, strict=True)
        if utterance.text is not None
    ]


def _language_warnings(models: Iterable[ResolvedModel], languages: list[str | None]) -> Iterator[str]:
    for model in models:
        if unsupported := unsupported_languages(model.model.languages if model.model else None, languages):
            yield unsupported.sentence(model.name)


def _unit_size(engine: EngineSpec, batching: Batching) -> int:
    return _UNIT_SIZE if engine.supports_batching and batching.batch_size != 1 else 1


def _utterance_changes(before: tuple[UtteranceFacts, ...], after: tuple[UtteranceFacts, ...]) -> list[str]:
    was, now = {facts.id: facts for facts in before}, {facts.id: facts for facts in after}
    return [
        f"the utterance {name!r} is " + ("new" if name not in was else "gone" if name not in now else "changed")
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]


def _ignore(_progress: RunProgress) -> None:
    pass
