"""What a document needs to know beside the transcript: names, a reference, and how subtitles are laid out."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.errors import OptionError

__all__ = ["Labels", "SubtitleLayout"]


def _positive(_layout: SubtitleLayout, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not value > 0:
        raise OptionError(f"{attribute.name} is {value}; it must be more than 0", option=attribute.name)


@attrs.frozen(kw_only=True)
class SubtitleLayout:
    """How much of a text is on the screen at once, and for how long.

    Attributes:
        max_line_length: Characters in a line; those of Chinese, Japanese and Korean count twice, as they are twice as
            wide. None leaves every segment as one cue of one line.
        max_lines: Lines in a cue.
        max_chars_per_second: A cue that would have to be read faster stays on the screen longer, as far as there is
            room before the next one. None leaves the times as they are.
        min_duration: Seconds that a cue stays at least, where there is room before or behind it, or where it can be
            joined with a neighbour within the other limits. None leaves the times as they are.
    """

    max_line_length: int | None = attrs.field(default=42, validator=_positive)
    max_lines: int = attrs.field(default=2, validator=_positive)
    max_chars_per_second: float | None = attrs.field(default=20.0, validator=_positive)
    min_duration: float | None = attrs.field(default=0.7, validator=_positive)


@attrs.frozen(kw_only=True)
class Labels:
    """What stands in a document beside what was recognized.

    Attributes:
        name: Of the recording or utterance, where the format wants one.
        speaker: Who speaks; None if not known.
        reference: What was said; None if not known.
        layout: Of subtitles.
    """

    name: str = "audio"
    speaker: str | None = None
    reference: str | None = None
    layout: SubtitleLayout = attrs.field(factory=SubtitleLayout)
