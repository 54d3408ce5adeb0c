"""Transcription of a long recording chunk by chunk, with warnings about its text, such as a loop of one phrase."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import attrs

from asrlab._lazy import np
from asrlab.audio import SAMPLE_RATE
from asrlab.errors import AudioError
from asrlab.languages import UNSPACED
from asrlab.transcript import Segment, TranscriptWarning
from asrlab.vad.chunking import Chunk, Chunker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_MAX_PHRASE_CHARACTERS = 60
_MAX_LISTED = 5  # silences in a warning
_INCOMPLETE = "the text so far is kept, and words are missing"
_MIN_COUNT = 3
_MIN_WORDS = 15
"""Words in a loop: five seconds of speech. People say a word a dozen times ("no, no, no"), a refrain of three words
four times ("let it be"), and a sentence twice; a model in a loop continues until it is stopped. Source: asrlab's own.
Whisper's measure (``compression_ratio_threshold`` 2.4) finds no short loops.
"""
_MIN_CHARACTERS = 20
"""Characters in a loop in scripts without spaces, where a word has one or two characters."""
_MAX_PERIOD = 200
"""Words, or characters, in a phrase: some 70 seconds of speech."""
_MAX_WORD = 64
"""Letters in a word. A longer word exists in no language, but may be a loop without spaces ("hahaha...")."""

_log = logging.getLogger("asrlab.vad")


@attrs.frozen(kw_only=True)
class ChunkResult:
    """Recognized text of a chunk.

    Attributes:
        text: Text as the engine wrote it.
        tokens: Token ids of the model; None if the engine has none.
        ended: True if the model ended the text by itself; False if the engine stopped it at a limit.
        segments: Segments that the engine timed, in seconds from the start of the chunk; None if the engine gives no
            times.
    """

    text: str
    tokens: tuple[int, ...] | None = None
    ended: bool = True
    segments: tuple[Segment, ...] | None = None


type RecognizeChunk = Callable[[NDArray[np.float32]], ChunkResult]
"""Recognizer of the samples of one chunk: float32, shape (n,), at 16 kHz."""


@attrs.define(kw_only=True)
class SkippedSilence:
    """Parts of one recording that were not transcribed because they contain no speech.

    Attributes:
        vad_name: Name of the voice activity detector, for messages.
        spans: Start and end of each part in seconds; adjacent parts are one.
    """

    vad_name: str
    spans: list[tuple[float, float]] = attrs.field(factory=list)

    def add(self, chunk: Chunk) -> None:
        """Add *chunk* to the skipped parts."""
        if self.spans and self.spans[-1][1] == chunk.start:
            self.spans[-1] = (self.spans[-1][0], chunk.end)
        else:
            self.spans.append((chunk.start, chunk.end))

    def warnings(self) -> list[TranscriptWarning]:
        """Return one warning about all skipped parts; none if there are none."""
        if not self.spans:
            return []
        listed = [f"{start:.2f} to {end:.2f} s" for start, end in self.spans[:_MAX_LISTED]]
        if len(self.spans) > _MAX_LISTED:
            listed.append(f"{len(self.spans) - _MAX_LISTED} more")
        seconds = sum(end - start for start, end in self.spans)
        message = f"{seconds:.2f} s were not transcribed ({', '.join(listed)}): {self.vad_name} found no speech there"
        return [TranscriptWarning(code="no-voice", message=message)]


def transcribe_chunks(
    blocks: Iterable[NDArray[np.float32]],
    *,
    recognize: RecognizeChunk,
    chunker: Chunker,
    warnings: list[TranscriptWarning],
    source: str = "<audio>",
) -> Iterator[Segment]:
    """Split a recording into chunks, transcribe them in order, and yield the segments of each chunk with text.

    The segments are those that the engine timed, or else one segment from the first speech in its chunk to the last; if
    the detector found none, as long as the chunk.

    - A chunk without speech is not transcribed, because models make up text for silence. A whole recording in one chunk
      is, unless it is digital silence: a detector that errs must not swallow a whole recording. Both give a
      ``no-voice`` warning.
    - A chunk whose text did not end is transcribed once more in two halves, each a segment of its own, with a
      ``halved`` warning. If a half does not end either, its text so far is kept, and both warnings are
      ``output-truncated``.
    - A text that repeats a phrase in a loop is kept, with a ``repetition`` warning.

    Args:
        blocks: float32, shape (n,), at 16 kHz, of any lengths, such as `AudioReader.blocks` gives.
        recognize: Recognizer of one chunk; its exceptions end the transcription.
        chunker: Splitter of the recording.
        warnings: List that grows while the segments are consumed.
        source: Name of the audio in messages.

    Raises:
        AudioError: If the whole recording is shorter than the engine accepts (``too-short``).
    """
    skipped = SkippedSilence(vad_name=str(chunker.vad.info))
    transcription = _ChunkedTranscription(recognize, chunker, warnings, source, skipped)
    for chunk in chunker.split(blocks):
        minimum = chunker.min_audio_s
        if chunk.is_whole and len(chunk.samples) < minimum * SAMPLE_RATE:
            message = f"{source!r} lasts {chunk.end:.3f} s, but this model needs at least {minimum:g} s"
            raise AudioError(f"{message}; give it a longer recording", source=source, reason="too-short")
        for part, result in transcription.results(chunk):
            if result.text.strip():
                yield from transcription.segments(part, result)
    warnings.extend(skipped.warnings())


@attrs.frozen
class _ChunkedTranscription:
    recognize: RecognizeChunk
    chunker: Chunker
    warnings: list[TranscriptWarning]
    source: str
    skipped: SkippedSilence

    def results(self, chunk: Chunk) -> Iterator[tuple[Chunk, ChunkResult]]:
        """Yield the results of *chunk*, of its halves, or none."""
        if not chunk.should_transcribe:
            self._skip(chunk)
            return
        result = self._recognize(chunk)
        if result.ended:
            yield chunk, result
        elif (halves := self.chunker.split_in_half(chunk)) is None:
            message = f"the text of {_span(chunk)} did not end, and the chunk is too short to cut: {_INCOMPLETE}"
            self._warn("output-truncated", message)
            yield chunk, result
        else:
            yield from self._half_results(chunk, halves)

    def _half_results(self, chunk: Chunk, halves: tuple[Chunk, Chunk]) -> Iterator[tuple[Chunk, ChunkResult]]:
        retried = [half for half in halves if half.has_speech] or list(halves)
        results = [self._recognize(half) for half in retried]
        message = f"the text of {_span(chunk)} did not end; transcribed again, cut at {halves[0].end:.2f} s,"
        have_ended = all(result.ended for result in results)
        outcome = "and ended" if have_ended else "but did not end everywhere"
        self._warn("halved" if have_ended else "output-truncated", f"{message} {outcome}")
        for half in halves:
            if half not in retried:
                self._skip(half)
        for half, result in zip(retried, results, strict=True):
            if not result.ended:
                message = f"the text of {_span(half)}, half of a chunk, did not end either: {_INCOMPLETE}"
                self._warn("output-truncated", message)
            yield half, result

    def segments(self, chunk: Chunk, result: ChunkResult) -> tuple[Segment, ...]:
        """Return the segments of *chunk*, and warn if its text is a loop or belongs to a chunk without speech."""
        text = result.text.strip()
        if not chunk.has_speech:
            message = f"{self.skipped.vad_name} found no speech in {_span(chunk)}; the text may be made up"
            self._warn("no-voice", message)
        if loop := find_repetition(text):
            ending = "..." if len(loop.phrase) > _MAX_PHRASE_CHARACTERS else ""
            phrase = loop.phrase[:_MAX_PHRASE_CHARACTERS] + ending
            message = f'the text of {_span(chunk)} repeats "{phrase}" {loop.count} times in a row'
            self._warn("repetition", f"{message}; listen to the audio, the model may have run in a loop")
        if result.segments is not None:
            length = chunk.end - chunk.start  # an end may lie in the padding that the model adds to the chunk
            return tuple(segment.clamped(length).shifted(chunk.start) for segment in result.segments)
        start, end = chunk.speech or (chunk.start, chunk.end)
        return (Segment(text=text, start=start, end=end, tokens=result.tokens),)

    def _recognize(self, chunk: Chunk) -> ChunkResult:
        try:
            return self.recognize(chunk.samples)
        except Exception as error:
            error.add_note(f"in {_span(chunk)} of {self.source!r}")
            raise

    def _skip(self, chunk: Chunk) -> None:
        _log.debug("%s of %r has no speech and is not transcribed", _span(chunk), self.source)
        self.skipped.add(chunk)

    def _warn(self, code: str, message: str) -> None:
        self.warnings.append(TranscriptWarning(code=code, message=message))


def _span(chunk: Chunk) -> str:
    return f"{chunk.start:.2f} to {chunk.end:.2f} s"


@attrs.frozen(kw_only=True)
class RepetitionLoop:
    """Phrase that a text repeats without anything in between.

    Attributes:
        phrase: First occurrence of the phrase in the text.
        count: Number of complete repetitions in a row.
        start: Index in the text of the start of the first repetition.
        end: Index in the text of the end of the last repeated word or character.
    """

    phrase: str
    count: int
    start: int
    end: int


class _Token(NamedTuple):
    key: str
    start: int
    end: int
    is_character: bool


def find_repetition(text: str) -> RepetitionLoop | None:
    """Return the longest loop in *text*; None if there is none.

    A loop is a phrase of up to 200 words that occurs three times or more in a row, with 15 words or more in all, or 20
    characters in a script without spaces. Case and punctuation are ignored.
    """
    tokens = list(_tokens(text))
    start, end, period = _longest_run([token.key for token in tokens])
    looped = tokens[start:end]
    has_words = not looped or not all(token.is_character for token in looped)
    if len(looped) < (_MIN_WORDS if has_words else _MIN_CHARACTERS):
        return None
    phrase = text[looped[0].start : looped[period - 1].end]
    return RepetitionLoop(phrase=phrase, count=len(looped) // period, start=looped[0].start, end=looped[-1].end)


def _longest_run(keys: list[str]) -> tuple[int, int, int]:
    """Return the longest run of a phrase repeated three times or more: start, end, and the length of the phrase."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    ids = np.array([numbers[key] for key in keys], np.int32)
    best = (0, 0, 1)
    for period in range(1, min(_MAX_PERIOD, len(ids) // _MIN_COUNT) + 1):
        same = ids[period:] == ids[:-period]  # n equal ids in a row are n + period words
        if np.count_nonzero(same) <= max(0, best[1] - best[0] - period):
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        longest = int(lengths.argmax())
        length = int(lengths[longest]) + period
        if length >= _MIN_COUNT * period and length > best[1] - best[0]:
            best = (int(edges[2 * longest]), int(edges[2 * longest]) + length, period)
    return best


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the words, and the single characters of scripts without spaces, without punctuation."""
    for word in re.finditer(r"\S+", text):
        written, start = word.group(), word.start()
        indices = [index for index, character in enumerate(written) if unicodedata.category(character)[0] not in "PSZC"]
        if UNSPACED.search(written) or len(written) > _MAX_WORD:
            yield from (_Token(written[i].casefold(), start + i, start + i + 1, is_character=True) for i in indices)
        elif indices:
            key = "".join(written[index] for index in indices).casefold()
            yield _Token(key, start + indices[0], start + indices[-1] + 1, is_character=False)
