"""Check the layer counts and widths in a ``config.json`` of the hub's layout against the tensors beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from asrlab.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["check_hub_config"]

_COUNTS = re.compile(r"(num|n)_.*layers|(encoder|decoder|hidden)_layers|layers|codebooks")
_WIDTHS = re.compile(r"hidden_size|d_model|dim")
_MAX_LAYERS = 1024  # building a layer takes milliseconds, even without memory for its tensors
_MAX_NUMBER = 1 << 53


def check_hub_config(path: Path, config: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse a configuration that declares more layers or wider ones than there can be, or counts that are no integers.

    Args:
        path: The file, for messages.
        config: Its content.
        shapes: The shapes of the tensors beside it. Each layer has one at least, and each width is a dimension of one.

    Raises:
        WeightsError: Naming the setting and its value.
    """
    n_tensors = len(shapes)
    widest = max((size for shape in shapes for size in shape), default=0)
    for name, value in _settings(config):
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise _bad(path, f"its {name[:80]} is a number of {value.bit_length()} bits")
        if _WIDTHS.fullmatch(name.rpartition(".")[2]) and isinstance(value, int) and value > widest:
            raise _bad(path, f"its {name[:80]} is {value!r:.60}; the widest tensor beside it has {widest}")
        if not _COUNTS.fullmatch(name.rpartition(".")[2]) or value is None or isinstance(value, list):
            continue
        if type(value) is not int or not 0 <= value <= min(n_tensors, _MAX_LAYERS):
            raise _bad(path, f"its {name[:80]} is {value!r:.60}; the weights beside it hold {n_tensors} tensors")


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All settings of *config* and the sections below it, with the names of the sections before theirs."""
    pending: list[tuple[str, Mapping[str, Any]]] = [("", config)]
    while pending:
        prefix, section = pending.pop()
        for name, value in section.items():
            if isinstance(value, dict):
                pending.append((f"{prefix}{name}.", value))
            else:
                yield f"{prefix}{name}", value


def _bad(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} does not describe the weights beside it: {reason}; fetch them again, or give another folder",
        model=str(path),
    )
