"""The lines of a run's ledger, and how they are written and read back.

A line is one JSON object with ``record``, the kind, and the fields of one of the classes here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import attrs

from asrlab.audio.types import AudioTrack
from asrlab.engine.contract import TranscriberInfo
from asrlab.errors import AsrlabError, DatasetError
from asrlab.evaluation.runs.machine_load import MachineLoad
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import DecodingPath, PatchStatus, Segment, Timings, Transcript, TranscriptWarning

if TYPE_CHECKING:
    import cattrs


@attrs.frozen(kw_only=True)
class Failure:
    """Why there is no transcript, or no model.

    Attributes:
        kind: The name of the error's class; or ``timeout``, ``crashed`` or ``oom`` where the worker did not survive it,
            or ran out of memory.
        message: Its message.
        reason: The error's own word for it, such as ``not-finite`` of an ``AudioError``; empty where it has none.
    """

    kind: str
    message: str
    reason: str = ""


@attrs.frozen(kw_only=True)
class GateResult:
    """What one gate says of one utterance.

    Attributes:
        gate: Its name, such as ``output-truncated``.
        outcome: ``not-checked`` where what it takes was not at hand.
        detail: What was seen; empty where nothing was.
    """

    gate: str
    outcome: Literal["passed", "failed", "not-checked"]
    detail: str = ""


@attrs.frozen(kw_only=True)
class SessionStart:
    """A process has begun to write this run, the first one or one that resumes.

    Attributes:
        session: Counted from 0.
        date: UTC, ISO 8601.
        load_average: Of the machine over 1, 5 and 15 minutes before; None where the system does not tell.
        monotonic: Seconds on this process's clock; only differences within a session mean anything.
    """

    session: int
    date: str
    load_average: tuple[float, ...] | None
    monotonic: float


@attrs.frozen(kw_only=True)
class SessionEnd:
    """That process stops writing. A session without it was killed.

    Attributes:
        session: As in the `SessionStart`.
        why: ``finished``; ``drained`` after one Ctrl-C; ``stopped`` after a second or an error.
        monotonic: As in the `SessionStart`.
    """

    session: int
    why: Literal["finished", "drained", "stopped"]
    monotonic: float


@attrs.frozen(kw_only=True)
class ModelLoaded:
    """A worker has loaded a model.

    Attributes:
        model: Full name.
        number: Counted from 0 over the run; outcomes refer to it.
        info: The facts of the loaded model.
        load_time: Seconds, as ``Transcriber.load_time``.
        patches: What was changed in other packages for it.
        backend: The build of torch in the worker, and its GPU; empty where none was imported.
        batching: How utterances went through it together; None where they went one by one.
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
    """A model did not load, and nothing was tried with it.

    Attributes:
        model: Full name.
        failure: Why.
    """

    model: str
    failure: Failure


@attrs.frozen(kw_only=True)
class UnitStarted:
    """A unit of work goes to a worker.

    Attributes:
        model: Full name.
        repeat: Counted from 0.
        ids: The utterances in it.
    """

    model: str
    repeat: int
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class LostAttempt:
    """A unit whose worker hung, died or ran out of memory; its utterances are tried again, each by itself.

    Attributes:
        model: Full name.
        repeat: Counted from 0.
        ids: Those without an outcome.
        failure: What happened.
    """

    model: str
    repeat: int
    ids: tuple[str, ...]
    failure: Failure


