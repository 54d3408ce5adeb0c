"""Checks of what comes of recordings and options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from asrlab.audio import Audio
from asrlab.errors import AudioError, OptionError
from asrlab.options import TASKS, OptionFields
from asrlab.testing.conformance.check import Check, told
from asrlab.testing.conformance.context import CheckContext
from asrlab.testing.conformance.recordings import RECORDINGS, seconds_of
from asrlab.transcript import Transcript

_UNKNOWN_LANGUAGE = "qaa"  # for private use, so that no model is made for it
_NO_OPTION = "no_engine_has_this"
_VALUES: tuple[tuple[str, Any], ...] = (
    ("word_timestamps", True),
    ("beam_size", 2),
    ("temperature", 0.2),
    ("initial_prompt", "A novel."),
    ("hotwords", "amiable"),
    ("vad_filter", True),
)


def _words(case: CheckContext) -> Iterator[str]:
    unasked = [segment.text for segment in case.transcript.segments if segment.words is not None]
    if unasked:
        yield f"segment {unasked[0]!r} has words that nobody asked for; give words=None then"
    if not case.transcriber.info.capabilities.word_timestamps:
        return
    lacking = [segment.text for segment in case.raw if segment.words is None]
    if lacking:
        yield (
            f"segment {lacking[0]!r} has no words where they were asked for; give a tuple of Word, or say "
            "word_timestamps=False in the capabilities"
        )


def _recording(make: Callable[[CheckContext], bytes | Audio], case: CheckContext) -> Iterator[str]:
    audio = make(case)
    try:
        made = case.transcriber.transcribe(audio)
    except AudioError:
        return
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        yield f"raised {told(error)}; give a result, or raise asrlab.AudioError with the reason"
        return
    yield from _wrong(made, seconds_of(audio))


def _wrong(made: object, duration: float) -> Iterator[str]:
    if not isinstance(made, Transcript):
        yield f"gave a {type(made).__name__}; give a Transcript, or leave transcribe() as it is"
    elif abs(made.duration - duration) > 0.01:
        yield f"the transcript says {made.duration:.2f} s, the recording has {duration:.2f} s; use audio.read()"


def _refused(case: CheckContext) -> Iterator[str]:
    can = case.transcriber.info.capabilities
    unknown: list[tuple[str, Any]] = [(name, value) for name, value in _VALUES if name not in can.supported()]
    unknown.append(("engine_options", {_NO_OPTION: 1}))
    unknown += [("task", task) for task in TASKS if task not in can.tasks]
    if can.languages is not None:
        unknown.append(("language", _UNKNOWN_LANGUAGE))
    for name, value in unknown:
        for method in ("transcribe", "stream", "transcribe_many"):
            given = [case.speech] if method == "transcribe_many" else case.speech
            said = _takes(lambda: getattr(case.transcriber, method)(given, **{name: value}))  # noqa: B023 - called at once
            if said:
                yield f"{method}(..., {name}={value!r}) {said}; the capabilities leave it out: raise OptionError"


def _takes(call: Callable[[], object]) -> str:
    try:
        call()
    except OptionError:
        return ""
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return f"raised {told(error)}"
    return "was taken"


def _honoured(case: CheckContext) -> Iterator[str]:
    can = case.transcriber.info.capabilities
    known: list[tuple[str, Any]] = [(name, value) for name, value in _VALUES if name in can.supported()]
    known += [("task", task) for task in can.tasks] + [("language", each) for each in (can.languages or ())[:1]]
    for name, value in known:
        given: OptionFields = {name: value}  # type: ignore[misc] # a name of the fields
        try:
            case.transcriber.transcribe(case.speech, **given)
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"{name}={value!r} raised {told(error)}; honour it, or leave it out of the capabilities"


CHECKS = (
    Check(
        name="words",
        sentence="Words are given when they are asked for and the capabilities say so, and only then.",
        problems=_words,
    ),
    *(
        Check(name=name, sentence=f"{what} gives a result or AudioError.", problems=partial(_recording, make))
        for name, what, make in RECORDINGS
    ),
    Check(name="refused-options", sentence="An option that is not supported raises OptionError.", problems=_refused),
    Check(name="honoured-options", sentence="An option that is supported is taken.", problems=_honoured),
)
