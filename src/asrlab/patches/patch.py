"""The record of a patch."""

from __future__ import annotations

import attrs

__all__ = ["Patch"]


@attrs.frozen(kw_only=True)
class Patch:
    """A change to another package, and why it exists.

    This version of asrlab lists the patches that plugins offer and applies none.

    Attributes:
        name: Unique, such as ``liquid-audio-detokenizer-device``.
        distribution: The package it changes.
        versions: The versions of *distribution* it was tested with.
        devices: The device kinds that need it: ``cpu``, ``cuda``, ``mps``.
        reason: What goes wrong without it.
        link: The upstream issue or pull request.
        retires: How it goes: what in upstream's code makes it unneeded.
    """

    name: str
    distribution: str
    versions: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str
    link: str
    retires: str
