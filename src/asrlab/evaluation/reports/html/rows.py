"""Every utterance as data for the page's script, so that thousands of them are not thousands of table rows."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from asrlab.control_characters import escape_controls
from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.reports.scored import ScoredUtterance
from asrlab.evaluation.reports.worst import stretches

__all__ = ["embedded", "utterance_rows"]

# What could end the script element or a line of JavaScript, as JSON escapes.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def utterance_rows(details: Details) -> dict[str, Any]:
    """The names of the systems, and a row per utterance.

    A row is id, speaker, language, seconds of audio, reference, and per system: errors, words of the reference, seconds
    of work, text, differences, and what was found. Differences are a list of what is the same (a string) and what is
    not (a pair of what was said and written); 0 where the words are all the same.
    """
    columns = [system.utterances for system in details.systems]
    return {
        "systems": [system.name for system in details.systems],
        "rows": [_row(details, row) for row in zip(*columns, strict=True)],
    }


def embedded(value: Any) -> Markup:
    """*value* as JSON that is safe within a script element."""
    plain = json.dumps(_visible(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(plain.translate(_ESCAPES))  # noqa: S704 - nothing is left in it that HTML would read as markup


def _visible(value: Any) -> Any:
    """*value* with the control characters in its texts escaped: the page only shows them."""
    match value:
        case str():
            return escape_controls(value)
        case list() | tuple():
            return [_visible(part) for part in value]
        case dict():
            return {name: _visible(part) for name, part in value.items()}
        case _:
            return value


def _row(details: Details, row: tuple[ScoredUtterance, ...]) -> list[Any]:
    first = row[0].result
    duration = details.durations.get(first.id)
    return [
        first.id,
        first.speaker,
        first.language,
        None if duration is None else round(duration, 2),
        first.reference,
        [_outcome(each) for each in row],
    ]


def _outcome(each: ScoredUtterance) -> list[Any]:
    result, seconds = each.result, each.seconds
    found = [*([result.failure.kind] if result.failure else []), *(verdict.gate for verdict in result.failed_gates)]
    different = [stretch.said if stretch.same else [stretch.said, stretch.written] for stretch in stretches(each.words)]
    return [
        each.counts.errors if each.counts else None,
        each.counts.reference_length if each.counts else 0,
        None if seconds is None else round(seconds, 3),
        result.transcript.text if result.transcript else None,
        different if each.errors else 0,
        found,
    ]
