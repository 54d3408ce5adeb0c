"""What a run is a run of: written once, before anything runs, and what a resumed run is held against."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import attrs

from asrlab.environment import GitState, Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.runs.records import converter, structure
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugins.manager import PluginFailure
from asrlab.transcript import ModelInfo, PackageVersion

_FORMER_OPTION_NAMES = {"allow_outside": "allow_external_audio"}
SCHEMA = 1
"""Number of the form of a run's files; it grows when a reader of the old form would misread the new one."""


@attrs.frozen(kw_only=True)
class BenchRequest:
    """What was asked for.

    Attributes:
        dataset: The name or absolute path that was given; None for a data set that was handed over as an object.
        models: As they were given.
        format: Of the data set, as for ``asrlab.evaluation.load_dataset``; None tells it by content.
        allow_external_audio: Whether the data set may name audio outside of its folder.
        device: As for ``asrlab.load``, like those that follow.
        compute_type: See ``asrlab.load``.
        threads: See ``asrlab.load``.
        patches: See ``asrlab.load``; None leaves it to ``ASRLAB_PATCHES``.
        options: For every utterance.
        batching: How they go together, as for ``Transcriber.transcribe_many``.
        normalizer: As it was given; None chooses by the data set's language.
        repeat: How often every utterance is transcribed.
        warmup: How many transcriptions a worker throws away before the first that counts.
        timeout: Seconds that an utterance may take; None derives them from its duration.
        memory_limit_bytes: Resident memory at which a worker counts as out of it; None for no limit.
    """

    dataset: str | None
    models: tuple[str, ...]
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

    def to_json(self) -> str:
        """Return the request as one JSON object."""
        return json.dumps(converter().unstructure(self), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read back what `to_json` wrote, from its JSON values.

        Raises:
            DatasetError: It is no request.
        """
        return structure(_with_current_names(plain), cls, "a damaged request")


def _with_current_names(request: Any) -> Any:
    """Return a recorded request with the current names of its options."""
    if not isinstance(request, dict):
        return request
    return {_FORMER_OPTION_NAMES.get(name, name): value for name, value in request.items()}


@attrs.frozen(kw_only=True)
class DatasetFacts:
    """Which utterances.

    Attributes:
        name: The data set's name.
        source: Where it comes from, in words.
        licence: Its terms, in words; None if not known.
        utterances: How many.
        fingerprint: sha256 over all ids, bytes of audio, references, languages, speakers and recordings, in order.
    """

    name: str
    source: str
    licence: str | None
    utterances: int
    fingerprint: str


@attrs.frozen(kw_only=True)
class ModelFacts:
    """Which weights and packages.

    Attributes:
        info: The model's name, its engine, and the facts of its weights.
        packages: The distributions that take part, with their versions.
    """

    info: ModelInfo
    packages: tuple[PackageVersion, ...]


@attrs.frozen(kw_only=True)
class RunManifest:
    """The facts of a run that are known before it begins.

    Attributes:
        run: Its name.
        created: UTC, ISO 8601.
        request: What was asked for.
        dataset: Which utterances.
        models: In the order they run.
        normalizer: The scoring profile's name.
        normalizer_version: What it was, with its version.
        normalizers: How many utterances each normalizer of that profile prepares; empty in runs from before asrlab
            recorded it.
        machine: Where it was begun.
        environment: Variables that change what engines do, by an allow-list.
        git: Of the folder it was started in; None outside of a repository.
        plugin_failures: Plugins that did not load.
        schema: `SCHEMA` when it was written.
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
        """As JSON values."""
        plain: dict[str, Any] = converter().unstructure(self)
        return {"schema": plain.pop("schema"), **plain}

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read back what `to_plain` gave.

        Raises:
            DatasetError: It is no manifest of a form that this asrlab reads.
        """
        found = plain.get("schema") if isinstance(plain, dict) else None
        if found != SCHEMA:
            raise DatasetError(f"a manifest of schema {found!r}, this asrlab reads {SCHEMA}; use the one that wrote it")
        request = _with_current_names(plain.get("request"))
        return structure({**plain, "request": request}, cls, "a damaged manifest")

    def to_json(self) -> str:
        """As one JSON object."""
        return json.dumps(self.to_plain(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def changes(self, now: RunManifest) -> list[str]:
        """What differs in *now*, a sentence each, so that its outcomes would not belong to this run."""
        asked = _changed(attrs.asdict(self.request), attrs.asdict(now.request), "the option ")
        data = _changed(attrs.asdict(self.dataset), attrs.asdict(now.dataset), "the data set's ", only=_DATASET)
        scored = _changed(attrs.asdict(self), attrs.asdict(now), "the ", only=("normalizer", "normalizer_version"))
        models = [line for pair in zip(self.models, now.models, strict=False) for line in _model_changes(*pair)]
        return [*asked, *data, *scored, *models]


_DATASET = ("utterances", "fingerprint")


def _changed(then: dict[str, Any], now: dict[str, Any], what: str, *, only: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{what}{name} was {then[name]!r} and is {now[name]!r}" for name in (only or then) if then[name] != now[name]
    ]


def _model_changes(then: ModelFacts, now: ModelFacts) -> list[str]:
    name = then.info.name
    weights = _changed(
        attrs.asdict(then.info), attrs.asdict(now.info), f"{name}: ", only=("name", "engine", "weights_sha256")
    )
    before = {package.name: package.version for package in then.packages}
    after = {package.name: package.version for package in now.packages}
    packages = [
        f"{name}: the package {each} was {before.get(each, 'not there')} and is {after.get(each, 'not there')}"
        for each in sorted({*before, *after})
        if before.get(each) != after.get(each)
    ]
    return [*weights, *packages]


_MIB = 2**20
_RENAMED = {"memory_limit_bytes": "memory-limit", "threads": "threads"}
_BATCHING = {"threads": "worker-threads", "padding_s": "padding"}


def bench_command(request: BenchRequest, run: Path) -> str:
    """Return the ``asrlab bench`` command that asks for *request* with its records in *run*, quoted for a shell."""
    words = ["asrlab", "bench", request.dataset or "DATASET"]
    for model in request.models:
        words += ["-m", model]
    words += ["--run", str(run)]
    for name, value in _changed_fields(request, BenchRequest(dataset=None, models=())):
        if name not in ("dataset", "models", "options", "batching", "warmup"):
            words += _option(_RENAMED.get(name, name), value // _MIB if name == "memory_limit_bytes" else value)
    if request.warmup != int(request.repeat > 1):
        words += _option("warmup", request.warmup)
    for name, value in _changed_fields(request.options, TranscribeOptions()):
        words += _option(name, value)
    for name, value in _changed_fields(request.batching, Batching()):
        words += _option(_BATCHING.get(name, name), value)
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
