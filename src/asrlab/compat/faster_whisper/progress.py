"""A bar for those who ask for one."""

from __future__ import annotations

from collections.abc import Iterator

from asrlab.compat.faster_whisper.records import Segment

__all__ = ["shown"]


def shown(segments: Iterator[Segment], duration: float, *, on: bool) -> Iterator[Segment]:
    """*segments*, with a progress bar over the seconds of audio on standard error if *on*."""
    return _with_bar(segments, duration) if on else segments


def _with_bar(segments: Iterator[Segment], duration: float) -> Iterator[Segment]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("transcribing", total=duration)
        for segment in segments:
            bar.update(task, completed=segment.end)
            yield segment
        bar.update(task, completed=duration)
