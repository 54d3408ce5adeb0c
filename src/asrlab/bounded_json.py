"""JSON from somebody's file, read within limits."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100
"""How many arrays and objects may be within each other."""

MAX_DIGITS = 100
"""How many digits a whole number may have."""

_MAY_BE_TOO_LARGE = re.compile(r"[0-9][eE]\+?[0-9]{3}|[0-9]{101}")


def parse_json(document: str | bytes, *, allow_nonfinite: bool = False) -> Any:
    """Return what a JSON document holds.

    Python's own reader ends with `RecursionError` where a document is deep, and later steps do where it is less deep;
    it refuses numbers of thousands of digits by a setting of the process, and takes ``1e400`` for infinity.

    Args:
        document: The text; bytes in UTF-8, UTF-16 or UTF-32.
        allow_nonfinite: Accept ``NaN``, ``Infinity`` and numbers too large for a float, as Python writes and reads
            them; for documents with values that nobody looks at.

    Raises:
        ValueError: It is not JSON (then a `json.JSONDecodeError`, with line and column), or beyond a limit: it nests
            more than 100 deep, has a whole number of more than 100 digits, or a number that is not finite.
    """
    text = document if isinstance(document, str) else document.decode(json.detect_encoding(document), "surrogatepass")
    hooks: dict[str, Any] = {} if allow_nonfinite else {"parse_constant": _refused_constant}
    if _MAY_BE_TOO_LARGE.search(text):
        hooks["parse_int"] = _bounded_int
        if not allow_nonfinite:
            hooks["parse_float"] = _finite_float
    try:
        found = json.loads(text, **hooks)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(found)
    return found


def _refused_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON; write null where there is none")


def _bounded_int(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits.lstrip('-'))} digits; it may have {MAX_DIGITS}")
    return int(digits)


def _finite_float(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"the number {written[:40]} is too large")
    return value


def _check_depth(found: Any) -> None:
    level = [found] if isinstance(found, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        values = (value for each in level for value in (each.values() if isinstance(each, dict) else each))
        level = [value for value in values if isinstance(value, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"it nests more than {MAX_DEPTH} arrays and objects within each other")
