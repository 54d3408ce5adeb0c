"""Checks of recordings and options."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.errors import AudioError, OptionError
from asrlab.options import TASKS, OptionFields
from asrlab.testing.conformance.check import Check, CheckContext, describe_error
from asrlab.transcript import Transcript

_SILENCE_S = 2.0
_SHORT_S = 0.1
_LOW_RATE_HZ = 8_000
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


def _silence(_context: CheckContext) -> bytes:
    import numpy as np

    return _wav(np.zeros(int(_SILENCE_S * SAMPLE_RATE), np.float32))


def _empty(_context: CheckContext) -> bytes:
    import numpy as np

    return _wav(np.zeros(0, np.float32))


def _short(context: CheckContext) -> Audio:
    middle = len(context.speech.samples) // 2
    size = int(_SHORT_S * SAMPLE_RATE)
    return Audio(samples=context.speech.samples[middle : middle + size], sample_rate=SAMPLE_RATE)


def _stereo(context: CheckContext) -> bytes:
    import numpy as np

    samples = context.speech.samples
    return _wav(np.stack([samples, samples / 2], axis=1))


def _low_rate(context: CheckContext) -> bytes:
    import soxr

    return _wav(soxr.resample(context.speech.samples, SAMPLE_RATE, _LOW_RATE_HZ), _LOW_RATE_HZ)


def _wav(samples: Any, rate: int = SAMPLE_RATE) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _duration(audio: bytes | Audio) -> float:
    if isinstance(audio, Audio):
        return audio.duration
    import soundfile

    return float(soundfile.info(io.BytesIO(audio)).duration)


_RECORDINGS: tuple[tuple[str, str, Callable[[CheckContext], bytes | Audio]], ...] = (
    ("silence", "Silence of 2 s", _silence),
    ("empty", "A recording of 0 s", _empty),
    ("short", "Speech of 0.1 s", _short),
    ("stereo", "Speech in stereo", _stereo),
    ("low-rate", "Speech at 8 kHz", _low_rate),
)


def _recording(make: Callable[[CheckContext], bytes | Audio], context: CheckContext) -> Iterator[str]:
    audio = make(context)
    try:
        transcript: object = context.transcriber.transcribe(audio)
    except AudioError:
        return
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        yield f"raised {describe_error(error)}; return a result, or raise asrlab.AudioError with the reason"
        return
    duration = _duration(audio)
    if not isinstance(transcript, Transcript):
        yield f"returned a {type(transcript).__name__} instead of a Transcript; report this to asrlab"
    elif abs(transcript.duration - duration) > 0.01:
        yield (
            f"the transcript's duration is {transcript.duration:.2f} s instead of {duration:.2f} s; read the audio "
            "with audio.read()"
        )


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


CHECKS = (
    Check(
        name="words",
        description="Segments have words if words are requested and the capabilities include them, and only then.",
        find_problems=_words,
    ),
    *(
        Check(name=name, description=f"{what} gives a result or AudioError.", find_problems=partial(_recording, make))
        for name, what, make in _RECORDINGS
    ),
    Check(name="refused-options", description="An unsupported option raises OptionError.", find_problems=_refused),
    Check(name="honoured-options", description="A supported option is accepted.", find_problems=_honoured),
)
