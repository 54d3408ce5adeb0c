"""openai-whisper's output files, byte for byte: txt, vtt, srt, tsv, json.

Source: openai-whisper 20250625, utils.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import attrs

from asrlab.compat import format_timestamp
from asrlab.compat.delegation import delegate_missing
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
    """A writer of result files in one format into the folder *output_dir*."""

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
        file.writelines(self._parts(result, SubtitleOptions.from_arguments(options, layout)))

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        """Yield the contents of the file in parts."""
        raise NotImplementedError


class WriteTXT(ResultWriter):
    """A writer of text files with a line for each segment."""

    extension = "txt"

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
        return (segment["text"].strip() + "\n" for segment in result["segments"])


class WriteVTT(ResultWriter):
    """A writer of WebVTT files. As in upstream's, the text is not escaped."""

    extension = "vtt"

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        yield "WEBVTT\n\n"
        for start, end, text in build_cues(result["segments"], options, format_timestamp):
            yield f"{start} --> {end}\n{text}\n\n"


class WriteSRT(ResultWriter):
    """A writer of SubRip files."""

    extension = "srt"

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:
        format_time = partial(format_timestamp, always_include_hours=True, decimal_marker=",")
        cues = build_cues(result["segments"], options, format_time)
        return (f"{number}\n{start} --> {end}\n{text}\n\n" for number, (start, end, text) in enumerate(cues, start=1))


class WriteTSV(ResultWriter):
    """A writer of tables with milliseconds and text. As in upstream's, formulas are not escaped."""

    extension = "tsv"

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
        yield "start\tend\ttext\n"
        for segment in result["segments"]:
            text = segment["text"].strip().replace("\t", " ")
            yield f"{round(1000 * segment['start'])}\t{round(1000 * segment['end'])}\t{text}\n"


class WriteJSON(ResultWriter):
    """A writer of the result dictionary as JSON."""

    extension = "json"

    def _parts(self, result: _Result, options: SubtitleOptions) -> Iterator[str]:  # noqa: ARG002 - only subtitles use it
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


def build_cues(
    segments: _Dicts, options: SubtitleOptions, format_time: Callable[[float], str]
) -> Iterator[tuple[str, str, str]]:
    """Yield the subtitles of *segments*: the start and end as written, and the text."""
    if not segments or not all("words" in segment for segment in segments):
        for segment in segments:
            text = segment["text"].strip().replace("-->", "->")
            yield format_time(segment["start"]), format_time(segment["end"]), text
        return
    for words in _break_words(segments, options):
        texts = [word["word"] for word in words]
        if not options.highlight_words:
            yield format_time(words[0]["start"]), format_time(words[-1]["end"]), "".join(texts)
            continue
        # a cue for each word, and one without a highlight between words that do not touch
        last_end = format_time(words[0]["start"])
        for index, (word, text) in enumerate(zip(words, texts, strict=True)):
            start, end = format_time(word["start"]), format_time(word["end"])
            if last_end != start:
                yield last_end, start, "".join(texts)
            bare = text.lstrip()
            underlined = f"{text[: len(text) - len(bare)]}<u>{bare}</u>"
            yield start, end, "".join((*texts[:index], underlined, *texts[index + 1 :]))
            last_end = end


def _break_words(segments: _Dicts, options: SubtitleOptions) -> Iterator[list[dict[str, Any]]]:
    """Yield the words of each cue; the first word of a line begins with a line feed."""
    max_width, max_lines = options.max_line_width or _NO_LIMIT, options.max_line_count
    max_words = options.max_words_per_line or _NO_LIMIT
    keeps_segments = max_lines is None or options.max_line_width is None  # then no cue crosses segments
    cue: list[dict[str, Any]] = []
    line_width, n_lines = 0, 1
    words = [(index, dict(word)) for segment in segments for index, word in enumerate(segment["words"])]
    last_start = words[0][1]["start"] if words else 0.0
    for index, word in words:
        after_pause = not keeps_segments and word["start"] - last_start > _MAX_PAUSE_S
        splits_cue = bool(cue) and keeps_segments and index % max_words == 0
        last_start = word["start"]
        if line_width and line_width + len(word["word"]) <= max_width and not after_pause and not splits_cue:
            line_width += len(word["word"])
        else:
            word["word"] = word["word"].strip()
            is_full = bool(cue) and max_lines is not None and (after_pause or n_lines >= max_lines)
            if is_full or splits_cue:
                yield cue
                cue, n_lines = [], 1
            elif line_width:
                n_lines += 1
                word["word"] = "\n" + word["word"]
            line_width = len(word["word"].strip())
        cue.append(word)
    if cue:
        yield cue


__getattr__ = delegate_missing(__name__)
