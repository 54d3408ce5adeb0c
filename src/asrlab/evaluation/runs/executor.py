"""What runs units of work: an interface, so that one over a cluster can take the place of local processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

import attrs

from asrlab.audio import Audio, AudioFile, AudioSource, open_audio
from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.runs.records import Failure
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import PatchStatus, Transcript


class Executor(Protocol):
    """Runs units through one model, wherever."""

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        stop: Callable[[], bool] = bool,
    ) -> Generator[WorkerMessage]:
        """Load the model of *job* and run *units*.

        A unit whose worker hangs, dies or runs out of memory is a `Lost`; those of its items that have no answer are
        tried again, each by itself, and one that fails so a second time is answered with a `Done` whose failure is
        ``timeout``, ``crashed`` or ``oom``. Nothing else is lost.

        Args:
            job: Which model, and how.
            units: In the order in which they are to be begun.
            warmups: For each worker that has loaded the model, before its first unit; their outcomes are thrown away.
            stop: Asked before each unit and several times a second; once it returns True nothing new is begun. A single
                utterance in flight is waited for. A unit of several gets a few seconds; its items that have no outcome
                then are not answered, and not counted as lost.

        Yields:
            `Hello` whenever a worker has loaded the model, `Begun` before a unit is handed over, `Done` for each item,
            `Lost` as above; or a `Failure` if the model does not load: alone where none has loaded before, else after a
            `Done` with this failure for every item that is left. An iterator that is closed ends its workers at once.
        """
        ...


CRASHED, TIMEOUT, OOM = "crashed", "timeout", "oom"
"""The kinds of a `Failure` that cost a worker."""
STOPPED = "stopped"
"""The kind of a `Failure` of a worker that was killed because the run was stopped; never in a record."""
MAX_ATTEMPTS = 2
"""How often an item may be lost before it is given up."""
type ItemKey = tuple[int, int]
"""The utterance's place in the data set, and the repeat, both from 0."""
type WorkerMessage = WorkerReady | ItemsStarted | ItemFinished | ItemsLost | Failure


@attrs.frozen(kw_only=True)
class ModelJob:
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
class WorkItem:
    """One transcription of one utterance.

    Attributes:
        key: What the answers name it by.
        audio: What to transcribe.
        seconds: What it may take, from being handed over to its answer; None if the worker reports it in `TimeLimits`.
        listen: Whether to look for speech in it even where something was recognized.
        lost_before: How often it was `ItemsLost` already, in an earlier session of the same run.
    """

    key: ItemKey
    audio: AudioSource
    seconds: float | None = None
    listen: bool = False
    lost_before: int = 0


@attrs.frozen(kw_only=True)
class WorkUnit:
    """What a worker is given at once.

    Attributes:
        items: One, or several where the engine gains from a batch.
    """

    items: tuple[WorkItem, ...]


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

    keys: tuple[ItemKey, ...]


@attrs.frozen(kw_only=True)
class TimeLimits:
    """What the items of a unit may take: the worker has read how long their audio is.

    Attributes:
        seconds: Of each item, counted from this message.
    """

    seconds: dict[ItemKey, float]


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

    key: ItemKey
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

    keys: tuple[ItemKey, ...]
    failure: Failure


OPEN_TIMEOUT_S = 300.0
"""Seconds in which a worker must have read the declared duration: the least that any utterance has."""
_LEAST_S = 300.0
_FACTOR = 60.0
_UNKNOWN_S = 3600.0
_MOST_S = 7 * 24 * 3600.0


def known_timeout(audio: AudioSource, timeout: float | None) -> float | None:
    """Return the seconds that *audio* may take, without opening it; None if only its header tells.

    *timeout*, where the user gave one; else 60 times a duration that is known already, as `utterance_timeout` has it.
    """
    if timeout is not None:
        return timeout
    if isinstance(audio, Audio):
        return _limit(audio.duration)
    if isinstance(audio, AudioFile) and audio.duration is not None:
        return _limit(audio.duration)
    return None


def utterance_timeout(audio: AudioSource) -> float:
    """Return the seconds that *audio* may take, generous on purpose: too short a limit costs a good transcript.

    - 60 times the duration that was asked for, or that the header declares; nothing is decoded. The slowest that
      anyone waits for, Whisper large on a busy core, is faster.
    - At least 300 s: the first utterance pays for compiling kernels, and for waiting in a full machine.
    - 3,600 s where the duration is not known.
    - Never more than a week: a damaged header can declare anything.

    It opens the audio, so it is called in worker processes only.
    """
    known = known_timeout(audio, None)
    if known is not None:
        return known
    declared = None
    with suppress(Exception):  # whatever is wrong with the audio is reported when it is transcribed
        declared = _declared(audio)
    return _UNKNOWN_S if declared is None else _limit(declared)


def _limit(duration: float) -> float:
    return min(_MOST_S, max(_LEAST_S, _FACTOR * duration))


def _declared(audio: AudioSource) -> float | None:
    """Return the seconds that a file's header declares; None where it does not."""
    path = audio.path if isinstance(audio, AudioFile) else audio
    is_file = isinstance(path, str | os.PathLike) and Path(os.fsdecode(path)).is_file()
    if not (is_file or isinstance(path, bytes)):  # opening a pipe could wait for ever
        return None
    with open_audio(audio, allow_truncated=True) as reader:
        return reader.declared_duration
