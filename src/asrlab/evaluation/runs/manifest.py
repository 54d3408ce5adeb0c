"""The manifest of a run: its request, data set, models and environment, written once before anything runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import attrs

from asrlab.environment import GitState, Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.runs.records import record_converter, structure
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugins.manager import PluginFailure
from asrlab.transcript import ModelInfo, PackageVersion

SCHEMA = 2
"""Version of the files of a run; raised when a reader of the old form would misread the new one."""


@attrs.frozen(kw_only=True)
class BenchRequest:
    """The request of a run.

    Attributes:
        dataset: The given name or absolute path; None for a data set that was given as an object.
        models: The given names.
        device: As for ``asrlab.load``.
        compute_type: As for ``asrlab.load``.
        threads: As for ``asrlab.load``.
        patches: As for ``asrlab.load``; None leaves the choice to ``ASRLAB_PATCHES``.
        options: Options for every utterance.
        batching: Batching settings, as for ``Transcriber.transcribe_many``.
        normalizer: Name of the scoring profile; None chooses one by the languages of the data set.
        repeat: Number of transcriptions of every utterance.
        warmup: Number of transcriptions that a worker drops before the first one that counts.
        timeout: Time limit of an utterance in seconds; None derives limits from durations.
        memory_limit_bytes: Resident memory at which a worker counts as out of memory; None for no limit.
        format: Format of the data set, as for ``asrlab.evaluation.load_dataset``; None detects it.
        allow_external_audio: Accept audio outside of the data set's folder.
    """

    dataset: str | None = None
    models: tuple[str, ...] = ()
    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None
    patches: str | tuple[str, ...] | None = None
    options: TranscribeOptions = attrs.field(factory=TranscribeOptions)
    batching: Batching = attrs.field(factory=Batching)
    normalizer: str | None = None
    repeat: int = 1
    warmup: int = 0
    timeout: float | None = None
    memory_limit_bytes: int | None = None
    format: str | None = None
    allow_external_audio: bool = False


@attrs.frozen(kw_only=True)
class DatasetFacts:
    """Identity of a data set.

    Attributes:
        name: The data set's name.
        source: Description of where the data set comes from.
        licence: Description of its terms; None if not known.
        utterances: Number of utterances.
        fingerprint: sha256 over all ids, bytes of audio, references, languages, speakers and recordings, in order.
    """

    name: str
    source: str
    licence: str | None
    utterances: int
    fingerprint: str


@attrs.frozen(kw_only=True)
class ModelFacts:
    """Weights and packages of a model.

    Attributes:
        info: Names of the model and its engine, and the facts of its weights.
        packages: Distributions that take part, with their versions.
    """

    info: ModelInfo
    packages: tuple[PackageVersion, ...]


@attrs.frozen(kw_only=True)
class RunManifest:
    """Facts of a run that are known before it begins.

    Attributes:
        run: Name of the run.
        created: UTC, ISO 8601.
        request: The request.
        dataset: Identity of the data set.
        models: Facts of the models, in the order in which they run.
        normalizer: Name of the scoring profile.
        normalizer_version: The profile's normalizer with its version.
        normalizers: Number of utterances per normalizer of the profile; empty in runs before asrlab recorded it.
        machine: The machine on which the run began.
        environment: Variables that change what engines do, from an allow-list.
        git: State of the working directory's repository; None outside of a repository.
        plugin_failures: Plugins that did not load.
        schema: ``SCHEMA`` at the time of writing.
    """

    run: str
    created: str
    request: BenchRequest
    dataset: DatasetFacts
    models: tuple[ModelFacts, ...]
    normalizer: str
    normalizer_version: str
    machine: Machine
    environment: tuple[tuple[str, str], ...] = ()
    git: GitState | None = None
    plugin_failures: tuple[PluginFailure, ...] = ()
    normalizers: tuple[tuple[str, int], ...] = ()
    schema: int = SCHEMA

    def to_plain(self) -> dict[str, Any]:
        """Return the manifest as JSON values, the schema first."""
        plain: dict[str, Any] = record_converter().unstructure(self)
        return {"schema": plain.pop("schema"), **plain}

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Return the manifest with the JSON values that `to_plain` returned.

        Raises:
            DatasetError: If *plain* is no manifest of a schema that this asrlab reads.
        """
        schema = plain.get("schema") if isinstance(plain, dict) else None
        if schema not in (1, SCHEMA):
            raise DatasetError(
                f"manifest has schema {schema!r}, but this asrlab reads 1 and {SCHEMA}; "
                "use the version that wrote the run"
            )
        return structure(plain, cls, "manifest is damaged")

    def changes(self, current: RunManifest) -> list[str]:
        """Return a sentence for each difference in *current* that makes its outcomes incomparable."""
        options = _describe_changes(self.request, current.request, "the option ")
        data = _describe_changes(self.dataset, current.dataset, "the data set's ", ("utterances", "fingerprint"))
        scoring = _describe_changes(self, current, "the ", ("normalizer", "normalizer_version"))
        models = [line for pair in zip(self.models, current.models, strict=False) for line in _model_changes(*pair)]
        return [*options, *data, *scoring, *models]


