"""openai-whisper's output files, byte for byte: txt, vtt, srt, tsv, json.

Source: openai-whisper 20250625, utils.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import attrs

from asrlab.compat.base import format_timestamp
from asrlab.errors import OptionError

__all__ = [
    "ResultWriter",
    "WriteJSON",
    "WriteSRT",
    "WriteTSV",
    "WriteTXT",
    "WriteVTT",
    "format_timestamp",
    "get_writer",
]

type _Result = Mapping[str, Any]


class ResultWriter:
    """A writer of result files in one format.

    Args:
        output_dir: Folder of the files.
    """

    extension: str

    def __init__(self, output_dir: str) -> None:
        self.output_dir = output_dir

    def __call__(
        self, result: _Result, audio_path: str, options: Mapping[str, Any] | None = None, **layout: Any
    ) -> None:
        """Write ``NAME.EXTENSION``, named after the audio, with the options of `SubtitleOptions`."""
        name = Path(os.fspath(audio_path)).stem
        with (Path(self.output_dir) / f"{name}.{self.extension}").open("w", encoding="utf-8") as file:
            self.write_result(result, file, options, **layout)

    def write_result(
        self, result: _Result, file: TextIO, options: Mapping[str, Any] | None = None, **layout: Any
    ) -> None:
        """Write *result* into an open file."""
        file.writelines(self.lines(result, SubtitleOptions.from_arguments(options, layout)))

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        """Yield the contents of the file in parts."""
        raise NotImplementedError


class WriteTXT(ResultWriter):
    """A writer of text files with a line for each segment."""

    extension = "txt"

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
        """Yield the contents of the file in parts."""
        return (segment["text"].strip() + "\n" for segment in result["segments"])


class WriteVTT(ResultWriter):
    """A writer of WebVTT files. As in upstream's, the text is not escaped."""

    extension = "vtt"

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        """Yield the contents of the file in parts."""
        yield "WEBVTT\n\n"
        for cue in build_cues(result["segments"], options, format_timestamp):
            yield f"{cue.start} --> {cue.end}\n{cue.text}\n\n"


class WriteSRT(ResultWriter):
    """A writer of SubRip files."""

    extension = "srt"

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        """Yield the contents of the file in parts."""
        for number, cue in enumerate(build_cues(result["segments"], options, _srt_time), start=1):
            yield f"{number}\n{cue.start} --> {cue.end}\n{cue.text}\n\n"


class WriteTSV(ResultWriter):
    """A writer of tables with milliseconds and text. As in upstream's, formulas are not escaped."""

    extension = "tsv"

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
        """Yield the contents of the file in parts."""
        yield "start\tend\ttext\n"
        for segment in result["segments"]:
            text = segment["text"].strip().replace("\t", " ")
            yield f"{round(1000 * segment['start'])}\t{round(1000 * segment['end'])}\t{text}\n"


