"""openai-whisper's output files, byte for byte: txt, vtt, srt, tsv, json. Named as upstream's module.

Source: openai-whisper 20250625, utils.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from asrlab.compat.timestamps import format_timestamp
from asrlab.compat.whisper.cues import Layout, cues_of
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
