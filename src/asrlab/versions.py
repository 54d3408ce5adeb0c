"""Which versions of other distributions are installed."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed_version"]


def installed_version(distribution: str) -> str | None:
    """The version of *distribution*; None if it is not installed. Imports nothing of it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
