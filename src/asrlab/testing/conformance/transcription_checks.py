"""Checks of transcripts: their times, recordings, options, and repeated, streamed, batched and concurrent calls."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.errors import AudioError, OptionError
from asrlab.options import TASKS, Batching, OptionFields
from asrlab.testing.conformance.check import Check, CheckContext, describe_error, format_segments
from asrlab.transcript import Segment, TranscribeResult, Transcript, Word

_PADDING_S = 30.0  # Whisper's window of 30 s may end in padding; an end there is valid, and asrlab clamps it
_TIME_TOLERANCE_S = 1e-3
_DURATION_TOLERANCE_S = 0.01
_BARRIER_TIMEOUT_S = 300.0
_LOW_RATE_HZ = 8_000
_NOT_AUDIO = b"this is not audio"
_UNSUPPORTED_LANGUAGE = "qaa"  # reserved for private use, so that no model supports it
_UNSUPPORTED_OPTION = "no_engine_has_this"
_OPTION_VALUES: tuple[tuple[str, Any], ...] = (
    ("word_timestamps", True),
    ("beam_size", 2),
    ("temperature", 0.2),
    ("initial_prompt", "A novel."),
    ("hotwords", "amiable"),
    ("vad_filter", True),
)


@partial(Check, name="times", description="Times of segments and words are finite, in order, and inside the audio.")
def _times(context: CheckContext) -> Iterator[str]:
    duration = context.speech.duration
    yield from _first_error(context.raw_segments, duration)
    yield from _first_error([word for segment in context.raw_segments for word in segment.words or ()], duration)


def _first_error(parts: Iterable[Segment | Word], duration: float) -> Iterator[str]:
    last = 0.0
    for part in parts:
        if error := _time_error(part, last, duration):
            name = f"{type(part).__name__.lower()} {part.text[:40]!r}, {part.start!r} to {part.end!r}"
            yield f"{name}, {error}; return seconds from the start of the audio, in order, from recognize()"
            return
        last = part.start


def _time_error(part: Segment | Word, last: float, duration: float) -> str:
    times: tuple[Any, ...] = (part.start, part.end)
    if not all(isinstance(time, float | int) and math.isfinite(time) for time in times):
        return "has a time that is not a finite number"
    if part.end < part.start:
        return "ends before it starts"
    if part.start < last - _TIME_TOLERANCE_S:
        return f"starts before its predecessor, at {last}"
    if not -_TIME_TOLERANCE_S <= part.start <= duration + _TIME_TOLERANCE_S or part.end > duration + _PADDING_S:
        return f"is outside the audio of {duration:.2f} s (are the times milliseconds, samples, or frames?)"
    return ""


@partial(
    Check,
    name="words",
    description="Segments have words if words are requested and the capabilities include them, and only then.",
)
def _words(context: CheckContext) -> Iterator[str]:
    unrequested = [segment.text for segment in context.transcript.segments if segment.words is not None]
    if unrequested:
        yield f"segment {unrequested[0]!r} has words that were not requested; return words=None"
    if not context.transcriber.info.capabilities.word_timestamps:
        return
    missing = [segment.text for segment in context.raw_segments if segment.words is None]
    if missing:
        yield (
            f"segment {missing[0]!r} lacks the requested words; return a tuple of Word, or set "
            "word_timestamps=False in the capabilities"
        )


def _make_recording(name: str, speech: Any) -> tuple[Any, int]:
    """Return the samples and the sample rate of a recording of the checks, made from samples of speech."""
    import numpy as np
    import soxr

    middle = len(speech) // 2
    match name:
        case "silence":
            return np.zeros(2 * SAMPLE_RATE, np.float32), SAMPLE_RATE
        case "empty":
            return np.zeros(0, np.float32), SAMPLE_RATE
        case "short":
            return speech[middle : middle + SAMPLE_RATE // 10], SAMPLE_RATE
        case "stereo":
            return np.stack([speech, speech / 2], axis=1), SAMPLE_RATE
        case _:
            return soxr.resample(speech, SAMPLE_RATE, _LOW_RATE_HZ), _LOW_RATE_HZ


def _recording(name: str, context: CheckContext) -> Iterator[str]:
    import soundfile

    samples, rate = _make_recording(name, context.speech.samples)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    try:
        transcript: object = context.transcriber.transcribe(file.getvalue())
    except AudioError:
        return
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        yield f"raised {describe_error(error)}; return a result, or raise asrlab.AudioError with the reason"
        return
    duration = len(samples) / rate
    if not isinstance(transcript, Transcript):
        yield f"returned a {type(transcript).__name__} instead of a Transcript; report this to asrlab"
    elif abs(transcript.duration - duration) > _DURATION_TOLERANCE_S:
        yield (
            f"the transcript's duration is {transcript.duration:.2f} s instead of {duration:.2f} s; read the audio "
            "with audio.read()"
        )


_RECORDINGS = {
    "silence": "Silence of 2 s",
    "empty": "A recording of 0 s",
    "short": "Speech of 0.1 s",
    "stereo": "Speech in stereo",
    "low-rate": "Speech at 8 kHz",
}


@partial(Check, name="refused-options", description="An unsupported option raises OptionError.")
def _refused(context: CheckContext) -> Iterator[str]:
    capabilities = context.transcriber.info.capabilities
    supported = capabilities.supported()
    unsupported: list[tuple[str, Any]] = [(name, value) for name, value in _OPTION_VALUES if name not in supported]
    unsupported.append(("engine_options", {_UNSUPPORTED_OPTION: 1}))
    unsupported += [("task", task) for task in TASKS if task not in capabilities.tasks]
    if capabilities.languages is not None:
        unsupported.append(("language", _UNSUPPORTED_LANGUAGE))
    for name, value in unsupported:
        for method in ("transcribe", "stream", "transcribe_many"):
            audio = [context.speech] if method == "transcribe_many" else context.speech
            if error := _accepts(partial(getattr(context.transcriber, method), audio, **{name: value})):
                yield f"{method}(..., {name}={value!r}) {error}; the capabilities do not have it: raise OptionError"


def _accepts(call: Callable[[], object]) -> str:
    try:
        call()
    except OptionError:
        return ""
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return f"raised {describe_error(error)}"
    return "was accepted"


@partial(Check, name="honoured-options", description="A supported option is accepted.")
def _honoured(context: CheckContext) -> Iterator[str]:
    capabilities = context.transcriber.info.capabilities
    supported = capabilities.supported()
    options: list[tuple[str, Any]] = [(name, value) for name, value in _OPTION_VALUES if name in supported]
    options += [("task", task) for task in capabilities.tasks]
    options += [("language", language) for language in (capabilities.languages or ())[:1]]
    for name, value in options:
        given: OptionFields = {name: value}  # type: ignore[misc] # a name of the fields
        try:
            context.transcriber.transcribe(context.speech, **given)
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield (
                f"{name}={value!r} raised {describe_error(error)}; support the option, or remove it from the "
                "capabilities"
            )


@partial(
    Check,
    name="same-again",
    description="The same audio gives the same transcript in a second call.",
    skip_reason=lambda context: "" if context.target.deterministic else "the target does not claim to be deterministic",
)
def _same(context: CheckContext) -> Iterator[str]:
    if not context.is_deterministic:
        yield (
            f"the same audio gave {context.texts[0]} and then {context.texts[1]}; give the same text for the same "
            "audio, or set deterministic=False in the target"
        )


@partial(Check, name="stream", description="A stream gives the segments that transcribe gives.")
def _stream(context: CheckContext) -> Iterator[str]:
    stream = context.transcriber.stream(context.speech)
    streamed, whole = format_segments(stream), format_segments(stream.transcript.segments)
    if streamed != whole:
        yield f"stream gave {streamed}, but its transcript {whole}; report this to asrlab"
    elif context.is_deterministic and streamed != context.texts[0]:
        yield f"stream gave {streamed}, but transcribe {context.texts[0]}; make recognize() give the same in both"


def _half(context: CheckContext) -> Audio:
    samples = context.speech.samples
    return Audio(samples=samples[: len(samples) // 2], sample_rate=SAMPLE_RATE)


@partial(
    Check,
    name="many",
    description="An item that fails does not affect the others, and results are in the order of the items.",
)
def _many(context: CheckContext) -> Iterator[str]:
    items = (context.speech, _NOT_AUDIO, _half(context))
    # only the thread that simulates a device can compute on it, and batches have their own threads
    batching = Batching(batch_size=1) if context.target.simulated else None
    results = list(context.transcriber.transcribe_many(items, batching=batching))
    if [result.index for result in results] != [0, 1, 2]:
        yield f"3 items gave the results {[result.index for result in results]}; yield one for each, in order"
        return
    for result, item in zip(results, items, strict=True):
        yield from _result_errors(result, item)
    if not isinstance(results[1].error, AudioError):
        yield f"an item that is not audio gave {results[1].error!r}; its result must have an AudioError"


def _result_errors(result: TranscribeResult, item: object) -> Iterator[str]:
    if result.item is not item:
        yield f"result {result.index} has another item than the given one; keep items with their results"
    elif isinstance(item, Audio) and result.transcript is None:
        reason = describe_error(result.error) if result.error else "no transcript"
        yield f"item {result.index} failed after another item failed ({reason}); keep items independent"
    elif isinstance(item, Audio) and abs(result.transcript.duration - item.duration) > _DURATION_TOLERANCE_S:  # type: ignore[union-attr]
        yield f"result {result.index} has the transcript of another item; keep the order"


@partial(
    Check,
    name="at-once",
    description="Two concurrent calls give the results of sequential calls.",
    skip_reason=lambda context: "only one thread can use a simulated device" if context.target.simulated else "",
)
def _concurrent(context: CheckContext) -> Iterator[str]:
    audios = (context.speech, _half(context))
    sequential = [context.texts[0], format_segments(context.transcriber.transcribe(audios[1]).segments)]
    barrier = Barrier(len(audios), timeout=_BARRIER_TIMEOUT_S)

    def transcribe(audio: Audio) -> str:
        barrier.wait()
        return format_segments(context.transcriber.transcribe(audio).segments)

    with ThreadPoolExecutor(len(audios)) as pool:
        futures = [pool.submit(transcribe, audio) for audio in audios]
        errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        yield f"two threads at once: {describe_error(errors[0])}; hold a lock in recognize() around shared state"
        return
    concurrent = [future.result() for future in futures]
    if context.is_deterministic and concurrent != sequential:
        yield (
            f"two threads at once gave {concurrent}, one after the other {sequential}; keep the state of a recording "
            "out of the recognizer, or hold a lock in recognize()"
        )


CHECKS = (
    _times,
    _words,
    *(
        Check(partial(_recording, name), name, f"{description} gives a result or AudioError.")
        for name, description in _RECORDINGS.items()
    ),
    _refused,
    _honoured,
    _same,
    _stream,
    _many,
    _concurrent,
)
