"""``transcribe``: upstream's result dictionary, from upstream's own loop where there is one, or from any transcript."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import attrs

from asrlab.audio import SAMPLE_RATE, Audio, AudioSource, open_audio
from asrlab.compat.base import leading_space, words_with_spaces
from asrlab.compat.whisper.arguments import Arguments, options_for
from asrlab.compat.whisper.audio import is_tensor
from asrlab.compat.whisper.model import Model
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop, WindowDecoder
from asrlab.compat.whisper.verbose import ProgressPrinter
from asrlab.engine.contract import Recognition
from asrlab.engine.transcriber import Transcriber, build_transcript
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment, Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger("asrlab.compat")


class Result(dict[str, Any]):
    """Upstream's dictionary: ``text``, ``segments``, ``language``.

    Attributes:
        transcript: asrlab's, with the device, the weights, the versions, the patches and the timings.
    """

    transcript: Transcript


def transcribe(model: Model | Transcriber, audio: Any, **given: Unpack[Arguments]) -> Result:
    """Transcribe *audio*: a path, or an array or tensor of samples at 16 kHz.

    Raises:
        AudioError: The audio cannot be read, is truncated, empty or not finite.
        OptionError: The model cannot honour an option.
    """
    transcriber = model.transcriber if isinstance(model, Model) else model
    options = options_for(transcriber, given)
    teller = ProgressPrinter(given.get("verbose"), detects=options.language is None and _chooses(transcriber))
    half = _half(transcriber, fp16=given.get("fp16", True))
    if options.word_timestamps and options.task == "translate":
        warnings.warn("the times of words in a translation may not be reliable", stacklevel=2)
    with teller:
        if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
            loop = partial(transcriber.recognizer.windows, options=options, half=half)
            result = _by_windows(transcriber, loop, _source(audio), options, teller)
        else:
            result = _by_stream(transcriber, _source(audio), options, teller)
    result["language"] = given.get("language") or result["language"]
    return result


def _chooses(transcriber: Transcriber) -> bool:
    known = transcriber.info.capabilities.languages
    return known is None or len(known) > 1


def _source(audio: Any) -> AudioSource:
    if isinstance(audio, str | PathLike):
        return audio
    samples = audio.detach().cpu().numpy() if is_tensor(audio) else audio
    return Audio(samples=samples, sample_rate=SAMPLE_RATE)


def _half(transcriber: Transcriber, *, fp16: bool) -> bool | None:
    """Whether to compute in float16; None leaves it at what was loaded."""
    loaded = transcriber.info.compute_type
    if fp16:
        if isinstance(transcriber.recognizer, SupportsUpstreamLoop) and transcriber.info.device.resolved == "cpu":
            warnings.warn("FP16 is not supported on CPU; using FP32 instead", stacklevel=3)
        return None
    if isinstance(transcriber.recognizer, SupportsUpstreamLoop) or loaded == "float32":
        return False
    name = transcriber.info.model.name
    raise OptionError(
        f"{name} was loaded to compute in {loaded}, and fp16=False wants float32; load it so: "
        f"Model(asrlab.load({name!r}, compute_type='float32'))",
        option="fp16",
    )


def _by_windows(
    transcriber: Transcriber,
    loop: Callable[[NDArray[np.float32]], WindowDecoder],
    source: AudioSource,
    options: TranscribeOptions,
    teller: ProgressPrinter,
) -> Result:
    """Through upstream's loop, as the engine runs it."""
    from asrlab.engines.openai_whisper.decode_loop import to_segments

    start = time.monotonic()
    with open_audio(source) as reader:
        windows = loop(reader.read())
        teller.language(windows.language)
        found = []
        for segment in windows.segments():
            teller.segment(segment)
            teller.progress(windows.seek, windows.frames)
            found.append(segment)
        heard = Recognition(
            segments=to_segments(found),
            language=options.language or windows.language,
            language_probability=windows.language_probability,
            language_probabilities=windows.language_probabilities,
        )
        transcript = build_transcript(transcriber.info, reader, heard, options, busy_s=time.monotonic() - start)
        transcript = attrs.evolve(transcript, patches=transcriber.patch_report)
    segments = [{"id": place, **blank_segment(segment)} for place, segment in enumerate(found)]
    return _result(transcript, windows.text, segments, windows.language)


def _by_stream(
    transcriber: Transcriber, source: AudioSource, options: TranscribeOptions, teller: ProgressPrinter
) -> Result:
    """From what any engine gives."""
    segments = []
    with transcriber.stream(source, options=options) as stream:
        language = stream.start().language
        teller.language(language)
        for place, segment in enumerate(stream):
            segments.append(segment_dict(place, segment, language))
            teller.segment(segments[-1])
        transcript = stream.transcript
    return _result(transcript, "".join(segment["text"] for segment in segments), segments, transcript.language)


def _result(transcript: Transcript, text: str, segments: list[dict[str, Any]], language: str | None) -> Result:
    for warning in transcript.warnings:  # upstream's dictionary has no place for them
        _log.warning("%s", warning.message)
    result = Result(text=text, segments=segments, language=language)
    result.transcript = transcript
    return result


def blank_segment(segment: dict[str, Any]) -> dict[str, Any]:
    """As upstream hands it out: one that takes no time or has no text keeps its place, and loses what is in it."""
    if segment["start"] == segment["end"] or not segment["text"].strip():
        return {**segment, "text": "", "tokens": [], "words": []}
    return segment


def segment_dict(place: int, segment: Segment, language: str | None) -> dict[str, Any]:
    """Any engine's segment with upstream's keys; None is what the engine does not tell.

    Args:
        place: From 0.
        segment: The segment.
        language: Of the text; None if it is not known yet.
    """
    lead = leading_space(language)
    fields: dict[str, Any] = {
        "id": place,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": lead + segment.text,
        "tokens": list(segment.tokens or ()),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
    if segment.words is None:
        return fields
    words = [
        {"word": text, "start": word.start, "end": word.end, "probability": word.probability}
        for word, text in words_with_spaces(segment, lead)
    ]
    return {**fields, "words": words}