@attrs.frozen(kw_only=True)
class Recognized:
    """What is one utterance's own in its transcript; the rest stands in `ModelLoaded` and in the manifest.

    Attributes:
        language: As in ``Transcript``.
        language_probability: As in ``Transcript``.
        segments: As in ``Transcript``.
        duration: Seconds of audio decoded.
        timings: Where the time went.
        warnings: As in ``Transcript``.
        decoding: As in ``Transcript``.
        track: As in ``Transcript``.
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
    def of(cls, transcript: Transcript) -> Recognized:
        """What is this transcript's own."""
        return cls(**{field.name: getattr(transcript, field.name) for field in attrs.fields(cls)})

    def transcript(self, text: str, loaded: ModelLoaded, options: TranscribeOptions) -> Transcript:
        """The whole transcript again."""
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
    """What became of one utterance with one model, once: a text or a failure.

    Attributes:
        model: Full name.
        id: The utterance's id.
        repeat: Counted from 0; scores are of the first.
        reference: What was said; None if the data set does not tell.
        hypothesis: What was recognized; None if it failed.
        failure: Why it failed; None if it did not.
        recognized: The rest of the transcript; None if it failed.
        gates: What each gate says.
        attempts: How often it was tried under a supervisor that saw the end of it.
        loaded: The `ModelLoaded` that it ran with; None where it never reached a model.
        peak_resident_bytes: Of the worker's life so far; None where the system does not tell, or the worker died.
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
    """One model has gone through the data set once, or through as much of it as was not done before.

    Attributes:
        model: Full name.
        repeat: Counted from 0.
        session: Which process wrote it, counted from 0 over the run.
        load: What the machine did meanwhile, loading the model included.
    """

    model: str
    repeat: int
    session: int
    load: MachineLoad


type Record = (
    SessionStart | SessionEnd | ModelLoaded | ModelNotLoaded | UnitStarted | LostAttempt | UtteranceOutcome | ModelPass
)

_KINDS: dict[str, type[Record]] = {
    "session": SessionStart,
    "session-end": SessionEnd,
    "loaded": ModelLoaded,
    "not-loaded": ModelNotLoaded,
    "started": UnitStarted,
    "attempt": LostAttempt,
    "outcome": UtteranceOutcome,
    "pass": ModelPass,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FORMER_KEYS = {"margin": "padding_s", "encode_together": "batch_encoder", "path": "decoding"}


@cache
def converter(*, omit_if_default: bool = False) -> cattrs.Converter:
    """What turns records into plain JSON values and back; what is as by default may be left out."""
    import cattrs

    made = cattrs.Converter(omit_if_default=omit_if_default)
    for one_or_several in (float | tuple[float, ...] | None, str | tuple[str, ...] | None):
        made.register_structure_hook(one_or_several, _as_tuple)
    for record_class in (Batching, Recognized):
        made.register_structure_hook(record_class, _structure_upgraded(record_class, made))
    return made


def _structure_upgraded(record_class: type, converter: cattrs.Converter) -> Callable[[Any, type], Any]:
    """Return a structure hook that also reads what earlier versions of asrlab recorded."""
    from cattrs.gen import make_dict_structure_fn

    structure_current: Callable[[Any, Any], Any] = make_dict_structure_fn(record_class, converter)

    def structure(plain: Any, kind: type) -> Any:
        if isinstance(plain, dict):
            plain = {_FORMER_KEYS.get(key, key): value for key, value in plain.items()}
            if isinstance(plain.get("decoding"), str):
                plain["decoding"] = attrs.asdict(DecodingPath.from_phrase(plain["decoding"]))
        return structure_current(plain, kind)

    return structure


def _as_tuple(value: Any, _type: object) -> Any:
    return tuple(value) if isinstance(value, list) else value


def to_line(record: Record) -> bytes:
    """*record* as a line of a ledger, with its end.

    Raises:
        ValueError: It holds a number that is not finite, which JSON has no word for.
    """
    plain = {"record": _NAMES[type(record)], **converter(omit_if_default=True).unstructure(record)}
    return json_line(plain)


def json_line(plain: dict[str, Any]) -> bytes:
    """*plain* as JSON on a line, with its end.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # a file's name that is no text, as Python holds it
        return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def parse_record(plain: Any) -> Record:
    """The record that a line holds, read as JSON.

    Raises:
        DatasetError: It is none.
    """
    kind = plain.get("record") if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DatasetError(f"there is no kind of record {kind!r}; it was written by another version of asrlab")
    return structure(plain, _KINDS[kind], f"the record {kind!r} has not the fields of one")


def structure[Kind](plain: Any, kind: type[Kind], complaint: str) -> Kind:
    """*plain*, JSON values, as one of *kind*.

    Raises:
        DatasetError: It is none, with *complaint* and what is wrong.
    """
    import cattrs

    try:
        return converter().structure(plain, kind)
    except (cattrs.BaseValidationError, AsrlabError, KeyError, TypeError, ValueError, AttributeError) as error:
        told = cattrs.transform_error(error)[:2] if isinstance(error, cattrs.BaseValidationError) else [str(error)]
        raise DatasetError(f"{complaint}: {'; '.join(told)}") from error
