"""Times as both Whisper packages write them."""

from __future__ import annotations

from asrlab.errors import OptionError

__all__ = ["format_timestamp"]


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
