"""What goes into a transcriber and comes out of an engine: the facts of a model, items, and what was recognized."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import attrs

from asrlab.audio import AudioSource
from asrlab.device import Device
from asrlab.options import Batching, Capabilities, TranscribeOptions
from asrlab.transcript import ModelInfo, PackageVersion, Segment, TranscriptWarning


@attrs.frozen(kw_only=True)
class TranscriberInfo:
    """The facts of a loaded model, the same for all of its transcripts.

    Attributes:
        model: Which weights were loaded.
        device: Where they really are.
        compute_type: Number format of the computation.
        threads: CPU threads that one inference uses; None if the engine does not tell.
        capabilities: What it can honour.
        packages: The distributions that take part.
    """

    model: ModelInfo
    device: Device
    compute_type: str
    threads: int | None = None
    capabilities: Capabilities
    packages: tuple[PackageVersion, ...] = ()


@attrs.define(kw_only=True)
class Recognition:
    """What an engine hands back at once: the language, and segments that come as they are ready.

    Attributes:
        segments: In order; consumed once.
        language: BCP 47 tag; None if the engine does not tell.
        language_probability: In [0, 1]; None if it was given or the engine does not tell.
        language_probabilities: Of each language that was weighed, the likeliest first; None likewise.
        speech_duration: Seconds of audio that were left when silence was left out; None where none was, or the engine
            does not tell.
        warnings: May grow while *segments* are consumed.
    """

    segments: Iterator[Segment]
    language: str | None = None
    language_probability: float | None = None
    language_probabilities: tuple[tuple[str, float], ...] | None = None
    speech_duration: float | None = None
    warnings: list[TranscriptWarning] = attrs.field(factory=list)


@runtime_checkable
class HasAudio(Protocol):
    """An item of a data set, such as an ``Utterance``."""

    @property
    def audio(self) -> AudioSource:
        """What to transcribe."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class BatchRequest:
    """What `Transcriber.transcribe_many` was called with.

    Attributes:
        items: Not begun.
        options: The same for all; checked.
        sample_rate: In Hz, for numpy arrays.
        batching: As it was given; `Transcriber.batching` fills in what is not.
        in_order: Whether outcomes come in the order of *items*; otherwise each comes as soon as it is there.
    """

    items: Iterable[AudioSource | HasAudio]
    options: TranscribeOptions
    sample_rate: int | None = None
    batching: Batching = attrs.field(factory=Batching)
    in_order: bool = True
