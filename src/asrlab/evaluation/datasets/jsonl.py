"""Files with one JSON object a line."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from asrlab.bounded_json import parse_json
from asrlab.evaluation.datasets.fields import Fields, json_type
from asrlab.evaluation.datasets.lines import Lines, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["first_object", "objects"]


def objects(lines: Lines) -> Iterator[tuple[int, Fields]]:
    """The objects, each with the number of its line; blank lines are passed over.

    Raises:
        DatasetError: The file cannot be read, or a line is no JSON object.
    """
    for number, raw in lines.raw():
        if raw.strip():
            yield number, Fields(values=_parsed(lines, number, raw), error=partial(lines.error, number))


def first_object(path: Path) -> dict[str, Any]:
    """The object in the first line that is not blank; empty where there is none."""
    try:
        found = parse_json(first_line(path), allow_nonfinite=True)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parsed(lines: Lines, number: int, raw: bytes) -> dict[str, Any]:
    text = lines.decoded(number, raw).rstrip()
    try:
        found = parse_json(text, allow_nonfinite=True)  # of keys that nobody reads; `Fields` refuses them elsewhere
    except json.JSONDecodeError as error:
        raise lines.error(number, f"column {error.colno}: not JSON ({error.msg})") from error
    except ValueError as error:
        raise lines.error(number, f"not JSON that can be read ({error})") from error
    if not isinstance(found, dict):
        raise lines.error(number, f"holds {json_type(found)}; a line must hold an object, {{...}}")
    return found
