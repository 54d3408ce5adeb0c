"""The transcriber: a loaded model that turns audio into transcripts, whatever the engine."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, Unpack, final

import attrs

from asrlab.audio import AudioReader, AudioSource, open_audio
from asrlab.batching import BatchBackend, BatchedRecording, BatchRequest, HasAudio, transcribe_batched
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engine.spec import guarded_plugin_code, name_engine
from asrlab.errors import AsrlabError, EngineUnavailableError
from asrlab.options import Batching, OptionFields, TranscribeOptions
from asrlab.transcript import PatchStatus, Segment, Timings, TranscribeResult, Transcript, TranscriptWarning, join_texts

MAX_SEGMENTS = 1_000  # of a recording, however short it is
MAX_SEGMENTS_PER_S = 50  # in addition; an engine that yields more never ends


@final
class Transcriber:
    """A loaded model. Use it as a context manager, or call `close`; any number of threads may call it.

    Attributes:
        recognizer: The engine's loaded model, for what only one engine can do.
        load_time: Seconds that ``load`` took to check the device and weights, import the engine and load the model,
            without downloads. Set by ``load``.
        patch_report: Patches that were applied to other packages, and those that were not and why.
        calibration: Batching settings that ``asrlab tune`` measured here; None if it has not run. Set by ``load``.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        patch_report: tuple[PatchStatus, ...] = (),
        undo_patches: Callable[[], object] | None = None,
    ) -> None:
        self.recognizer = recognizer
        self.load_time = 0.0
        self.calibration: Batching | None = None
        self.patch_report = patch_report
        self._closed = threading.Event()
        self._undo_patches = weakref.finalize(self, undo_patches) if undo_patches else None

    @property
    def info(self) -> TranscriberInfo:
        """Facts of the loaded model."""
        return self.recognizer.info

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed.is_set()

    def transcribe(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        options: TranscribeOptions | None = None,
        **given: Unpack[OptionFields],
    ) -> Transcript:
        """Transcribe one recording.

        Args:
            audio: A path, bytes, a binary file object, a numpy array (with *sample_rate*), an ``Audio`` or an
                ``AudioFile``.
            sample_rate: In Hz; for a numpy array only.
            options: Options to start from.
            given: Single options that override *options*; see `TranscribeOptions`.

        Raises:
            AudioError: If the audio cannot be read, is truncated, empty or not finite.
            OptionError: If the model cannot honour an option.
        """
        return self.stream(audio, sample_rate=sample_rate, options=options, **given).read_all()

    def transcribe_many(
        self,
        items: Iterable[AudioSource | HasAudio],
        *,
        sample_rate: int | None = None,
        options: TranscribeOptions | None = None,
        batching: Batching | None = None,
        in_order: bool = True,
        **given: Unpack[OptionFields],
    ) -> Iterator[TranscribeResult]:
        """Transcribe items, in batches if the engine supports them.

        With batches, items are read ahead, and an array must not change before its result is there. Without, each item
        is read when its turn comes. ``Transcript.decoding`` reports how each recording was decoded.

        Args:
            items: Whatever `transcribe` takes, or objects with an ``audio`` attribute, such as utterances.
            sample_rate: In Hz, for numpy arrays.
            options: Options to start from, the same for all items.
            batching: Settings that override those of `batching`; a ``batch_size`` of 1 turns batches off.
            in_order: Yield results in the order of *items*; otherwise yield each as soon as it is ready, with
                ``TranscribeResult.index`` as its position in *items*.
            given: Single options that override *options*.

        Yields:
            A result for each item; an item that fails does not end the others.

        Raises:
            OptionError: At once, not as a result, because the options are the same for all items.
            AsrlabError: If the transcriber is closed meanwhile.
        """
        chosen = self._check_options(options, given)
        settings = self.batching(batching)
        backend = None
        if settings is not None and settings.batch_size != 1:
            backend = self.recognizer.batch_backend(chosen, settings)
        if settings is None or backend is None:
            return (self._transcribe_item(index, item, sample_rate, chosen) for index, item in enumerate(items))
        request = BatchRequest(items=items, options=chosen, sample_rate=sample_rate, in_order=in_order)
        return self._transcribe_batched(request, backend, settings)

    def stream(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        options: TranscribeOptions | None = None,
        **given: Unpack[OptionFields],
    ) -> SegmentStream:
        """Transcribe one recording, segment by segment as they are ready.

        The arguments and errors are those of `transcribe`. An error of the audio is raised on the first segment. When
        the segments have been read, ``stream.transcript`` holds the whole.
        """
        chosen = self._check_options(options, given)
        return SegmentStream(self, self.recognizer, audio, chosen, sample_rate=sample_rate)

    def batching(self, given: Batching | None = None) -> Batching | None:
        """Return *given* over `calibration` over the engine's defaults; None if the engine does not support batches."""
        return self.recognizer.resolve_batching((given or Batching()).over(self.calibration))

    def prepare_batching(self, given: Batching | None = None) -> None:
        """Load what `transcribe_many` needs in addition to the loaded model; otherwise its first call does."""
        settings = self.batching(given)
        if settings is not None:
            self.recognizer.batch_recognizer(settings)

    def close(self) -> None:
        """Free the model's memory and undo its patches. May be called again; calls after it raise ``AsrlabError``."""
        if self._closed.is_set():
            return
        self._closed.set()
        try:
            self.recognizer.release()
        finally:
            if self._undo_patches is not None:
                self._undo_patches()
        gc.collect()
        # glibc keeps freed blocks below 32 MB, as most weights are, for itself. Source: mallopt(3), malloc_trim(3)
        with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<{type(self).__name__} {self.info.model.name} on {self.info.device}{state}>"

    def _check_options(self, base: TranscribeOptions | None, given: OptionFields) -> TranscribeOptions:
        self._check_open()
        chosen = TranscribeOptions.of(base, dict(given))
        self.info.capabilities.check(chosen, model=self.info.model.name)
        self.recognizer.check_options(chosen)
        return chosen

    def _check_open(self) -> None:
        if self.closed:
            raise self.recognizer.closed_error()

    def _transcribe_item(
        self, index: int, item: AudioSource | HasAudio, sample_rate: int | None, options: TranscribeOptions
    ) -> TranscribeResult:
        self._check_open()
        try:
            audio = item.audio if isinstance(item, HasAudio) else item
            transcript = self.transcribe(audio, sample_rate=sample_rate, options=options)
        except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad item never ends the rest
            return TranscribeResult(index=index, item=item, error=error)
        return TranscribeResult(index=index, item=item, transcript=transcript)

    def _transcribe_batched(
        self, request: BatchRequest, backend: BatchBackend[Any, Any], settings: Batching
    ) -> Iterator[TranscribeResult]:
        def transcribe_fully(
            audio: AudioSource, options: TranscribeOptions, *, sample_rate: int | None = None, is_sole: bool = False
        ) -> Transcript:
            recognizer = self.recognizer if is_sole else self.recognizer.batch_recognizer(settings)
            return SegmentStream(self, recognizer, audio, options, sample_rate=sample_rate).read_all()

        for result in transcribe_batched(request, backend, transcribe_fully):
            self._check_open()
            value = result.value
            if isinstance(value, BatchedRecording):
                info = self.recognizer.batch_recognizer(settings).info
                value = attrs.evolve(_join(info, value, request.options), patches=self.patch_report)
            outcome: dict[str, Any] = {"error" if isinstance(value, Exception) else "transcript": value}
            yield TranscribeResult(index=result.index, item=result.item, **outcome)


