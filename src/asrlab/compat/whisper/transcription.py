"""``transcribe``: upstream's result dictionary, from upstream's own loop or from the transcript of any engine."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import attrs

from asrlab.audio import SAMPLE_RATE, Audio, AudioSource, open_audio
from asrlab.compat.base import CompatModel, format_timestamp, leading_space, words_with_spaces
from asrlab.compat.whisper.arguments import Arguments, options_for
from asrlab.compat.whisper.audio import is_tensor
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop, WindowDecoder
from asrlab.compat.whisper.tokenizer import LANGUAGES
from asrlab.engine.transcriber import Transcriber, build_transcript
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment, Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress

_log = logging.getLogger("asrlab.compat")


class TranscriptionResult(dict[str, Any]):
    """Upstream's dictionary: ``text``, ``segments``, ``language``.

    Attributes:
        transcript: asrlab's transcript, with the device, the weights, the versions, the patches and the timings.
    """

    transcript: Transcript


def transcribe(model: CompatModel | Transcriber, audio: Any, **given: Unpack[Arguments]) -> TranscriptionResult:
    """Transcribe *audio*: a path, or an array or tensor of samples at 16 kHz.

    Raises:
        AudioError: If the audio cannot be read, is truncated, empty or not finite.
        OptionError: If the model cannot honour an option.
    """
    transcriber = model.transcriber if isinstance(model, CompatModel) else model
    options = options_for(transcriber, given)
    languages = transcriber.info.capabilities.languages
    detects_language = options.language is None and (languages is None or len(languages) > 1)
    half = _half_precision(transcriber, fp16=given.get("fp16", True))
    if options.word_timestamps and options.task == "translate":
        warnings.warn("word timestamps of a translation may be unreliable", stacklevel=2)
    with _progress_printer(given.get("verbose"), detects_language=detects_language) as printer:
        if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
            start_loop = partial(transcriber.recognizer.window_decoder, options=options, half=half)
            result = _transcribe_by_windows(transcriber, start_loop, _to_source(audio), options, printer)
        else:
            result = _transcribe_by_stream(transcriber, _to_source(audio), options, printer)
    result["language"] = given.get("language") or result["language"]
    return result


def _to_source(audio: Any) -> AudioSource:
    if isinstance(audio, str | PathLike):
        return audio
    samples = audio.detach().cpu().numpy() if is_tensor(audio) else audio
    return Audio(samples=samples, sample_rate=SAMPLE_RATE)


def _half_precision(transcriber: Transcriber, *, fp16: bool) -> bool | None:
    """Return whether to compute in float16; None keeps the number format of the loaded model."""
    is_upstream = isinstance(transcriber.recognizer, SupportsUpstreamLoop)
    compute_type = transcriber.info.compute_type
    if fp16:
        if is_upstream and transcriber.info.device.resolved == "cpu":
            warnings.warn("FP16 is not supported on CPU; using FP32 instead", stacklevel=3)
        return None
    if is_upstream or compute_type == "float32":
        return False
    name = transcriber.info.model.name
    raise OptionError(
        f"{name} computes in {compute_type}, but fp16=False requires float32; load it with "
        f"Model(asrlab.load({name!r}, compute_type='float32'))",
        option="fp16",
    )


def _transcribe_by_windows(
    transcriber: Transcriber,
    start_loop: Callable[[NDArray[np.float32]], WindowDecoder],
    source: AudioSource,
    options: TranscribeOptions,
    printer: _ProgressPrinter,
) -> TranscriptionResult:
    """Transcribe with upstream's loop, as openai-whisper's engine runs it."""
    start = time.monotonic()
    with open_audio(source) as reader:
        decoder = start_loop(reader.read())
        printer.show_language(decoder.language)
        segments = []
        for segment in decoder.segments():
            printer.show_segment(segment)
            printer.show_progress(decoder.seek, decoder.frames)
            segments.append(segment)
        recognition = decoder.to_recognition(segments)
        busy_s = time.monotonic() - start
        transcript = build_transcript(transcriber.info, reader, recognition, options, busy_s=busy_s)
        transcript = attrs.evolve(transcript, patches=transcriber.patch_report)
    blanked = [{"id": index, **blank_segment(segment)} for index, segment in enumerate(segments)]
    return _build_result(transcript, decoder.text, blanked, decoder.language)


def _transcribe_by_stream(
    transcriber: Transcriber, source: AudioSource, options: TranscribeOptions, printer: _ProgressPrinter
) -> TranscriptionResult:
    """Transcribe with any engine."""
    segments = []
    with transcriber.stream(source, options=options) as stream:
        language = stream.start().language
        printer.show_language(language)
        for index, segment in enumerate(stream):
            segments.append(segment_dict(index, segment, language))
            printer.show_segment(segments[-1])
        transcript = stream.transcript
    return _build_result(transcript, "".join(segment["text"] for segment in segments), segments, transcript.language)


def _build_result(
    transcript: Transcript, text: str, segments: list[dict[str, Any]], language: str | None
) -> TranscriptionResult:
    for warning in transcript.warnings:  # upstream's dictionary has no field for them
        _log.warning("%s", warning.message)
    result = TranscriptionResult(text=text, segments=segments, language=language)
    result.transcript = transcript
    return result


def blank_segment(segment: dict[str, Any]) -> dict[str, Any]:
    """Blank a segment without duration or text, as openai-whisper does; return any other unchanged."""
    if segment["start"] == segment["end"] or not segment["text"].strip():
        return {**segment, "text": "", "tokens": [], "words": []}
    return segment


def segment_dict(index: int, segment: Segment, language: str | None) -> dict[str, Any]:
    """Return *segment* with upstream's keys; values that the engine does not report are None.

    Args:
        index: Index of the segment.
        segment: The segment.
        language: Language of the text; None if unknown.
    """
    lead = leading_space(language)
    fields: dict[str, Any] = {
        "id": index,
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


@attrs.frozen(kw_only=True)
class _ProgressPrinter:
    """Output of ``verbose``, as upstream's: True prints each segment, False shows a progress bar, None prints nothing.

    Attributes:
        verbose: The argument of the call.
        detects_language: True if the language is detected.
        bar: Progress bar on standard error; None without one.
    """

    verbose: bool | None
    detects_language: bool
    bar: Progress | None

    def show_language(self, language: str | None) -> None:
        """Print the language if it was detected."""
        if self.verbose is not None and self.detects_language and language:
            _print(f"Detected language: {LANGUAGES.get(language, language).title()}")

    def show_segment(self, segment: Mapping[str, Any]) -> None:
        """Print a segment."""
        if self.verbose:
            start, end = format_timestamp(segment["start"]), format_timestamp(segment["end"])
            _print(f"[{start} --> {end}] {segment['text']}")

    def show_progress(self, done: int, total: int) -> None:
        """Move the progress bar."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=min(done, total), total=total)


@contextmanager
def _progress_printer(verbose: bool | None, *, detects_language: bool) -> Iterator[_ProgressPrinter]:  # noqa: FBT001 - as upstream
    if verbose and detects_language:
        _print("Detecting the language; set it with language=, or --language, to skip this step")
    if verbose is not False:
        yield _ProgressPrinter(verbose=verbose, detects_language=detects_language, bar=None)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        bar.add_task("transcribing", total=None)
        yield _ProgressPrinter(verbose=verbose, detects_language=detects_language, bar=bar)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - verbose requests output
