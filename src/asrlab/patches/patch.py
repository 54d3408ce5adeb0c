"""The record of a patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import attrs
from attrs.validators import in_

type DeviceNow = Callable[[], str]
"""Gives the device of the newest application of a patch, such as ``mps``: two may hold for two devices at once.

Empty when none holds: somebody has kept the changed object.
"""

type Change = Callable[[Any, DeviceNow], Any]
"""Given what upstream has in a place, and the device, gives what is to be there instead."""


@attrs.frozen(kw_only=True)
class PatchDecision:
    """Whether a patch is needed, from a look at the live objects.

    Attributes:
        status: ``needed``; ``not-needed`` on this device or machine; ``retired`` where upstream has mended the fault.
        reason: What was seen.
    """

    status: Literal["needed", "not-needed", "retired"] = attrs.field(validator=in_(("needed", "not-needed", "retired")))
    reason: str


def _nothing_to_verify(_device: str) -> None:
    """The patch's own ``verify`` was left out."""


@attrs.frozen(kw_only=True)
class Patch:
    """A change to another package, why it exists and how it goes.

    Whoever defines one imports the package in its functions, never beside them: listing patches must import nothing.

    Attributes:
        name: Unique, such as ``liquid-audio-detokenizer-device``.
        distribution: The package it changes.
        versions: The versions of *distribution* it was tested with.
        devices: The device kinds that may need it: ``cpu``, ``cuda``, ``mps``.
        reason: What goes wrong without it.
        link: The upstream issue or pull request, or the place in upstream's code.
        retires: How it goes: what in upstream's code makes it unneeded.
        module: The top-level module of *distribution*; once it is imported, the patch can be applied.
        changes: For each place, as ``package.module:Class.attribute``, the function that gives its replacement. Places
            belong to *distribution*; torch itself is never one.
        needed: Given upstream's own objects in these places, in order, and the device, says whether the patch is
            needed. It looks at the objects, never at version numbers; one is None where upstream has nothing there.
        verify: Given the device, raises unless the change took effect.
        direct_use: Whether only code that calls the package directly needs it: asrlab's own engine calls it such that
            the fault does not show, and applies it only if it is named.
        import_context: The context in which the modules of *changes* are imported, where the fault lies in the import
            itself. Outside of it the package's import is as upstream's.
    """

    name: str
    distribution: str
    versions: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str
    link: str
    retires: str
    module: str
    changes: Mapping[str, Change] = attrs.field(repr=False)
    needed: Callable[[tuple[Any, ...], str], PatchDecision] = attrs.field(repr=False)
    verify: Callable[[str], None] = attrs.field(default=_nothing_to_verify, repr=False)
    direct_use: bool = False
    import_context: Callable[[], AbstractContextManager[object]] = attrs.field(default=nullcontext, repr=False)
