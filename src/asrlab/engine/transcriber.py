"""The transcriber: a loaded model that turns audio into transcripts, whatever the engine."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, Unpack

import attrs

from asrlab.audio import AudioReader, AudioSource, open_audio
from asrlab.engine.contract import BatchRequest, HasAudio, Recognition, TranscriberInfo
from asrlab.engine.plugin_code import guarded_plugin_code, name_engine
from asrlab.errors import AsrlabError, EngineUnavailableError
from asrlab.options import Batching, OptionFields, TranscribeOptions
from asrlab.transcript import (
    Outcome,
    PatchStatus,
    Segment,
    Timings,
    Transcript,
    TranscriptWarning,
    join_texts,
)

MAX_SEGMENTS = 1_000
"""Segments that a recording may have, however short it is."""
MAX_SEGMENTS_PER_S = 50
"""Further segments for each second of a recording; more is an engine that does not end."""


class Transcriber(ABC):
    """A loaded model. Use it as a context manager, or call `close`; any number of threads may call it.

    An engine inherits from it and writes `recognize` and `release`.

    Attributes:
        info: The facts of the loaded model.
        load_time: Seconds from the call of ``load`` to this object: probing the device, checking the weights, importing
            the engine, loading. Set by ``load``; fetching weights from afar is not in it.
        patch_report: What was changed in other packages for it, and what was not and why. Set by ``load``.
        tuned: What ``asrlab tune`` found to be best for this model here; None where it has not run. Set by ``load``.
    """

    def __init__(self, info: TranscriberInfo) -> None:
        self.info = info
        self.load_time = 0.0
        self.tuned: Batching | None = None
        self.patch_report: tuple[PatchStatus, ...] = ()
        self._closed = threading.Event()
        self._undo: Callable[[], object] | None = None

    def keep_patches(self, report: tuple[PatchStatus, ...], undo: Callable[[], object]) -> None:
        """Note the patches that hold for this transcriber; *undo* is called by `close`, or when it is collected."""
        self.patch_report = report
        self._undo = weakref.finalize(self, undo)

    @abstractmethod
    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Transcribe *audio*; *options* have been checked against ``info.capabilities``.

        Raise ``AudioError`` for what the model cannot take. May be called from several threads at once.
        """

    @abstractmethod
    def release(self) -> None:
        """Give back the memory of the model. Called once; calls under way may still hold it."""

    def check_options(self, options: TranscribeOptions) -> None:  # noqa: B027 - most have nothing more to check
        """Raise ``OptionError`` for what ``info.capabilities`` cannot tell, such as the values of engine options."""

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
            given: Single options, on top of *options*; see `TranscribeOptions`.

        Raises:
            AudioError: The audio cannot be read, is truncated, empty or not finite.
            OptionError: The model cannot honour an option.
        """
        stream = self.stream(audio, sample_rate=sample_rate, options=options, **given)
        for _ in stream:
            pass
        return stream.transcript

    def transcribe_many(
        self,
        items: Iterable[AudioSource | HasAudio],
        *,
        sample_rate: int | None = None,
        options: TranscribeOptions | None = None,
        batching: Batching | None = None,
        in_order: bool = True,
        **given: Unpack[OptionFields],
    ) -> Iterator[Outcome]:
        """Transcribe items, several together where the engine can.

        Together, items are taken ahead of their turn, some batches' worth, and an array must stay as it is until its
        outcome is there. One by one, each is taken only when its turn comes. A single item always goes the way of
        `transcribe`; ``Transcript.path`` tells which way each took.

        Args:
            items: Whatever `transcribe` takes, or objects with an ``audio`` attribute, such as utterances.
            sample_rate: In Hz, for numpy arrays.
            options: Options to start from, the same for all.
            batching: How they go together, where that is not to be left to `batching`; a ``batch_size`` of 1 takes them
                one by one.
            in_order: Otherwise each outcome comes as soon as it is there; ``Outcome.index`` tells which it is.
            given: Single options, on top of *options*.

        Yields:
            An outcome per item, in the order of the input. An item that fails does not end the rest.

        Raises:
            OptionError: At once, not as an outcome: the options are the same for all.
            AsrlabError: The transcriber was closed meanwhile.
        """
        chosen = self._options(options, given)
        asked = batching or Batching()
        many = BatchRequest(items=items, options=chosen, sample_rate=sample_rate, batching=asked, in_order=in_order)
        together = self.transcribe_batches(many) if asked.batch_size != 1 else None
        if together is not None:
            return together
        return (self._outcome(index, item, sample_rate, chosen) for index, item in enumerate(items))

    def batching(self, given: Batching | None = None) -> Batching | None:  # noqa: ARG002 - for those that override it
        """How recordings go through it together: *given*, then what was `tuned`, then the engine's own defaults.

        None where the engine takes recordings one by one, as by default.
        """
        return None

    def transcribe_batches(self, many: BatchRequest) -> Iterator[Outcome] | None:  # noqa: ARG002 - for those that override it
        """What `transcribe_many` gives, several items decoded together; None where the engine cannot, as by default."""
        return None

    def prepare_batches(self, given: Batching | None = None) -> None:  # noqa: B027 - most have nothing to load
        """Load what `transcribe_many` will need besides what is loaded; otherwise the first call does."""

    def stream(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        options: TranscribeOptions | None = None,
        **given: Unpack[OptionFields],
    ) -> SegmentStream:
        """Transcribe one recording, segment by segment as they are ready.

        Takes the arguments of `transcribe` and raises as it does, at once for options and on the first segment for the
        audio. When the segments have been read, ``stream.transcript`` holds the whole.
        """
        return SegmentStream(self, audio, sample_rate, self._options(options, given))

    def close(self) -> None:
        """Give the model's memory back. May be called again; calls after it raise ``AsrlabError``."""
        if not self._closed.is_set():
            self.shut()
            _give_back()

    def shut(self) -> None:
        """Close, but hand no memory to the system: for a transcriber that another one closes along with itself."""
        self._closed.set()
        try:
            self.release()
        finally:
            if self._undo is not None:
                self._undo()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<{type(self).__name__} {self.info.model.name} on {self.info.device}{state}>"

    def finish(
        self, reader: AudioReader, recognition: Recognition, options: TranscribeOptions, *, busy: float
    ) -> Transcript:
        """The transcript of a recording that was read and recognized to its end.

        Args:
            reader: Read to its end.
            recognition: What the engine made of it.
            options: What was asked for.
            busy: Seconds that it took, reading included.
        """
        segments = tuple(segment.clamped(reader.duration) for segment in recognition.segments)
        decoding = reader.decoding_time
        return Transcript(
            text=join_texts((segment.text for segment in segments), recognition.language),
            language=recognition.language,
            language_probability=recognition.language_probability,
            segments=segments,
            duration=reader.duration,
            device=self.info.device,
            compute_type=self.info.compute_type,
            threads=self.info.threads,
            timings=Timings(audio=decoding, inference=max(0.0, busy - decoding), total=busy),
            model=self.info.model,
            packages=self.info.packages,
            options=options,
            warnings=(*audio_warnings(reader), *recognition.warnings),
            patches=self.patch_report,
            track=reader.track,
        )

    def _options(self, base: TranscribeOptions | None, given: OptionFields) -> TranscribeOptions:
        if self.closed:
            raise self.closed_error()
        chosen = TranscribeOptions.of(base, dict(given))
        self.info.capabilities.check(chosen, model=self.info.model.name)
        self.check_options(chosen)
        return chosen

    def closed_error(self) -> AsrlabError:
        """What a call after `close` raises."""
        return AsrlabError(f"the transcriber of {self.info.model.name} is closed; load the model again")

    def _outcome(
        self, index: int, item: AudioSource | HasAudio, sample_rate: int | None, options: TranscribeOptions
    ) -> Outcome:
        if self.closed:
            raise self.closed_error()
        try:
            audio = item.audio if isinstance(item, HasAudio) else item
            transcript = self.transcribe(audio, sample_rate=sample_rate, options=options)
        except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad item never ends the rest
            return Outcome(index=index, item=item, error=error)
        return Outcome(index=index, item=item, transcript=transcript)


