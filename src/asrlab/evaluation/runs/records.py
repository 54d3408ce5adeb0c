"""Records of a run's ledger, and the converter between them and JSON.

A line of the ledger is one JSON object: ``record``, the kind, and the fields of one of the classes here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import attrs

from asrlab.audio.types import AudioTrack
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import MachineLoad
from asrlab.errors import AsrlabError, DatasetError
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath, PatchStatus, Segment, Timings, Transcript, TranscriptWarning

if TYPE_CHECKING:
    import cattrs


@attrs.frozen(kw_only=True)
class Failure:
    """Reason why there is no transcript, or no model.

    Attributes:
        kind: Class name of the error; ``timeout``, ``crashed`` or ``oom`` if the worker did not survive.
        message: The error's message.
        reason: The error's code, such as ``not-finite`` of an ``AudioError``; empty if it has none.
    """

    kind: str
    message: str
    reason: str = ""


@attrs.frozen(kw_only=True)
class GateResult:
    """The result of one quality gate for one utterance.

    Attributes:
        gate: The gate's name, such as ``output-truncated``.
        outcome: ``not-checked`` if the gate lacked the facts that it needs.
        detail: Facts that the gate found; empty if none.
    """

    gate: str
    outcome: Literal["passed", "failed", "not-checked"]
    detail: str = ""


@attrs.frozen(kw_only=True)
class SessionStart:
    """The start of a process that writes the run: the first one, or one that resumes the run.

    Attributes:
        session: Number of the session, from 0.
        date: UTC, ISO 8601.
        load_average: Load of the machine over the last 1, 5 and 15 minutes; None if the system does not report it.
        monotonic: Seconds on the process's monotonic clock; only differences within a session have a meaning.
    """

    session: int
    date: str
    load_average: tuple[float, ...] | None
    monotonic: float


@attrs.frozen(kw_only=True)
class SessionEnd:
    """The end of a session, *drained* after one Ctrl-C, and *stopped* after a second one or an error.

    A session without this record was killed.
    """

    session: int
    why: Literal["finished", "drained", "stopped"]
    monotonic: float


@attrs.frozen(kw_only=True)
class ModelLoaded:
    """A model that a worker has loaded.

    Attributes:
        model: Full name of the model.
        number: Number of the load, from 0 over the run; outcomes refer to it.
        info: Facts of the loaded model.
        load_time: Seconds, as ``Transcriber.load_time``.
        patches: Patches that were applied to other packages.
        backend: Build of torch in the worker, and its GPU; empty if torch was not imported.
        batching: Effective batching settings; None if utterances were decoded one by one.
    """

    model: str
    number: int
    info: TranscriberInfo
    load_time: float
    patches: tuple[PatchStatus, ...] = ()
    backend: str = ""
    batching: Batching | None = None


@attrs.frozen(kw_only=True)
class ModelNotLoaded:
    """A model that did not load, so that no utterance was tried with it."""

    model: str
    failure: Failure


@attrs.frozen(kw_only=True)
class UnitStarted:
    """A unit of work that goes to a worker, with the ids of its utterances."""

    model: str
    repeat: int
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class LostAttempt:
    """A unit whose worker hung, died or ran out of memory; its utterances without an outcome are retried one by one."""

    model: str
    repeat: int
    ids: tuple[str, ...]
    failure: Failure


@attrs.frozen(kw_only=True)
class Recognized:
    """The fields of a transcript that differ between utterances; `ModelLoaded` and the manifest have the others.

    Its attributes are those of the same names of ``Transcript``.
    """

    language: str | None
    language_probability: float | None = None
    segments: tuple[Segment, ...] = ()
    duration: float
    timings: Timings
    warnings: tuple[TranscriptWarning, ...] = ()
    decoding: DecodingPath | None = None
    track: AudioTrack | None = None

    @classmethod
    def from_transcript(cls, transcript: Transcript) -> Recognized:
        """Return the fields of *transcript* that are its own."""
        return cls(**{field.name: getattr(transcript, field.name) for field in attrs.fields(cls)})

    def to_transcript(self, text: str, loaded: ModelLoaded, options: TranscribeOptions) -> Transcript:
        """Return the complete transcript."""
        info = loaded.info
        return Transcript(
            text=text,
            device=info.device,
            compute_type=info.compute_type,
            threads=info.threads,
            model=info.model,
            packages=info.packages,
            options=options,
            patches=loaded.patches,
            **{field.name: getattr(self, field.name) for field in attrs.fields(type(self))},
        )


@attrs.frozen(kw_only=True)
class UtteranceOutcome:
    """The outcome of one utterance with one model in one repeat: a text or a failure.

    Attributes:
        model: Full name of the model.
        id: Id of the utterance.
        repeat: Number of the repeat, from 0; scores are of the first.
        reference: Reference text; None if the data set has none.
        hypothesis: Recognized text; None if the utterance failed.
        failure: Reason why the utterance failed; None if it did not.
        recognized: The other fields of the transcript; None if the utterance failed.
        gates: Results of the quality gates.
        attempts: Number of attempts whose end was observed.
        loaded: Number of the `ModelLoaded` that was used; None if the utterance never reached a model.
        peak_resident_bytes: Peak memory of the worker so far; None if not reported, or if the worker died.
    """

    model: str
    id: str
    repeat: int = 0
    reference: str | None
    hypothesis: str | None = None
    failure: Failure | None = None
    recognized: Recognized | None = None
    gates: tuple[GateResult, ...] = ()
    attempts: int = 1
    loaded: int | None = None
    peak_resident_bytes: int | None = None


@attrs.frozen(kw_only=True)
class ModelPass:
    """One pass of a model through the utterances that had no outcome yet.

    Attributes:
        model: Full name of the model.
        repeat: Number of the repeat, from 0.
        session: Number of the session that wrote the record.
        load: Load of the machine during the pass, the loading of the model included.
    """

    model: str
    repeat: int
    session: int
    load: MachineLoad


type Record = (
    SessionStart | SessionEnd | ModelLoaded | ModelNotLoaded | UnitStarted | LostAttempt | UtteranceOutcome | ModelPass
)

type RecordKinds = Mapping[str, type[Any]]
"""The classes of a ledger's records, by the value of ``record`` in a line."""
RUN_RECORDS: RecordKinds = {
    "session": SessionStart,
    "session-end": SessionEnd,
    "loaded": ModelLoaded,
    "not-loaded": ModelNotLoaded,
    "started": UnitStarted,
    "attempt": LostAttempt,
    "outcome": UtteranceOutcome,
    "pass": ModelPass,
}
_FORMER_KEYS = {
    "allow_outside": "allow_external_audio",
    "margin": "padding_s",
    "encode_together": "batch_encoder",
    "path": "decoding",
}
"""Keys that earlier versions recorded, with the present names of the fields."""


