"""What a run's process and its workers tell each other, and what an executor tells the run."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import attrs

from asrlab.audio import AudioSource
from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.runs.records import Failure
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import PatchStatus, Transcript

CRASHED, TIMEOUT, OOM = "crashed", "timeout", "oom"
"""The kinds of a `Failure` that cost a worker."""

STOPPED = "stopped"
"""The kind of a `Failure` of a worker that was killed because the run was stopped; never in a record."""

TRIES = 2
"""How often an item may be lost before it is given up."""

type Key = tuple[int, int]
"""The utterance's place in the data set, and the repeat, both from 0."""

type Message = WorkerReady | ItemsStarted | ItemFinished | ItemsLost | Failure


@attrs.frozen(kw_only=True)
class Job:
    """Which model to load, and how to transcribe with it.

    Attributes:
        model: Its name, as it was asked for.
        device: As asked for.
        compute_type: As asked for.
        threads: As asked for.
        patches: As asked for.
        options: For every utterance.
        batching: As asked for.
        unit_size: How many utterances are handed over at once, if the engine decodes several together; else 1.
        points: Entry points instead of those installed; None for those.
        disabled: Names of plugins not to load.
        memory_limit_bytes: Resident memory at which a worker counts as out of it; None for no limit.
    """

    model: str
    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None
    patches: str | tuple[str, ...] | None = None
    options: TranscribeOptions = attrs.field(factory=TranscribeOptions)
    batching: Batching = attrs.field(factory=Batching)
    unit_size: int = 1
    points: tuple[EntryPoint, ...] | None = None
    disabled: tuple[str, ...] = ()
    memory_limit_bytes: int | None = None


@attrs.frozen(kw_only=True)
class Item:
    """One transcription of one utterance.

    Attributes:
        key: What the answers name it by.
        audio: What to transcribe.
        seconds: What it may take, from being handed over to its answer; None if the worker reports it in `TimeLimits`.
        listen: Whether to look for speech in it even where something was recognized.
        lost_before: How often it was `ItemsLost` already, in an earlier session of the same run.
    """

    key: Key
    audio: AudioSource
    seconds: float | None = None
    listen: bool = False
    lost_before: int = 0


@attrs.frozen(kw_only=True)
class Unit:
    """What a worker is given at once.

    Attributes:
        items: One, or several where the engine gains from a batch.
    """

    items: tuple[Item, ...]


@attrs.frozen(kw_only=True)
class WorkerReady:
    """A worker has loaded the model.

    Attributes:
        info: Its facts.
        load_time: Seconds, as ``Transcriber.load_time``.
        patches: What was changed in other packages for it.
        backend: The build of torch in the worker, and its GPU; empty where none was imported.
        batching: How utterances go through it together; None where they go one by one.
        peak_resident_bytes: Of the worker's life so far; None where the system does not tell.
    """

    info: TranscriberInfo
    load_time: float
    patches: tuple[PatchStatus, ...] = ()
    backend: str = ""
    batching: Batching | None = None
    peak_resident_bytes: int | None = None


@attrs.frozen(kw_only=True)
class ItemsStarted:
    """These items are about to be handed to a worker.

    Attributes:
        keys: Of the items.
    """

    keys: tuple[Key, ...]


@attrs.frozen(kw_only=True)
class TimeLimits:
    """What the items of a unit may take: the worker has read how long their audio is.

    Attributes:
        seconds: Of each item, counted from this message.
    """

    seconds: dict[Key, float]


@attrs.frozen(kw_only=True)
class ItemFinished:
    """An item's outcome, a transcript or a failure.

    Attributes:
        key: Of the item.
        transcript: The result; None if it failed.
        failure: Why; None if it did not.
        voiced: Seconds of speech that a voice activity model found; None where it was not asked, or could not.
        peak_resident_bytes: Of the worker's life so far; None where the system does not tell, or the worker died.
    """

    key: Key
    transcript: Transcript | None = None
    failure: Failure | None = None
    voiced: float | None = None
    peak_resident_bytes: int | None = None


@attrs.frozen(kw_only=True)
class ItemsLost:
    """A worker hung, died or ran out of memory; these items are tried again or, after the second time, given up.

    Attributes:
        keys: Of the items without an answer.
        failure: What happened.
    """

    keys: tuple[Key, ...]
    failure: Failure