class SegmentStream(Iterator[Segment]):
    """The segments of one recording as they are ready, and at the end the transcript of the whole."""

    def __init__(
        self, transcriber: Transcriber, audio: AudioSource, sample_rate: int | None, options: TranscribeOptions
    ) -> None:
        self._transcriber = transcriber
        self._options = options
        self._source = (audio, sample_rate)
        self._reader: AudioReader | None = None
        self._recognition: Recognition | None = None
        self._segments: list[Segment] = []
        self._transcript: Transcript | None = None
        self._busy = 0.0

    def begin(self) -> Recognition:
        """Open the audio and have the engine begin, ahead of the first segment: most know the language then.

        What it gives is for its facts; the segments come from this stream.

        Raises:
            AudioError: The audio cannot be read.
        """
        with self._at_work():
            return self._begun()

    def __next__(self) -> Segment:
        if self._transcript is not None:
            raise StopIteration
        with self._at_work():
            segment = self._advance()
        if segment is None:
            self._transcript = self._finish()
            self.close()
            raise StopIteration
        self._segments.append(segment)
        return segment

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            with guarded_plugin_code():
                yield
        except BaseException as error:
            self.close()
            name_engine(error, self._transcriber.info.model.engine, "while it transcribed")
            raise
        finally:
            self._busy += time.monotonic() - start

    def _begun(self) -> Recognition:
        if self._recognition is None:
            audio, sample_rate = self._source
            self._reader = open_audio(
                audio,
                sample_rate=sample_rate,
                allow_truncated=self._options.allow_truncated,
                track=self._options.track,
            )
            self._recognition = self._transcriber.recognize(self._reader, self._options)
        return self._recognition

    def _advance(self) -> Segment | None:
        recognition = self._begun()
        assert self._reader is not None  # noqa: S101 - set together with the recognition
        segment = next(recognition.segments, None)
        if segment is not None and len(self._segments) >= MAX_SEGMENTS + MAX_SEGMENTS_PER_S * self._reader.duration:
            info = self._transcriber.info.model
            raise EngineUnavailableError(
                f"engine {info.engine!r} gives segments without an end: {len(self._segments)} so far for "
                f"{self._reader.duration:.1f} s of audio; tell its authors",
                engine=info.engine,
            )
        return None if segment is None else segment.clamped(self._reader.duration)

    def close(self) -> None:
        """Stop early: let go of the audio. The transcript stays out of reach unless the end was reached."""
        if self._reader is not None:
            self._reader.close()
        close = getattr(self._recognition and self._recognition.segments, "close", None)
        if close is not None:
            close()

    @property
    def transcript(self) -> Transcript:
        """The whole, once all segments have been read.

        Raises:
            AsrlabError: There are segments left to read.
        """
        if self._transcript is None:
            raise AsrlabError("the stream has not been read to its end; read all of its segments first")
        return self._transcript

    def _finish(self) -> Transcript:
        reader, recognition = self._reader, self._recognition
        assert reader is not None and recognition is not None  # noqa: PT018, S101 - the end was reached through them
        heard = attrs.evolve(recognition, segments=iter(self._segments))
        return self._transcriber.finish(reader, heard, self._options, busy=self._busy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SegmentStream of {self._transcriber.info.model.name}, {len(self._segments)} segments read>"


def _give_back() -> None:
    """Hand freed memory to the system: glibc keeps freed blocks below 32 MB, as most weights are, for itself.

    Source: mallopt(3), M_MMAP_THRESHOLD; malloc_trim(3).
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def audio_warnings(reader: AudioReader) -> list[TranscriptWarning]:
    """What *reader* found, for a transcript."""
    return [TranscriptWarning(code=warning.code, message=warning.message) for warning in reader.warnings]
