"""Helpers that the drop-in replacements share: the base of their models, spaces, and time stamps."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, ClassVar, Self

from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.transcript import Segment, Word, join_texts


class CompatModel:
    """A transcriber with the interface of another package's model, and a context manager, unlike upstream's model.

    Attributes:
        transcriber: The transcriber that does the work.
    """

    _upstream: ClassVar[str]
    """Expression for upstream's model, for messages."""

    transcriber: Transcriber

    def close(self) -> None:
        """Release the memory. Upstream's model does this when it is garbage collected."""
        self.transcriber.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "transcriber":  # Python's own lookups, and a model that failed to load
            raise AttributeError(name)
        raise AttributeError(
            f"asrlab's drop-in replacement has no {name!r}, which only one engine has; use .transcriber, or upstream's "
            f"{self._upstream}.{name}"
        )


def leading_space(language: str | None) -> str:
    """Return a space if *language* is written with spaces or unknown, else an empty string."""
    return " " if " " in join_texts(("a", "b"), language) else ""


def words_with_spaces(segment: Segment, lead: str) -> Iterator[tuple[Word, str]]:
    """Yield each word of *segment* with its text as Whisper writes it: after *lead*, or the space between words."""
    end = 0
    for word in segment.words or ():
        start = segment.text.find(word.text, end)
        gap = " " if start < 0 else segment.text[end:start]
        yield word, (gap if end else lead) + word.text
        end = end if start < 0 else start + len(word.text)


def format_timestamp(
    seconds: float,
    always_include_hours: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    decimal_marker: str = ".",
) -> str:
    """Format *seconds* as ``MM:SS.mmm``, or ``HH:MM:SS.mmm`` from an hour on.

    Raises:
        OptionError: If *seconds* is negative.
    """
    if seconds < 0:
        raise OptionError(f"a time of {seconds} s is before the start of the audio; give 0 or more", option="seconds")
    total, ms = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    prefix = f"{hours:02d}:" if hours or always_include_hours else ""
    return f"{prefix}{minute:02d}:{second:02d}{decimal_marker}{ms:03d}"
