"""openai-whisper's output files, byte for byte: txt, vtt, srt, tsv, json. Named as upstream's module.

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

type Result = Mapping[str, Any]


class ResultWriter:
    """Writes a result beside others.

    Args:
        output_dir: The folder.
    """

    extension: str

    def __init__(self, output_dir: str) -> None:
        self.output_dir = output_dir

    def __call__(
        self, result: Result, audio_path: str, options: Mapping[str, Any] | None = None, **layout: Any
    ) -> None:
        """Write ``NAME.EXTENSION``, named after the audio; *options* and *layout* are as of `Layout`."""
        name = Path(os.fspath(audio_path)).stem
        with (Path(self.output_dir) / f"{name}.{self.extension}").open("w", encoding="utf-8") as file:
            self.write_result(result, file, options, **layout)

    def write_result(
        self, result: Result, file: TextIO, options: Mapping[str, Any] | None = None, **layout: Any
    ) -> None:
        """Write into an open file."""
        file.writelines(self.lines(result, Layout.of(options, layout)))

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:
        """The file, in parts."""
        raise NotImplementedError


class WriteTXT(ResultWriter):
    """A line for each segment."""

    extension = "txt"

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:  # noqa: ARG002 - subtitles have one
        """See `ResultWriter`."""
        return (segment["text"].strip() + "\n" for segment in result["segments"])


class WriteVTT(ResultWriter):
    """WebVTT. The text is not escaped, as upstream's is not."""

    extension = "vtt"

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:
        """See `ResultWriter`."""
        yield "WEBVTT\n\n"
        for cue in cues_of(result["segments"], layout, format_timestamp):
            yield f"{cue.start} --> {cue.end}\n{cue.text}\n\n"


class WriteSRT(ResultWriter):
    """SubRip."""

    extension = "srt"

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:
        """See `ResultWriter`."""
        for number, cue in enumerate(cues_of(result["segments"], layout, _srt_time), start=1):
            yield f"{number}\n{cue.start} --> {cue.end}\n{cue.text}\n\n"


class WriteTSV(ResultWriter):
    """Milliseconds and text. Nothing is put before what a spreadsheet takes for a formula, as upstream puts nothing."""

    extension = "tsv"

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:  # noqa: ARG002 - subtitles have one
        """See `ResultWriter`."""
        yield "start\tend\ttext\n"
        for segment in result["segments"]:
            text = segment["text"].strip().replace("\t", " ")
            yield f"{round(1000 * segment['start'])}\t{round(1000 * segment['end'])}\t{text}\n"


class WriteJSON(ResultWriter):
    """The result's dictionary."""

    extension = "json"

    def lines(self, result: Result, layout: Layout) -> Iterator[str]:  # noqa: ARG002 - subtitles have one
        """See `ResultWriter`."""
        yield json.dumps(result)


_WRITERS = {writer.extension: writer for writer in (WriteTXT, WriteVTT, WriteSRT, WriteTSV, WriteJSON)}


def get_writer(output_format: str, output_dir: str) -> Callable[..., None]:
    """A writer of *output_format*, or of all of them for ``all``.

    Raises:
        OptionError: There is no such format.
    """
    if output_format == "all":
        writers = [writer(output_dir) for writer in _WRITERS.values()]

        def write_all(result: Result, audio_path: str, *given: Any, **layout: Any) -> None:
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


type Dicts = Sequence[Mapping[str, Any]]
_PAUSE = 3.0  # seconds between words, behind which a new cue begins
_NO_LIMIT = 1000  # upstream's


@attrs.frozen(kw_only=True)
class Layout:
    """How words become subtitles; has effect only where words were timed.

    Attributes:
        max_line_width: Characters in a line.
        max_line_count: Lines in a cue; needs *max_line_width*.
        max_words_per_line: Words in a cue.
        highlight_words: A cue for each word, which is underlined in it.
    """

    max_line_width: int | None = None
    max_line_count: int | None = None
    max_words_per_line: int | None = None
    highlight_words: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, given: Mapping[str, Any]) -> Layout:
        """*given*, over *options*, which may hold other things, too.

        Raises:
            OptionError: *given* has a name that is none of a layout's.
        """
        names = [field.name for field in attrs.fields(cls)]
        for name in given:
            if name not in names:
                message = f"subtitles have no option {name!r}; there are {', '.join(names)}"
                raise OptionError(message, option=name, supported=names)
        chosen = {name: given.get(name) or (options or {}).get(name) for name in names}
        return cls(**{name: value for name, value in chosen.items() if value})

    @property
    def keeps_segments(self) -> bool:
        """Whether a cue never crosses segments."""
        return self.max_line_count is None or self.max_line_width is None


