"""What ``verbose`` asks to be told while a recording is transcribed: lines, a progress bar, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from asrlab.compat.base import format_timestamp
from asrlab.compat.whisper.tokenizer import LANGUAGES

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["ProgressPrinter"]


class ProgressPrinter:
    """Tells as upstream does: True prints each segment, False shows a bar on standard error, None says nothing.

    Args:
        verbose: Which of them.
        detects: Whether the language is to be found out.
    """

    def __init__(self, verbose: bool | None, *, detects: bool) -> None:  # noqa: FBT001 - as upstream
        self._verbose, self._detects = verbose, detects
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._verbose and self._detects:
            _say("Detecting the language; name it with language=, or --language, to spare that")
        if self._verbose is False:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True))
            self._bar.add_task("transcribing", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def language(self, found: str | None) -> None:
        """Which language it is, if that had to be found out."""
        if self._verbose is not None and self._detects and found:
            _say(f"Detected language: {LANGUAGES.get(found, found).title()}")

    def segment(self, segment: Mapping[str, Any]) -> None:
        """A segment, as soon as it is there."""
        if self._verbose:
            start, end = format_timestamp(segment["start"]), format_timestamp(segment["end"])
            _say(f"[{start} --> {end}] {segment['text']}")

    def progress(self, done: int, total: int) -> None:
        """How far it is."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=min(done, total), total=total)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - verbose asks for it
