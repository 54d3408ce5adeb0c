"""A subject under examination: its spec, its loaded model, and what was heard so far."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from asrlab.audio import Audio, open_audio
from asrlab.engine.spec import EngineSpec
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import EngineNotFoundError
from asrlab.loading import load
from asrlab.options import TranscribeOptions
from asrlab.plugins.manager import LoadedPlugin, PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.testing.conformance.check import told
from asrlab.testing.conformance.leaks import Leak, leaks_of
from asrlab.testing.conformance.process import run_in_subprocess
from asrlab.testing.conformance.recordings import speech_of
from asrlab.testing.conformance.target import Target
from asrlab.transcript import Segment, Transcript


def heard(segments: Iterable[Segment]) -> str:
    """Texts and times in words, as they are compared."""
    return (
        "; ".join(f"{segment.text!r} {segment.start:.3f} to {segment.end:.3f} s" for segment in segments) or "nothing"
    )


class CheckContext:
    """What the checks of one subject share, so that its model is loaded once; close it at the end.

    Args:
        subject: What is to be checked.
    """

    def __init__(self, subject: Target) -> None:
        self.subject = subject
        self._loaded: Transcriber | None = None

    @cached_property
    def host(self) -> PluginHost:
        """The plugins of this environment."""
        return PluginHost()

    @cached_property
    def resolved(self) -> ResolvedModel:
        """What the subject's model stands for."""
        return Registry(self.host).resolve(self.subject.model)

    @cached_property
    def unknown(self) -> str:
        """Why the subject's model stands for nothing; empty if it does."""
        try:
            _ = self.resolved
        except EngineNotFoundError as error:
            return error.message
        return ""

    @cached_property
    def offers(self) -> list[tuple[LoadedPlugin, EngineSpec]]:
        """All engines of this environment, each with the plugin that offers it."""
        return self.host.collect("asrlab_engines", EngineSpec)

    @cached_property
    def plugin(self) -> LoadedPlugin:
        """The plugin that offers the engine."""
        wanted = self.resolved
        return next(
            plugin
            for plugin, spec in self.offers
            if plugin.distribution == wanted.distribution and spec.name == wanted.engine.name
        )

    @cached_property
    def load_failure(self) -> str:
        """Why the model does not load; empty if it does."""
        try:
            self._loaded = self.load()
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            return told(error)
        return ""

    @property
    def transcriber(self) -> Transcriber:
        """The loaded model."""
        assert not self.load_failure and self._loaded is not None, self.load_failure  # noqa: PT018, S101 - asked before
        return self._loaded

    def load(self, *, compute_type: str | None = None) -> Transcriber:
        """Load the model once more."""
        subject = self.subject
        return load(
            subject.model,
            device=subject.load_device,
            compute_type=compute_type or subject.compute_type,
            weights=subject.weights,
            offline=subject.offline,
        )

    @cached_property
    def speech(self) -> Audio:
        """The subject's recording, decoded."""
        return speech_of(self.subject)

    @cached_property
    def leaks(self) -> tuple[Leak, ...]:
        """What loading, transcribing and closing leaves behind in a fresh process."""
        with TemporaryDirectory() as folder:
            found: tuple[Leak, ...] = run_in_subprocess(
                leaks_of,
                self.subject,
                limit_s=self.subject.limit_s,
                simulated=self.subject.simulated,
                temporary=Path(folder),
            )
        return found

    @cached_property
    def words_option(self) -> TranscribeOptions:
        """Asks for the times of words, where the model can tell them."""
        return TranscribeOptions(word_timestamps=self.transcriber.info.capabilities.word_timestamps)

    @cached_property
    def transcript(self) -> Transcript:
        """What is made of the speech without any option."""
        return self.transcriber.transcribe(self.speech)

    @cached_property
    def again(self) -> Transcript:
        """What is made of the speech a second time."""
        return self.transcriber.transcribe(self.speech)

    @property
    def repeats(self) -> bool:
        """Whether it claims to give the same again, and does."""
        return self.subject.deterministic and heard(self.transcript.segments) == heard(self.again.segments)

    @cached_property
    def raw(self) -> tuple[Segment, ...]:
        """What the engine itself gives, before asrlab keeps times inside the recording."""
        with open_audio(self.speech) as reader:
            return tuple(self.transcriber.recognizer.recognize(reader, self.words_option).segments)

    def close(self) -> None:
        """Give the model's memory back."""
        if self._loaded is not None:
            self._loaded.close()
