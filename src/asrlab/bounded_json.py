"""A JSON parser with limits, for files of strangers."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100
"""Maximum depth of nested arrays and objects."""

MAX_DIGITS = 100
"""Maximum digits of an integer."""

_MAY_BE_TOO_LARGE = re.compile(r"[0-9][eE]\+?[0-9]{3}|[0-9]{101}")


def parse_json(document: str | bytes, *, allow_nonfinite: bool = False) -> Any:
    """Parse a JSON document within limits.

    Python's own parser raises `RecursionError` for a deep document, and so does later code for one that is less deep.
    That parser also refuses integers of thousands of digits by a setting of the process, and reads ``1e400`` as
    infinity.

    Args:
        document: The text; bytes in UTF-8, UTF-16 or UTF-32.
        allow_nonfinite: Accept ``NaN``, ``Infinity`` and numbers too large for a float, as Python writes and reads
            them; for documents with values that are not used.

    Raises:
        ValueError: If the document is not JSON (a `json.JSONDecodeError` with line and column) or exceeds a limit:
            nested more than 100 deep, an integer of more than 100 digits, or a number that is not finite.
    """
    text = document if isinstance(document, str) else document.decode(json.detect_encoding(document), "surrogatepass")
    hooks: dict[str, Any] = {} if allow_nonfinite else {"parse_constant": _refuse_constant}
    if _MAY_BE_TOO_LARGE.search(text):
        hooks["parse_int"] = _bounded_int
        if not allow_nonfinite:
            hooks["parse_float"] = _finite_float
    try:
        value = json.loads(text, **hooks)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number; write null instead")


def _bounded_int(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits.lstrip('-'))} digits; the maximum is {MAX_DIGITS}")
    return int(digits)


def _finite_float(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"the number {written[:40]} is too large")
    return value


def _check_depth(document: Any) -> None:
    level = [document] if isinstance(document, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        values = (value for nested in level for value in (nested.values() if isinstance(nested, dict) else nested))
        level = [value for value in values if isinstance(value, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"arrays and objects are nested more than {MAX_DEPTH} deep")
