"""What a run's process and its worker tell each other, pickled one after the other over two pipes."""

from __future__ import annotations

import attrs

from asrlab.audio import AudioSource
from asrlab.options import TranscribeOptions
from asrlab.transcriber import TranscriberInfo
from asrlab.transcript import Transcript

__all__ = ["Done", "Failure", "Finished", "Job", "Loaded", "Unit"]


@attrs.frozen(kw_only=True)
class Failure:
    """An error that has crossed the pipe: the exception itself may not survive pickling.

    Attributes:
        kind: The name of its class.
        message: Its message.
    """

    kind: str
    message: str


@attrs.frozen(kw_only=True)
class Job:
    """To the worker, once: which model to load, and how to transcribe with it.

    Attributes:
        model: Full name.
        device: As asked for.
        compute_type: As asked for.
        threads: As asked for.
        options: For every utterance.
    """

    model: str
    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None
    options: TranscribeOptions = attrs.field(factory=TranscribeOptions)


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
    """

    info: TranscriberInfo
    load_time: float


@attrs.frozen(kw_only=True)
class Done:
    """From the worker: a unit's outcome, a transcript or a failure.

    Attributes:
        index: As in the `Unit`.
        transcript: The result; None if it failed.
        failure: Why; None if it did not.
    """

    index: int
    transcript: Transcript | None = None
    failure: Failure | None = None


@attrs.frozen(kw_only=True)
class Finished:
    """From the worker, last.

    Attributes:
        peak_resident_bytes: Of the worker's whole life; None where the system does not tell.
    """

    peak_resident_bytes: int | None
