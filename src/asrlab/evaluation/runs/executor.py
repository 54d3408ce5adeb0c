"""The interface of executors, the messages they exchange with a run, and the time limits of utterances.

An executor runs units of work: processes on this machine now, a cluster in its place one day. Only a worker opens
audio, because a damaged file may cost its process memory, time or life, and the run's own process holds the ledger. The
run sets the limits that need no look into a file, and the worker reports the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

import attrs

from asrlab.audio import Audio, AudioFile, AudioSource, open_audio
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import Failure, ModelLoaded
from asrlab.transcript import Transcript

CRASHED, TIMEOUT, OOM = "crashed", "timeout", "oom"
"""Kinds of a `Failure` that ended a worker."""
STOPPED = "stopped"
"""Kind of a `Failure` of a worker that was killed because the run was stopped; never recorded."""
MAX_ATTEMPTS = 2
"""Attempts that an item may lose with its worker before it is given up."""

type ItemKey = tuple[int, int]
"""Index of the utterance in the data set, and number of the repeat, both from 0."""

type WorkerMessage = ModelLoaded | ItemsStarted | ItemFinished | ItemsLost | Failure


def never() -> bool:
    """Return False: the default answer to whether a run should stop."""
    return False


class Executor(Protocol):
    """Something that runs units of work with one model."""

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        should_stop: Callable[[], bool] = never,
    ) -> Generator[WorkerMessage]:
        """Load the model of *job* and run *units*.

        If a worker hangs, dies or runs out of memory, its items without an answer are retried one by one. An item that
        is lost a second time finishes with the failure ``timeout``, ``crashed`` or ``oom``. Closing the iterator ends
        the workers at once.

        Args:
            job: The model and its settings.
            units: Units in the order in which they are to start.
            warmups: Units for each worker that has loaded the model, before its first unit; their results are dropped.
            should_stop: Asked before each unit and several times a second. Once it returns True, nothing new starts. A
                single utterance in flight is awaited; a unit of several gets a few seconds, and its items without an
                outcome are then neither answered nor counted as lost.

        Yields:
            `ModelLoaded` with the number 0 after each load of the model, `ItemsStarted` before a unit, `ItemFinished`
            for each item and `ItemsLost` for each lost worker. If the model does not load: a `Failure`, alone if the
            model never loaded, else after an `ItemFinished` with this failure for each remaining item.
        """
        ...


@attrs.frozen(kw_only=True)
class ModelJob:
    """A model to load, and how to transcribe with it.

    Attributes:
        model: The requested name of the model.
        request: The request of the run, with the settings of all models.
        unit_size: Number of utterances in a unit; 1 unless the engine decodes several at once.
        points: Entry points of plugins; None for the installed ones.
        disabled: Names of plugins that are not loaded.
    """

    model: str
    request: BenchRequest = attrs.field(factory=BenchRequest)
    unit_size: int = 1
    points: tuple[EntryPoint, ...] | None = None
    disabled: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class WorkItem:
    """One transcription of one utterance.

    Attributes:
        key: Identity of the item in messages.
        audio: The audio to transcribe.
        timeout_s: Seconds from dispatch to answer; None if the worker reports the limit in `TimeLimits`.
        detect_speech: Measure the speech in the audio even if words were recognized.
        previous_losses: Losses of the item in earlier sessions of the run.
    """

    key: ItemKey
    audio: AudioSource
    timeout_s: float | None = None
    detect_speech: bool = False
    previous_losses: int = 0


@attrs.frozen(kw_only=True)
class WorkUnit:
    """Items that a worker receives together: a single one, or several if the engine decodes batches."""

    items: tuple[WorkItem, ...]


@attrs.frozen(kw_only=True)
class ItemsStarted:
    """Items that are about to be sent to a worker."""

    keys: tuple[ItemKey, ...]


@attrs.frozen(kw_only=True)
class TimeLimits:
    """Time limits of a unit's items, counted from this message, from a worker that has read their durations."""

    seconds: dict[ItemKey, float]


@attrs.frozen(kw_only=True)
class ItemFinished:
    """The outcome of an item: a transcript or a failure.

    Attributes:
        key: Key of the item.
        transcript: The transcript; None if the item failed.
        failure: Reason why the item failed; None if it did not.
        speech_s: Seconds of speech found by voice activity detection; None if not measured.
        peak_resident_bytes: Peak memory of the worker so far; None if not reported, or if the worker died.
    """

    key: ItemKey
    transcript: Transcript | None = None
    failure: Failure | None = None
    speech_s: float | None = None
    peak_resident_bytes: int | None = None


@attrs.frozen(kw_only=True)
class ItemsLost:
    """Items without an answer whose worker hung, died or ran out of memory."""

    keys: tuple[ItemKey, ...]
    failure: Failure


OPEN_TIMEOUT_S = 300.0
"""Seconds in which a worker must have read the declared duration; equal to the smallest limit of an utterance."""
_MIN_TIMEOUT_S = 300.0
_MAX_TIMEOUT_S = 7 * 24 * 3600.0
_UNKNOWN_DURATION_TIMEOUT_S = 3600.0
_TIMEOUT_FACTOR = 60.0


def known_timeout(audio: AudioSource, timeout: float | None) -> float | None:
    """Return the time limit of *audio* in seconds without opening it; None if the file has to be opened.

    Args:
        audio: The audio of an utterance.
        timeout: The user's limit; None derives the limit from the duration, as `utterance_timeout` does.
    """
    if timeout is not None:
        return timeout
    if isinstance(audio, Audio) or (isinstance(audio, AudioFile) and audio.duration is not None):
        return _clamp_timeout(audio.duration or 0.0)
    return None


def utterance_timeout(audio: AudioSource) -> float:
    """Return the time limit of *audio* in seconds.

    The limit is generous, because too short a limit costs a good transcript:

    - 60 times the requested or declared duration. Whisper large on a busy core is faster.
    - At least 300 s: the first utterance pays for compiling kernels, and for waiting on a full machine.
    - 3,600 s if the duration is not known.
    - At most a week: a damaged header can declare anything.

    This function opens the audio but decodes nothing. Call it in worker processes only.
    """
    known = known_timeout(audio, None)
    if known is not None:
        return known
    path = audio.path if isinstance(audio, AudioFile) else audio
    with suppress(Exception):  # the transcription reports whatever is wrong with the audio
        is_file = isinstance(path, str | os.PathLike) and Path(os.fsdecode(path)).is_file()
        if is_file or isinstance(path, bytes):  # opening a pipe could block forever
            with open_audio(audio, allow_truncated=True) as reader:
                if reader.declared_duration is not None:
                    return _clamp_timeout(reader.declared_duration)
    return _UNKNOWN_DURATION_TIMEOUT_S


def _clamp_timeout(duration: float) -> float:
    return min(_MAX_TIMEOUT_S, max(_MIN_TIMEOUT_S, _TIMEOUT_FACTOR * duration))
