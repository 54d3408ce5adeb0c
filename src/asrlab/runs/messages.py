"""What a run's process and its worker tell each other, pickled one after the other over two pipes."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import attrs

from asrlab.audio import AudioSource
from asrlab.options import TranscribeOptions
from asrlab.transcriber import TranscriberInfo
from asrlab.transcript import Transcript

__all__ = ["CRASHED", "Done", "Failure", "Job", "Loaded", "Unit"]

CRASHED = "crashed"
"""The kind of a `Failure` that took the worker along."""


@attrs.frozen(kw_only=True)
class Failure:
    """An error that has crossed the pipe: the exception itself may not survive pickling.

    Attributes:
        kind: The name of its class, or ``crashed``.
        message: Its message.
    """

    kind: str
    message: str


@attrs.frozen(kw_only=True)
class Job:
    """To the worker, once: which model to load, and how to transcribe with it.

    Attributes:
        model: Its name, as it was asked for.
        device: As asked for.
        compute_type: As asked for.
        threads: As asked for.
        patches: As asked for.
        options: For every utterance.
        points: Entry points instead of those installed; None for those.
        disabled: Names of plugins not to load.
    """

    model: str
    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None
    patches: str | tuple[str, ...] | None = None
    options: TranscribeOptions = attrs.field(factory=TranscribeOptions)
    points: tuple[EntryPoint, ...] | None = None
    disabled: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Unit:
    """To the worker: transcribe this.

    Attributes:
        index: The utterance's place in the data set.
        audio: What to transcribe.
    """

    index: int
    audio: AudioSource


@attrs.frozen(kw_only=True)
class Loaded:
    """From the worker: the model is there.

    Attributes:
        info: Its facts.
        load_time: Seconds, as ``Transcriber.load_time``.
        peak_resident_bytes: Of the worker's life so far; None where the system does not tell.
    """

    info: TranscriberInfo
    load_time: float
    peak_resident_bytes: int | None = None


@attrs.frozen(kw_only=True)
class Done:
    """From the worker: a unit's outcome, a transcript or a failure.

    Attributes:
        index: As in the `Unit`.
        transcript: The result; None if it failed.
        failure: Why; None if it did not.
        peak_resident_bytes: Of the worker's life so far; None where the system does not tell, or the worker died.
    """

    index: int
    transcript: Transcript | None = None
    failure: Failure | None = None
    peak_resident_bytes: int | None = None