@cache
def record_converter(*, omit_if_default: bool = False) -> cattrs.Converter:
    """Return the converter between records and JSON values; *omit_if_default* leaves out fields with defaults."""
    import cattrs
    from cattrs.gen import make_dict_structure_fn

    converter = cattrs.Converter(omit_if_default=omit_if_default)
    for scalar_or_tuple in (float | tuple[float, ...] | None, str | tuple[str, ...] | None):
        converter.register_structure_hook(
            scalar_or_tuple, lambda value, _: tuple(value) if isinstance(value, list) else value
        )

    def has_renamed_fields(kind: Any) -> bool:
        return attrs.has(kind) and any(field.name in _FORMER_KEYS.values() for field in attrs.fields(kind))

    def structure_renamed(kind: type[Any]) -> Any:
        structure_current = make_dict_structure_fn(kind, converter)
        return lambda plain, _: structure_current({_FORMER_KEYS.get(key, key): plain[key] for key in plain}, kind)

    converter.register_structure_hook_factory(has_renamed_fields, structure_renamed)
    structure_path = converter.get_structure_hook(DecodingPath)
    converter.register_structure_hook(
        DecodingPath,
        lambda plain, kind: DecodingPath.from_phrase(plain) if isinstance(plain, str) else structure_path(plain, kind),
    )
    return converter


def to_line(record: Any, kinds: RecordKinds = RUN_RECORDS) -> bytes:
    """Return *record* as a line of a ledger, line end included.

    Raises:
        ValueError: If the record holds a number that is not finite, which JSON cannot express.
    """
    name = next(name for name, kind in kinds.items() if type(record) is kind)
    return json_line({"record": name, **record_converter(omit_if_default=True).unstructure(record)})


def json_line(plain: dict[str, Any]) -> bytes:
    """Return *plain* as a line of JSON, line end included.

    Raises:
        ValueError: If *plain* holds a number that is not finite.
    """
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # surrogates: Python's form of a file name that is not UTF-8
        return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def json_document(record: Any) -> bytes:
    """Return *record*, or JSON values, as an indented JSON document."""
    plain = record_converter().unstructure(record)
    return (json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def parse_record(plain: Any, kinds: RecordKinds = RUN_RECORDS) -> Any:
    """Return the record that *plain*, a parsed line of a ledger, describes.

    Raises:
        DatasetError: If it describes none.
    """
    name = plain.get("record") if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise DatasetError(f"unknown kind of record {name!r}; read the run with the version of asrlab that wrote it")
    return structure(plain, kinds[name], f"record {name!r} is damaged")


def structure[Kind](plain: Any, kind: type[Kind], error_prefix: str) -> Kind:
    """Return the JSON values *plain* as an instance of *kind*.

    Raises:
        DatasetError: If *plain* lacks fields or has wrong ones; the message starts with *error_prefix*.
    """
    import cattrs

    try:
        return record_converter().structure(plain, kind)
    except (cattrs.BaseValidationError, AsrlabError, KeyError, TypeError, ValueError, AttributeError) as error:
        is_validation = isinstance(error, cattrs.BaseValidationError)
        problems = cattrs.transform_error(error)[:2] if is_validation else [str(error)]
        raise DatasetError(f"{error_prefix}: {'; '.join(problems)}") from error
