"""Differences of two texts, marked so that they can be read without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asrlab.evaluation.metrics import AlignedWord
from asrlab.evaluation.reports.worst import stretches
from asrlab.terminal.screen import Text

__all__ = ["LEGEND", "marked"]

LEGEND = "[-in the reference only-] {+in the hypothesis only+}"


def marked(words: Sequence[AlignedWord]) -> Text:
    """The words of an alignment, what differs with marks around it."""
    return Text(" ").join(_parts(words))


def _parts(words: Sequence[AlignedWord]) -> Iterator[Text]:
    for stretch in stretches(words):
        if stretch.same:
            yield Text(stretch.said)
            continue
        if stretch.said:
            yield Text(f"[-{stretch.said}-]", style="red")
        if stretch.written:
            yield Text(f"{{+{stretch.written}+}}", style="green")
