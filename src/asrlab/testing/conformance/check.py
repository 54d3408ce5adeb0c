"""A conformance check, the context that checks share, and the result of a check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import attrs

from asrlab.audio import Audio, open_audio
from asrlab.engine.spec import EngineSpec
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError, EngineNotFoundError
from asrlab.options import TranscribeOptions
from asrlab.plugins.manager import LoadedPlugin, PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.testing.conformance.leaks import Leak, find_leaks
from asrlab.testing.conformance.target import Target
from asrlab.transcript import Segment, Transcript

_MAX_LINE_CHARS = 300


class CheckContext:
    """The state that the checks of one target share, so that its model is loaded once. Close the context at the end."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._loaded: Transcriber | None = None

    @cached_property
    def host(self) -> PluginHost:
        """The plugins of this environment."""
        return PluginHost()

    @cached_property
    def resolved(self) -> ResolvedModel:
        """The engine and model that the target's name resolves to."""
        return Registry(self.host).resolve(self.target.model)

    @cached_property
    def resolve_failure(self) -> str:
        """The reason why the target's name does not resolve; empty if it does."""
        try:
            _ = self.resolved
        except EngineNotFoundError as error:
            return error.message
        return ""

    @cached_property
    def engines(self) -> list[tuple[LoadedPlugin, EngineSpec]]:
        """All engines of this environment, each with its plugin."""
        return self.host.collect("asrlab_engines", EngineSpec)

    @cached_property
    def plugin(self) -> LoadedPlugin:
        """The plugin of the engine."""
        expected = (self.resolved.distribution, self.resolved.engine.name)
        return next(plugin for plugin, spec in self.engines if (plugin.distribution, spec.name) == expected)

    @cached_property
    def load_failure(self) -> str:
        """The reason why the model does not load; empty if it does."""
        try:
            self._loaded = self.target.load()
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            return describe_error(error)
        return ""

    @property
    def transcriber(self) -> Transcriber:
        """The loaded model."""
        assert not self.load_failure and self._loaded is not None, self.load_failure  # noqa: PT018, S101 - checked before
        return self._loaded

    @cached_property
    def speech(self) -> Audio:
        """The target's recording, decoded."""
        return self.target.load_speech()

    @cached_property
    def leaks(self) -> tuple[Leak, ...]:
        """The state that loading, transcribing and closing leaves behind in a fresh process."""
        target = self.target
        with TemporaryDirectory() as folder:
            leaks: tuple[Leak, ...] = target.run_in_subprocess(
                find_leaks, target, simulated=target.simulated, temporary=Path(folder)
            )
        return leaks

    @cached_property
    def transcript(self) -> Transcript:
        """The transcript of the recording without options."""
        return self.transcriber.transcribe(self.speech)

    @cached_property
    def texts(self) -> tuple[str, str]:
        """The segments of two transcripts of the recording without options, each as one line."""
        second = self.transcriber.transcribe(self.speech)
        return format_segments(self.transcript.segments), format_segments(second.segments)

    @property
    def is_deterministic(self) -> bool:
        """True if the target claims to be deterministic, and both transcripts are equal."""
        return self.target.deterministic and self.texts[0] == self.texts[1]

    @cached_property
    def raw_segments(self) -> tuple[Segment, ...]:
        """The segments of the engine, with words if supported, before asrlab clamps their times to the recording."""
        words = self.transcriber.info.capabilities.word_timestamps
        with open_audio(self.speech) as reader:
            recognition = self.transcriber.recognizer.recognize(reader, TranscribeOptions(word_timestamps=words))
            return tuple(recognition.segments)

    def close(self) -> None:
        """Close the model."""
        if self._loaded is not None:
            self._loaded.close()


@attrs.frozen
class Check:
    """One requirement for a transcriber; a partial call decorates the function that finds the problems.

    Attributes:
        find_problems: Yields the violations: what is wrong, where, and what the author should do.
        name: Name of the check, such as ``times``, for `Target.expected_failures`.
        description: The requirement, as a sentence.
        skip_reason: Returns the reason why the check does not apply; empty if it does.
        requires: ``model``: the loaded model; ``spec``: the engine's spec; or ``nothing``.
        in_fresh_process: True if the check starts a fresh child process.
    """

    find_problems: Callable[[CheckContext], Iterable[str]]
    name: str
    description: str
    skip_reason: Callable[[CheckContext], str] = lambda _context: ""
    requires: Literal["model", "spec", "nothing"] = "model"
    in_fresh_process: bool = False


@attrs.frozen(kw_only=True)
class CheckResult:
    """The result of a check.

    Attributes:
        check: Name of the check.
        outcome: ``passed``, ``failed`` or ``skipped``.
        messages: The problems, or the reason for skipping.
        seconds: Duration of the check.
    """

    check: str
    outcome: Literal["passed", "failed", "skipped"]
    messages: tuple[str, ...] = ()
    seconds: float = 0.0


def run_check(check: Check, context: CheckContext) -> CheckResult:
    """Run a check; skip an expected failure, and fail an expected failure that passes."""
    start = time.monotonic()
    result = _run(check, context)
    reason = dict(context.target.expected_failures).get(check.name)
    if reason is not None and result.outcome == "failed":
        message = f"expected failure: {reason} ({result.messages[0]})"
        result = attrs.evolve(result, outcome="skipped", messages=(message,))
    elif reason is not None and result.outcome == "passed":
        message = (
            f"the check passes, but is an expected failure ({reason}); remove {check.name!r} from expected_failures"
        )
        result = attrs.evolve(result, outcome="failed", messages=(message,))
    return attrs.evolve(result, seconds=round(time.monotonic() - start, 3))


def _run(check: Check, context: CheckContext) -> CheckResult:
    skip_reason = ""
    problems: tuple[str, ...] = ()
    try:
        if check.requires != "nothing" and context.resolve_failure:
            skip_reason = "the model is unknown: see the check 'plugin'"
        elif check.requires == "model" and context.load_failure:
            skip_reason = "the model does not load: see the check 'loads'"
        elif not (skip_reason := check.skip_reason(context)):
            problems = tuple(check.find_problems(context))
    except Exception as error:  # noqa: BLE001 - the plugin boundary: any error of an engine is a problem to report
        problems = (f"unexpected error: {describe_error(error)}; fix the code that raises it",)
    if skip_reason:
        return CheckResult(check=check.name, outcome="skipped", messages=(skip_reason,))
    return CheckResult(check=check.name, outcome="failed" if problems else "passed", messages=problems)


def format_segments(segments: Iterable[Segment]) -> str:
    """Return texts and times as one line, for comparisons and messages."""
    lines = (f"{segment.text!r} {segment.start:.3f} to {segment.end:.3f} s" for segment in segments)
    return "; ".join(lines) or "nothing"


def describe_error(error: BaseException) -> str:
    """Return the message of an asrlab error; for other errors, the type and the first line."""
    if isinstance(error, AsrlabError):
        return str(error)
    return f"{type(error).__name__}: {str(error).strip().partition('\n')[0][:_MAX_LINE_CHARS]}"