@attrs.frozen
class Cue:
    """One subtitle: its times as written, and its text."""

    start: str
    end: str
    text: str


def cues_of(segments: Dicts, layout: Layout, clock: Callable[[float], str]) -> Iterator[Cue]:
    """The cues of *segments*; *clock* writes a time."""
    if not segments or not all("words" in segment for segment in segments):
        for segment in segments:
            text = segment["text"].strip().replace("-->", "->")
            yield Cue(clock(segment["start"]), clock(segment["end"]), text)
        return
    for words in _Breaking(segments, layout).cues():
        if layout.highlight_words:
            yield from _highlighted(words, clock)
        else:
            yield Cue(clock(words[0]["start"]), clock(words[-1]["end"]), _joined(words))


class _Breaking:
    """The state of breaking words into lines and cues."""

    def __init__(self, segments: Dicts, layout: Layout) -> None:
        self._segments, self._layout = segments, layout
        self._cue: list[dict[str, Any]] = []
        self._length, self._lines = 0, 1
        firsts = [word["start"] for segment in segments for word in segment["words"]][:1]
        self._last = float((firsts or [segments[0]["start"]])[0])

    def cues(self) -> Iterator[list[dict[str, Any]]]:
        """The words of each cue; those that begin a line begin with a line feed."""
        for word, first in self._words():
            done = self._add(dict(word), first=first)
            if done:
                yield done
        if self._cue:
            yield self._cue

    def _words(self) -> Iterator[tuple[Mapping[str, Any], bool]]:
        """Each word, and whether it is the first of a segment or of so many words of it."""
        most = self._layout.max_words_per_line or _NO_LIMIT
        for segment in self._segments:
            yield from ((word, place % most == 0) for place, word in enumerate(segment["words"]))

    def _add(self, word: dict[str, Any], *, first: bool) -> list[dict[str, Any]]:
        """Add a word, and give the cue that ended before it."""
        keeps = self._layout.keeps_segments
        pause = not keeps and word["start"] - self._last > _PAUSE
        parted = first and keeps and bool(self._cue)
        fits = self._length + len(word["word"]) <= (self._layout.max_line_width or _NO_LIMIT)
        done: list[dict[str, Any]] = []
        if self._length and fits and not pause and not parted:
            self._length += len(word["word"])
        else:
            done = self._begin_line(word, pause=pause, parted=parted)
        self._cue.append(word)
        self._last = word["start"]
        return done

    def _begin_line(self, word: dict[str, Any], *, pause: bool, parted: bool) -> list[dict[str, Any]]:
        word["word"] = word["word"].strip()
        most = self._layout.max_line_count
        full = bool(self._cue) and most is not None and (pause or self._lines >= most)
        done: list[dict[str, Any]] = []
        if full or parted:
            done, self._cue, self._lines = self._cue, [], 1
        elif self._length:
            self._lines += 1
            word["word"] = "\n" + word["word"]
        self._length = len(word["word"].strip())
        return done


def _highlighted(words: Sequence[Mapping[str, Any]], clock: Callable[[float], str]) -> Iterator[Cue]:
    """A cue for each word, and one without a highlight between words that do not touch."""
    last = clock(words[0]["start"])
    for place, word in enumerate(words):
        start, end = clock(word["start"]), clock(word["end"])
        if last != start:
            yield Cue(last, start, _joined(words))
        yield Cue(start, end, _joined(words, underlined=place))
        last = end


def _joined(words: Sequence[Mapping[str, Any]], underlined: int | None = None) -> str:
    return "".join(
        _underlined(word["word"]) if place == underlined else word["word"] for place, word in enumerate(words)
    )


def _underlined(word: str) -> str:
    bare = word.lstrip()
    return f"{word[: len(word) - len(bare)]}<u>{bare}</u>"
