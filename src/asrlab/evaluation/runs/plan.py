"""A request to run something, checked, and the run of it in a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import environment, git_state, now, this_machine
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets import Dataset, Utterance
from asrlab.evaluation.metrics import Profile, TextPair, get_profile, profile_for
from asrlab.evaluation.runs.executor import Executor
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, describe, fingerprint
from asrlab.evaluation.runs.folder import RunFolder
from asrlab.evaluation.runs.languages import spoken_language, text_language, unfit_languages
from asrlab.evaluation.runs.ledger import Ledger
from asrlab.evaluation.runs.load import RunRecords, load_run_records
from asrlab.evaluation.runs.manifest import DatasetFacts, Manifest, ModelFacts, Request
from asrlab.evaluation.runs.messages import Job
from asrlab.evaluation.runs.result import BenchResult
from asrlab.evaluation.runs.runner import Progress, Runner
from asrlab.evaluation.runs.summary import write_summary
from asrlab.loading import check_choices, fetch_weights_to_load, model_info
from asrlab.options import Batching, TranscribeOptions
from asrlab.patches import PatchSelection
from asrlab.patches.direct import known_patches
from asrlab.plugins.hookspecs import RunFinished, RunStarted
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel

_UNIT = 64
"""Enough for batches of like length, and few enough that Ctrl-C and a second try wait for little."""


MAX_REPEATS = 1000
"""The most transcriptions of an utterance, and the most warm-ups."""


@attrs.frozen(kw_only=True)
class Plan:
    """A checked request: everything that a run needs but the folder.

    Attributes:
        manifest: What it will be a run of; the name is that of the folder, once there is one.
        facts: Of the utterances.
        utterances: In order.
        host: The plugins.
        warnings: What speaks against a model before it runs, a sentence each.
    """

    manifest: Manifest
    facts: tuple[UtteranceFacts, ...]
    utterances: list[Utterance]
    host: PluginHost
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, request: Request, data: Dataset, models: list[ResolvedModel], *, host: PluginHost, offline: bool
    ) -> Plan:
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
        facts = describe(utterances)
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
        progress: Callable[[Progress], object],
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

    def _jobs(self) -> dict[str, Job]:
        request, registry = self.manifest.request, Registry(self.host)
        shared = Job(
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


def _check(request: Request, models: list[ResolvedModel], host: PluginHost) -> None:
    """Refuse what is known to fail before anything is fetched.

    Raises:
        OptionError: A number is out of range, or a model is given twice.
    """
    PatchSelection.of(request.patches, known_patches(host))
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
        if unfit := unfit_languages(model.model.languages if model.model else None, spoken):
            yield unfit.sentence(model.name)


def _unit_size(engine: EngineSpec, batching: Batching) -> int:
    return _UNIT if engine.batches and batching.batch_size != 1 else 1


def asked_name(model: ResolvedModel) -> str:
    """A name that stands for the same model wherever the run is gone on with."""
    return f"{model.name.partition('/')[0]}/{model.path.absolute()}" if model.path else model.name


def models_by_name(models: list[ResolvedModel]) -> dict[str, ResolvedModel]:
    """The models by names that differ, as two folders of the same name would not."""
    names = [model.name for model in models]
    return {model.name if names.count(model.name) == 1 else asked_name(model): model for model in models}


def _model_facts(
    name: str, model: ResolvedModel, *, patches: str | tuple[str, ...] | None, offline: bool
) -> ModelFacts:
    info = model_info(model, fetch_weights_to_load(model, patches=patches, offline=offline))
    return ModelFacts(info=attrs.evolve(info, name=name), packages=model.engine.packages())


def _manifest(
    request: Request,
    data: Dataset,
    facts: tuple[UtteranceFacts, ...],
    models: tuple[ModelFacts, ...],
    *,
    profile: Profile,
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
        normalizer=profile.name,
        normalizer_version=profile.version,
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
