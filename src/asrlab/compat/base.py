"""What the look-alikes of models share: a transcriber, closing it, and what to say of what they lack."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, ClassVar, Self

from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.transcript import Segment, Word, join_texts


class CompatModel:
    """A transcriber with the face of another package's model. A context manager, which upstream's is not.

    Attributes:
        transcriber: What does the work, with all that asrlab knows of it.
    """

    _upstream: ClassVar[str]
    """How upstream's model is had, for messages."""

    transcriber: Transcriber

    def close(self) -> None:
        """Give the memory back, which upstream's model does when nothing holds it any more."""
        self.transcriber.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "transcriber":  # asked for by Python itself, or not loaded
            raise AttributeError(name)
        raise AttributeError(
            f"asrlab's look-alike has no {name!r}, which is one engine's own; .transcriber does the work, and "
            f"{self._upstream}.{name} is upstream's"
        )


def leading_space(language: str | None) -> str:
    """What stands before a text: a space where *language* writes spaces, and where it is not known."""
    return " " if " " in join_texts(("a", "b"), language) else ""


def words_with_spaces(segment: Segment, lead: str) -> Iterator[tuple[Word, str]]:
    """Each word of *segment* with its text as Whisper writes it: *lead* before the first, then what stands between."""
    end = 0
    for word in segment.words or ():
        begin = segment.text.find(word.text, end)
        gap = " " if begin < 0 else segment.text[end:begin]
        yield word, (gap if end else lead) + word.text
        end = end if begin < 0 else begin + len(word.text)


def format_timestamp(
    seconds: float,
    always_include_hours: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    decimal_marker: str = ".",
) -> str:
    """*seconds* as ``MM:SS.mmm``, or ``HH:MM:SS.mmm`` from an hour on.

    Raises:
        OptionError: They are negative.
    """
    if seconds < 0:
        raise OptionError(f"a time of {seconds} s is before the start of the audio", option="seconds")
    whole, ms = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    shown = f"{hours:02d}:" if hours or always_include_hours else ""
    return f"{shown}{minute:02d}:{second:02d}{decimal_marker}{ms:03d}"
