"""The contract between asrlab and an engine: what an engine implements, and what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import attrs

from asrlab.audio import AudioReader
from asrlab.batching import BatchBackend
from asrlab.device import Device
from asrlab.errors import AsrlabError
from asrlab.options import Batching, Capabilities, TranscribeOptions
from asrlab.transcript import ModelInfo, PackageVersion, Segment, TranscriptWarning


@attrs.frozen(kw_only=True)
class TranscriberInfo:
    """Facts of a loaded model, the same for all of its transcripts.

    Attributes:
        model: The model's name and its weights.
        device: The device that holds the model.
        compute_type: Number format of the computation.
        threads: CPU threads that one inference uses; None if the engine does not report them.
        capabilities: The options that the model can honour.
        packages: The installed distributions that take part.
    """

    model: ModelInfo
    device: Device
    compute_type: str
    threads: int | None = None
    capabilities: Capabilities
    packages: tuple[PackageVersion, ...] = ()


@attrs.define(kw_only=True)
class Recognition:
    """Result of `Recognizer.recognize`: the language, and segments that may still be decoded while they are read.

    Attributes:
        segments: Segments in order; read once.
        language: BCP 47 tag; None if the engine does not report it.
        language_probability: Probability in [0, 1]; None if the language was given or the engine does not report it.
        language_probabilities: Probability of each candidate language, the likeliest first; None as above.
        speech_duration: Seconds of audio that remained after silence was removed; None if none was removed or the
            engine does not report it.
        warnings: Warnings for the transcript; may grow while *segments* are read.
    """

    segments: Iterator[Segment]
    language: str | None = None
    language_probability: float | None = None
    language_probabilities: tuple[tuple[str, float], ...] | None = None
    speech_duration: float | None = None
    warnings: list[TranscriptWarning] = attrs.field(factory=list)


class Recognizer(ABC):
    """A loaded model as an engine implements it. `asrlab.load` wraps it in a `Transcriber`.

    An engine writes `recognize` and `release`. An engine that decodes several recordings in one call also writes
    `resolve_batching` and `batch_backend`. Several threads may call the methods at once.

    Attributes:
        info: Facts of the loaded model.
    """

    def __init__(self, info: TranscriberInfo) -> None:
        self.info = info

    @abstractmethod
    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Transcribe *audio*; *options* have been checked against ``info.capabilities`` and by `check_options`.

        Raises:
            AudioError: If the model cannot take the audio, for example because it is too short.
        """

    @abstractmethod
    def release(self) -> None:
        """Free the model's memory. Called once; calls that are still running may hold the model longer."""

    def check_options(self, options: TranscribeOptions) -> None:  # noqa: B027 - most have nothing more to check
        """Raise ``OptionError`` for what ``info.capabilities`` cannot express, such as values of engine options."""

    def resolve_batching(self, given: Batching) -> Batching | None:  # noqa: ARG002 - for engines that decode batches
        """Return *given* completed with the engine's defaults; None if the engine decodes one recording at a time."""
        return None

    def batch_recognizer(self, batching: Batching) -> Recognizer:  # noqa: ARG002 - as above
        """Return the recognizer loaded for the workers and threads of *batching*; released along with this one."""
        return self

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> BatchBackend[Any, Any] | None:  # noqa: ARG002 - as above
        """Return the backend that decodes batches with checked *options*; None if they need `recognize`.

        *batching* holds complete settings from `resolve_batching`.
        """
        return None

    def closed_error(self) -> AsrlabError:
        """Return the error to raise when a released model is used."""
        return AsrlabError(f"the transcriber of {self.info.model.name} is closed; load the model again")