def default_warmup(repeat: int) -> int:
    """Return 1 for several repeats, so that no pass pays for the first call, else 0."""
    return int(repeat > 1)


def _describe_changes(before: Any, after: Any, prefix: str, names: tuple[str, ...] = ()) -> list[str]:
    """Return a sentence for each differing field among *names*, or among all fields if there are no names."""
    was, now = attrs.asdict(before), attrs.asdict(after)
    return [f"{prefix}{name} was {was[name]!r} and is {now[name]!r}" for name in names or was if was[name] != now[name]]


def _model_changes(before: ModelFacts, after: ModelFacts) -> list[str]:
    model = before.info.name
    weights = _describe_changes(before.info, after.info, f"{model}: ", ("name", "engine", "weights_sha256"))
    was = {package.name: package.version for package in before.packages}
    now = {package.name: package.version for package in after.packages}
    packages = [
        f"{model}: the package {name} was {was.get(name, 'not installed')} and is {now.get(name, 'not installed')}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    ]
    return [*weights, *packages]


_MIB = 2**20
_BATCHING_OPTIONS = {"threads": "worker-threads", "padding_s": "padding"}
"""Names of options on the command line that differ from those of fields."""


def bench_command(request: BenchRequest, run: Path) -> str:
    """Return the ``asrlab bench`` command for *request* with its records in *run*, quoted for a shell."""
    words = ["asrlab", "bench", request.dataset or "DATASET"]
    for model in request.models:
        words += ["-m", model]
    words += ["--run", str(run)]
    for name, value in _changed_fields(request, BenchRequest()):
        if name == "memory_limit_bytes":
            words += _option("memory-limit", value // _MIB)
        elif name not in ("dataset", "models", "options", "batching", "warmup"):
            words += _option(name, value)
    if request.warmup != default_warmup(request.repeat):
        words += _option("warmup", request.warmup)
    for name, value in _changed_fields(request.options, TranscribeOptions()):
        words += _option(name, value)
    for name, value in _changed_fields(request.batching, Batching()):
        words += _option(_BATCHING_OPTIONS.get(name, name), value)
    return shlex.join(words)


def _changed_fields(given: Any, default: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of *given* that differ from *default*."""
    for field in attrs.fields(type(given)):
        value = getattr(given, field.name)
        if value != getattr(default, field.name):
            yield field.name, value


def _option(name: str, value: Any) -> list[str]:
    """Return the words of an option of ``asrlab bench``."""
    match name, value:
        case "engine_options", _:
            return [word for key, setting in value for word in ("--engine-option", f"{key}={json.dumps(setting)}")]
        case "batch_encoder", _:
            return ["--batch-encoder" if value else "--no-batch-encoder"]
        case "patches", tuple():
            return ["--patches", ",".join(value) or "off"]
        case "temperature", tuple():
            return [word for step in value for word in ("--temperature", str(step))]
    flag = f"--{name.replace('_', '-')}"
    return [flag] if value is True else [flag, str(value)]