class WriteJSON(ResultWriter):
    """A writer of the result dictionary as JSON."""

    extension = "json"

    def lines(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
        """Yield the contents of the file in parts."""
        yield json.dumps(result)


_WRITERS = {writer.extension: writer for writer in (WriteTXT, WriteVTT, WriteSRT, WriteTSV, WriteJSON)}


def get_writer(output_format: str, output_dir: str) -> Callable[..., None]:
    """Return a writer of *output_format*, or of all formats for ``all``.

    Raises:
        OptionError: If there is no such format.
    """
    if output_format == "all":
        writers = [writer(output_dir) for writer in _WRITERS.values()]

        def write_all(result: _Result, audio_path: str, *given: Any, **layout: Any) -> None:
            for writer in writers:
                writer(result, audio_path, *given, **layout)

        return write_all
    if output_format not in _WRITERS:
        formats = (*_WRITERS, "all")
        message = f"there is no output format {output_format!r}; choose one of {', '.join(formats)}"
        raise OptionError(message, option="output_format", supported=formats)
    return _WRITERS[output_format](output_dir)


def _srt_time(seconds: float) -> str:
    return format_timestamp(seconds, always_include_hours=True, decimal_marker=",")


type _Dicts = Sequence[Mapping[str, Any]]
_MAX_PAUSE_S = 3.0  # a new cue begins after a longer pause between words
_NO_LIMIT = 1000  # upstream's


@attrs.frozen(kw_only=True)
class SubtitleOptions:
    """The options of subtitles, which have an effect only if words were timed.

    Attributes:
        max_line_width: Maximum characters in a line.
        max_line_count: Maximum lines in a cue; requires *max_line_width*.
        max_words_per_line: Maximum words in a cue.
        highlight_words: Write a cue for each word, with this word underlined.
    """

    max_line_width: int | None = None
    max_line_count: int | None = None
    max_words_per_line: int | None = None
    highlight_words: bool = False

    @classmethod
    def from_arguments(cls, options: Mapping[str, Any] | None, given: Mapping[str, Any]) -> SubtitleOptions:
        """Return the options in *given*, then those in *options*, which may contain others, too.

        Raises:
            OptionError: If *given* contains an unknown option.
        """
        names = [field.name for field in attrs.fields(cls)]
        for name in given:
            if name not in names:
                message = f"subtitles have no option {name!r}; choose from {', '.join(names)}"
                raise OptionError(message, option=name, supported=names)
        chosen = {name: given.get(name) or (options or {}).get(name) for name in names}
        return cls(**{name: value for name, value in chosen.items() if value})

    @property
    def keeps_segments(self) -> bool:
        """True if no cue crosses segments."""
        return self.max_line_count is None or self.max_line_width is None


@attrs.frozen
class Cue:
    """One subtitle: its times as written, and its text."""

    start: str
    end: str
    text: str


def build_cues(segments: _Dicts, options: SubtitleOptions, format_time: Callable[[float], str]) -> Iterator[Cue]:
    """Yield the cues of *segments*."""
    if not segments or not all("words" in segment for segment in segments):
        for segment in segments:
            text = segment["text"].strip().replace("-->", "->")
            yield Cue(format_time(segment["start"]), format_time(segment["end"]), text)
        return
    for words in _CueBreaker(segments, options).cues():
        if options.highlight_words:
            yield from _highlight(words, format_time)
        else:
            yield Cue(format_time(words[0]["start"]), format_time(words[-1]["end"]), _join(words))


class _CueBreaker:
    """The state of breaking words into lines and cues."""

    def __init__(self, segments: _Dicts, options: SubtitleOptions) -> None:
        self._segments, self._options = segments, options
        self._cue: list[dict[str, Any]] = []
        self._line_width, self._n_lines = 0, 1
        first_starts = [word["start"] for segment in segments for word in segment["words"]][:1]
        self._last_start = float((first_starts or [segments[0]["start"]])[0])

    def cues(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the words of each cue; the first word of a line begins with a line feed."""
        max_words = self._options.max_words_per_line or _NO_LIMIT
        for segment in self._segments:
            for index, word in enumerate(segment["words"]):
                finished = self._add(dict(word), is_first=index % max_words == 0)
                if finished:
                    yield finished
        if self._cue:
            yield self._cue

    def _add(self, word: dict[str, Any], *, is_first: bool) -> list[dict[str, Any]]:
        """Add a word, and return the cue that ended before it."""
        keeps_segments = self._options.keeps_segments
        after_pause = not keeps_segments and word["start"] - self._last_start > _MAX_PAUSE_S
        splits_cue = is_first and keeps_segments and bool(self._cue)
        fits = self._line_width + len(word["word"]) <= (self._options.max_line_width or _NO_LIMIT)
        finished: list[dict[str, Any]] = []
        if self._line_width and fits and not after_pause and not splits_cue:
            self._line_width += len(word["word"])
        else:
            finished = self._start_line(word, after_pause=after_pause, splits_cue=splits_cue)
        self._cue.append(word)
        self._last_start = word["start"]
        return finished

    def _start_line(self, word: dict[str, Any], *, after_pause: bool, splits_cue: bool) -> list[dict[str, Any]]:
        word["word"] = word["word"].strip()
        max_lines = self._options.max_line_count
        is_full = bool(self._cue) and max_lines is not None and (after_pause or self._n_lines >= max_lines)
        finished: list[dict[str, Any]] = []
        if is_full or splits_cue:
            finished, self._cue, self._n_lines = self._cue, [], 1
        elif self._line_width:
            self._n_lines += 1
            word["word"] = "\n" + word["word"]
        self._line_width = len(word["word"].strip())
        return finished


def _highlight(words: _Dicts, format_time: Callable[[float], str]) -> Iterator[Cue]:
    """Yield a cue for each word, and one without a highlight between words that do not touch."""
    last_end = format_time(words[0]["start"])
    for index, word in enumerate(words):
        start, end = format_time(word["start"]), format_time(word["end"])
        if last_end != start:
            yield Cue(last_end, start, _join(words))
        yield Cue(start, end, _join(words, underlined=index))
        last_end = end


def _join(words: _Dicts, underlined: int | None = None) -> str:
    return "".join(
        _underline(word["word"]) if index == underlined else word["word"] for index, word in enumerate(words)
    )


def _underline(word: str) -> str:
    text = word.lstrip()
    return f"{word[: len(word) - len(text)]}<u>{text}</u>"
