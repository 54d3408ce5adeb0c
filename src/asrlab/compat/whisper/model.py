"""A loaded model with the interface of openai-whisper's, the functions that load it, and ``transcribe``.

The result of ``transcribe`` comes from upstream's own loop, or from the transcript of any engine.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial, wraps
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import attrs

from asrlab import loading
from asrlab.audio import AudioSource, open_audio
from asrlab.compat import CompatModel, format_timestamp, progress_bar, segment_dict, warn_ignored, weights_in
from asrlab.compat.delegation import delegate_missing
from asrlab.compat.whisper.audio import to_source
from asrlab.compat.whisper.decoding import (
    Arguments,
    SupportsUpstreamLoop,
    WindowDecoder,
    decode,
    detect_language,
    options_for,
)
from asrlab.compat.whisper.tokenizer import LANGUAGES
from asrlab.engine.transcriber import Transcriber, build_transcript
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
_log = logging.getLogger("asrlab.compat")


@dataclasses.dataclass  # as upstream's, for vars
class ModelDimensions:
    """The dimensions of a model. Those that only openai-whisper reports are None for other engines."""

    n_mels: int = 80
    n_audio_ctx: int = 1500
    n_audio_state: int | None = None
    n_audio_head: int | None = None
    n_audio_layer: int | None = None
    n_vocab: int | None = None
    n_text_ctx: int | None = None
    n_text_state: int | None = None
    n_text_head: int | None = None
    n_text_layer: int | None = None


class DeviceName(str):
    """The name of a device for engines without torch, with the ``type`` of a torch device."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """Type of the device: ``cpu``, ``cuda`` or ``mps``."""
        return self.partition(":")[0]


class Model(CompatModel):
    """A transcriber with the interface of openai-whisper's model. Closing it is optional.

    Over the engine openai-whisper, all other attributes are those of its model, a ``torch.nn.Module``, which decodes:
    ``encoder``, ``to``, ``parameters``, hooks.

    Args:
        transcriber: A transcriber that ``asrlab.load`` returned.

    Attributes:
        transcriber: The transcriber that does the work.
    """

    _upstream = "whisper.load_model('base')"

    def __init__(self, transcriber: Transcriber) -> None:
        self.transcriber = transcriber

    @property
    def device(self) -> Any:
        """The device: torch's device object for openai-whisper, a `DeviceName` for others."""
        upstream = self._upstream_model
        return DeviceName(self.transcriber.info.device.resolved) if upstream is None else upstream.device

    @property
    def dims(self) -> ModelDimensions:
        """The dimensions of the model."""
        upstream = self._upstream_model
        return ModelDimensions() if upstream is None else ModelDimensions(**vars(upstream.dims))

    @property
    def is_multilingual(self) -> bool:
        """True if the model knows more than one language."""
        languages = self.transcriber.info.capabilities.languages
        return languages is None or len(languages) > 1

    @property
    def num_languages(self) -> int:
        """Number of languages of the model; 0 if the engine does not report it."""
        upstream = self._upstream_model
        languages = self.transcriber.info.capabilities.languages
        return len(languages or ()) if upstream is None else int(upstream.num_languages)

    def transcribe(self, audio: Any, **given: Unpack[Arguments]) -> TranscriptionResult:
        """Transcribe *audio*; see `asrlab.compat.whisper.transcribe`."""
        return transcribe(self, audio, **given)

    detect_language = detect_language
    decode = decode

    @property
    def _upstream_model(self) -> Any:
        """openai-whisper's model; None over another engine. A hook may read it while the model decodes."""
        recognizer = self.transcriber.recognizer
        return recognizer.model if isinstance(recognizer, SupportsUpstreamLoop) else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "transcriber" or self._upstream_model is None:
            return super().__getattr__(name)
        upstream = self._upstream_model
        value = getattr(upstream, name)
        if getattr(value, "__self__", None) is not upstream:
            return value

        @wraps(value)
        def call(*arguments: Any, **named: Any) -> Any:
            result = value(*arguments, **named)
            return self if result is upstream else result  # such as model.to(device).eval()

        return call

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return the logits of *mel* and *tokens*, over openai-whisper."""
        return self.forward(*arguments, **named)

    def __repr__(self) -> str:
        return f"<Model over {self.transcriber!r}>"


Whisper = Model
# Source: openai-whisper 20250625, `available_models`.
_MODEL_NAMES = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo"),
)
_CHECKPOINT_NAMES = {"large": "large-v3", "turbo": "large-v3-turbo"}


def available_models() -> list[str]:
    """Return upstream's names, in upstream's order. ``asrlab.list_models`` returns those of all engines."""
    return list(_MODEL_NAMES)


def load_model(
    name: str | PathLike[str] | Transcriber,
    device: Any = None,
    download_root: str | PathLike[str] | None = None,
    in_memory: bool = False,  # noqa: ARG001, FBT001, FBT002 - as upstream; a file that is read once gives the same model
) -> Model:
    """Load a model.

    Args:
        name: One of `available_models`, for openai-whisper; the path of a checkpoint of openai-whisper; a model name of
            asrlab, such as ``faster-whisper/base``; or a loaded transcriber.
        device: A torch device or its name; None lets asrlab choose.
        download_root: Folder of the weights, also for downloads; None looks in upstream's folder, then in asrlab's
            store.
        in_memory: Ignored.

    Raises:
        EngineNotFoundError: If there is no such model.
        DeviceUnavailableError: If the device is not available.
        WeightsError: If the weights are missing or damaged.
    """
    if isinstance(name, Transcriber):
        return Model(name)
    return load_with_threads(os.fspath(name), device=device, download_root=download_root)


def load_with_threads(
    name: str, *, device: Any = None, download_root: str | PathLike[str] | None = None, threads: int | None = None
) -> Model:
    """Load a model as `load_model` does, with *threads* CPU threads; None lets the engine choose."""
    device_name = "auto" if device is None else str(device)
    checkpoint = Path(name).expanduser()
    if name not in _MODEL_NAMES and checkpoint.is_file():
        return Model(loading.load(f"openai-whisper/{checkpoint.absolute()}", device=device_name, threads=threads))
    full_name = f"openai-whisper/{name}" if name in _MODEL_NAMES else name
    # a checkpoint that upstream downloaded; else, if download_root is given, weights downloaded into it
    upstream_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
    folder = upstream_cache if download_root is None else Path(download_root)
    cached = folder.expanduser() / f"{_CHECKPOINT_NAMES.get(name, name)}.pt"
    weights = cached if name in _MODEL_NAMES and cached.is_file() else None
    if weights is None and download_root is not None:
        weights = weights_in(folder, full_name)
    return Model(loading.load(full_name, device=device_name, weights=weights, threads=threads))


class TranscriptionResult(dict[str, Any]):
    """Upstream's dictionary: ``text``, ``segments``, ``language``.

    Attributes:
        transcript: asrlab's transcript, with the device, the weights, the versions, the patches and the timings.
    """

    def __init__(self, transcript: Transcript, **fields: Any) -> None:
        super().__init__(fields)
        self.transcript = transcript
        for warning in transcript.warnings:  # upstream's dictionary has no field for them
            _log.warning("%s", warning.message)


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
    source = to_source(audio)
    if options.word_timestamps and options.task == "translate":
        warnings.warn("word timestamps of a translation may be unreliable", stacklevel=2)
    verbose = given.get("verbose")
    if verbose and detects_language:
        _print("Detecting the language; set it with language=, or --language, to skip this step")
    with progress_bar() if verbose is False else nullcontext() as move_bar:
        printer = _ProgressPrinter(verbose=verbose, detects_language=detects_language, move_bar=move_bar)
        if isinstance(transcriber.recognizer, SupportsUpstreamLoop):
            start_loop = partial(transcriber.recognizer.window_decoder, options=options, half=half)
            result = _transcribe_by_windows(transcriber, start_loop, source, options, printer)
        else:
            result = _transcribe_by_stream(transcriber, source, options, printer)
    result["language"] = given.get("language") or result["language"]
    return result


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
    warn_ignored("fp16=False", f"{transcriber.info.model.name} was loaded to compute in {compute_type}")
    return None


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
    # as openai-whisper blanks a segment without duration or text
    blanked = [
        {"id": index, **segment, **({"text": "", "tokens": [], "words": []} if is_empty(segment) else {})}
        for index, segment in enumerate(segments)
    ]
    return TranscriptionResult(transcript, text=decoder.text, segments=blanked, language=decoder.language)


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
    text = "".join(segment["text"] for segment in segments)
    return TranscriptionResult(transcript, text=text, segments=segments, language=transcript.language)


def is_empty(segment: Mapping[str, Any]) -> bool:
    """Return whether *segment* has no duration or no text."""
    return bool(segment["start"] == segment["end"] or not segment["text"].strip())


@attrs.frozen(kw_only=True)
class _ProgressPrinter:
    """Output of ``verbose``, as upstream's: True prints each segment, False shows a progress bar, None prints nothing.

    Attributes:
        verbose: The argument of the call.
        detects_language: True if the language is detected.
        move_bar: Function that moves the progress bar; None without one.
    """

    verbose: bool | None
    detects_language: bool
    move_bar: Callable[..., None] | None

    def show_language(self, language: str | None) -> None:
        if self.verbose is not None and self.detects_language and language:
            _print(f"Detected language: {LANGUAGES.get(language, language).title()}")

    def show_segment(self, segment: Mapping[str, Any]) -> None:
        if self.verbose:
            start, end = format_timestamp(segment["start"]), format_timestamp(segment["end"])
            _print(f"[{start} --> {end}] {segment['text']}")

    def show_progress(self, done: int, total: int) -> None:
        if self.move_bar is not None:
            self.move_bar(completed=min(done, total), total=total)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - verbose requests output


__getattr__ = delegate_missing(__name__)