class SegmentStream(Iterator[Segment]):
    """The segments of one recording as they are ready, and at the end the transcript of the whole."""

    def __init__(
        self,
        transcriber: Transcriber,
        recognizer: Recognizer,
        audio: AudioSource,
        options: TranscribeOptions,
        *,
        sample_rate: int | None = None,
    ) -> None:
        self._transcriber, self._recognizer = transcriber, recognizer
        self._source, self._options = (audio, sample_rate), options
        self._reader: AudioReader | None = None
        self._recognition: Recognition | None = None
        self._segments: list[Segment] = []
        self._transcript: Transcript | None = None
        self._busy_s = 0.0

    def start(self) -> Recognition:
        """Open the audio and start the engine before the first segment; most engines know the language then.

        Read the segments from this stream, not from the returned `Recognition`.
        """
        with self._timed():
            return self._start()

    def __next__(self) -> Segment:
        if self._transcript is not None:
            raise StopIteration
        with self._timed():
            segment = self._next_segment()
        if segment is not None:
            self._segments.append(segment)
            return segment
        reader, recognition = self._reader, self._recognition
        assert reader is not None and recognition is not None  # noqa: PT018, S101 - set before the first segment
        complete = attrs.evolve(recognition, segments=iter(self._segments))
        transcript = build_transcript(self._recognizer.info, reader, complete, self._options, busy_s=self._busy_s)
        self._transcript = attrs.evolve(transcript, patches=self._transcriber.patch_report)
        self.close()
        raise StopIteration

    def read_all(self) -> Transcript:
        """Read the remaining segments and return the transcript."""
        for _ in self:
            pass
        return self.transcript

    @property
    def transcript(self) -> Transcript:
        """The whole, once all segments have been read; an error before that."""
        if self._transcript is None:
            raise AsrlabError("the stream has not been read to its end; read all of its segments first")
        return self._transcript

    def close(self) -> None:
        """Stop early and close the audio. There is no transcript unless all segments were read."""
        if self._reader is not None:
            self._reader.close()
        close = getattr(self._recognition and self._recognition.segments, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SegmentStream of {self._recognizer.info.model.name}, {len(self._segments)} segments read>"

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            with guarded_plugin_code():
                yield
        except BaseException as error:
            self.close()
            name_engine(error, self._recognizer.info.model.engine, "while it transcribed")
            raise
        finally:
            self._busy_s += time.monotonic() - start

    def _start(self) -> Recognition:
        if self._recognition is None:
            if self._transcriber.closed:
                raise self._recognizer.closed_error()
            audio, sample_rate = self._source
            allow_truncated, track = self._options.allow_truncated, self._options.track
            self._reader = open_audio(audio, sample_rate=sample_rate, allow_truncated=allow_truncated, track=track)
            self._recognition = self._recognizer.recognize(self._reader, self._options)
        return self._recognition

    def _next_segment(self) -> Segment | None:
        recognition = self._start()
        assert self._reader is not None  # noqa: S101 - set together with the recognition
        segment, duration = next(recognition.segments, None), self._reader.duration
        if segment is not None and len(self._segments) >= MAX_SEGMENTS + MAX_SEGMENTS_PER_S * duration:
            engine = self._recognizer.info.model.engine
            raise EngineUnavailableError(
                f"engine {engine!r} yields segments without an end: {len(self._segments)} so far for {duration:.1f} s "
                "of audio; report this to its authors",
                engine=engine,
            )
        return None if segment is None else segment.clamped(duration)


def build_transcript(
    info: TranscriberInfo, reader: AudioReader, recognition: Recognition, options: TranscribeOptions, *, busy_s: float
) -> Transcript:
    """Build the transcript of a recording that was read to its end, without the patches that are in force.

    *busy_s* are the seconds of work, reading included.
    """
    segments = tuple(segment.clamped(reader.duration) for segment in recognition.segments)
    decoding_s = reader.decoding_time
    audio_warnings = [TranscriptWarning(code=warning.code, message=warning.message) for warning in reader.warnings]
    return Transcript(
        text=join_texts((segment.text for segment in segments), recognition.language),
        language=recognition.language,
        language_probability=recognition.language_probability,
        segments=segments,
        duration=reader.duration,
        device=info.device,
        compute_type=info.compute_type,
        threads=info.threads,
        timings=Timings(audio=decoding_s, inference=max(0.0, busy_s - decoding_s), total=busy_s),
        model=info.model,
        packages=info.packages,
        options=options,
        warnings=(*audio_warnings, *recognition.warnings),
        track=reader.track,
    )


def _join(info: TranscriberInfo, recording: BatchedRecording, options: TranscribeOptions) -> Transcript:
    recognition = Recognition(
        segments=iter(recording.segments),
        language=options.language or recording.language,
        language_probability=recording.language_probability,
        warnings=list(recording.warnings),
    )
    transcript = build_transcript(info, recording.reader, recognition, options, busy_s=recording.busy_s)
    return attrs.evolve(transcript, decoding=recording.decoding)
