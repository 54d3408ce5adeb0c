"""Runs a data set through models, each in a process of its own, and scores what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from os import PathLike

import attrs

from asrlab.datasets import Dataset, Utterance
from asrlab.errors import DatasetError
from asrlab.loading import check_choices, fetch_weights, load_dataset
from asrlab.metrics import Normalizer, Pair, Score, get_normalizer, score
from asrlab.options import TranscribeOptions
from asrlab.patches import PatchChoice
from asrlab.patching import known_patches
from asrlab.plugins.events import RunFinished, RunStarted
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.runs.messages import Done, Failure, Job, Loaded, Unit
from asrlab.runs.pool import run_units
from asrlab.runs.result import BenchResult, ModelResult, UtteranceResult

__all__ = ["bench"]

Progress = Callable[[str, int, int], None]


def bench(
    dataset: str | PathLike[str] | Dataset,
    *,
    models: str | Sequence[str],
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    normalizer: str | None = None,
    options: TranscribeOptions | None = None,
    offline: bool = False,
    patches: str | Sequence[str] | None = None,
    progress: Progress | None = None,
    host: PluginHost | None = None,
) -> BenchResult:
    """Transcribe a data set with each of several models and score the texts.

    Args:
        dataset: A name such as ``smoke``, a path, or a data set.
        models: Names, as ``asrlab.load`` takes them; or a single one.
        device: As for ``asrlab.load``.
        compute_type: As for ``asrlab.load``.
        threads: As for ``asrlab.load``.
        normalizer: ``english``, ``basic`` or ``none``; None takes ``english`` where every utterance says that it is
            English, and ``basic`` elsewhere.
        options: For every utterance; the language is detected where they give none.
        offline: Fetch no weights over the network.
        patches: As for ``asrlab.load``.
        progress: Called with a model's name, the utterances done and their number: with 0 when loading begins, and
            after each.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        DatasetError: The data set cannot be read, or is empty.
        EngineNotFoundError: A name stands for nothing.
        EngineUnavailableError: An engine is not installed.
        WeightsError: Weights are missing.
        OptionError: There is no such normalizer, or an engine does not know the compute type.
        PatchError: There is no patch of a name given.

    They are raised before anything runs. A model that does not load, or an utterance that fails, is a failure in the
    result.
    """
    host = host or PluginHost()
    names = (models,) if isinstance(models, str) else tuple(models)
    resolved = list(map(Registry(host).resolve, names))
    data = _dataset(dataset, host)
    utterances = list(data)
    if not utterances:
        raise DatasetError(f"data set {data.name!r} holds no utterance")
    PatchChoice.of(patches, known_patches(host))
    chosen = get_normalizer(normalizer or _normalizer_for(utterances))
    for model in resolved:
        check_choices(model.engine, compute_type=compute_type, threads=threads)
    for model in resolved:
        fetch_weights(model, offline=offline)
    runner = _Runner(host, utterances, chosen, progress or _ignore)
    job = Job(
        model="",
        device=device,
        compute_type=compute_type,
        threads=threads,
        patches=patches if isinstance(patches, str | None) else tuple(patches),
        options=options or TranscribeOptions(),
        points=host.points,
        disabled=tuple(host.disabled),
    )
    return runner.run(
        data.name, [(model, attrs.evolve(job, model=name)) for name, model in zip(names, resolved, strict=True)]
    )


def _dataset(dataset: str | PathLike[str] | Dataset, host: PluginHost) -> Dataset:
    return dataset if isinstance(dataset, Dataset) else load_dataset(dataset, host=host)


def _normalizer_for(utterances: Iterable[Utterance]) -> str:
    english = all((utterance.language or "").split("-")[0].lower() == "en" for utterance in utterances)
    return "english" if english else "basic"


def _ignore(_model: str, _done: int, _total: int) -> None:
    """No progress."""


@attrs.frozen
class _Runner:
    """One data set, for any number of models."""

    host: PluginHost
    utterances: list[Utterance]
    normalizer: Normalizer
    progress: Progress

    def run(self, dataset: str, jobs: list[tuple[ResolvedModel, Job]]) -> BenchResult:
        names = tuple(model.name for model, _ in jobs)
        self.host.notify("asrlab_run_started", run=RunStarted(dataset=dataset, models=names))
        start = time.monotonic()
        results: list[ModelResult] = []
        try:
            results += (self._model(model, job) for model, job in jobs)
        finally:
            seconds = time.monotonic() - start
            finished = RunFinished(
                dataset=dataset,
                models=names,
                utterances=sum(len(result.utterances) for result in results),
                failed=sum(result.failed for result in results),
                seconds=seconds,
            )
            self.host.notify("asrlab_run_finished", run=finished)
        return BenchResult(dataset=dataset, models=tuple(results), seconds=seconds)

    def _model(self, model: ResolvedModel, job: Job) -> ModelResult:
        result = ModelResult(model=model.name)
        total = len(self.utterances)
        self.progress(model.name, 0, total)
        done: list[UtteranceResult] = []
        units = [Unit(index=index, audio=utterance.audio) for index, utterance in enumerate(self.utterances)]
        peaks: list[int] = []
        with closing(run_units(job, units)) as messages:  # an interrupt ends the worker now, not when it is collected
            for message in messages:
                match message:
                    case Failure():
                        return attrs.evolve(result, failure=message)
                    case Loaded():
                        result = attrs.evolve(result, info=message.info, load_time=message.load_time)
                    case Done():
                        done.append(self._utterance(message))
                        self.progress(model.name, len(done), total)
                peaks += [message.peak_resident_bytes or 0]
        return attrs.evolve(
            result, utterances=tuple(done), score=self._score(done), peak_resident_bytes=max(peaks) or None
        )

    def _utterance(self, done: Done) -> UtteranceResult:
        utterance = self.utterances[done.index]
        return UtteranceResult(
            id=utterance.id, reference=utterance.text, transcript=done.transcript, failure=done.failure
        )

    def _score(self, results: list[UtteranceResult]) -> Score | None:
        pairs = [
            Pair(id=result.id, reference=result.reference, hypothesis=result.hypothesis)
            for result in results
            if result.reference is not None
        ]
        return score(pairs, normalizer=self.normalizer) if pairs else None
