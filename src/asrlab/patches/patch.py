"""The record of a patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import attrs
from attrs.validators import in_

type CurrentDevice = Callable[[], str]
"""Function that returns the device of a patch's newest application, such as ``mps``.

Two applications for two devices may be active at once. The result is empty if none is active, because other code has
kept the changed object.
"""

type Change = Callable[[Any, CurrentDevice], Any]
"""Function that returns the replacement for upstream's object."""


@attrs.frozen(kw_only=True)
class PatchDecision:
    """The decision whether a patch is needed, made from the live objects.

    Attributes:
        status: ``needed``; ``not-needed`` on this device or machine; ``retired`` if upstream has fixed the fault.
        reason: The observation that led to the decision.
    """

    status: Literal["needed", "not-needed", "retired"] = attrs.field(validator=in_(("needed", "not-needed", "retired")))
    reason: str


def _verify_nothing(_device: str) -> None:
    pass


@attrs.frozen(kw_only=True)
class Patch:
    """A change to another package, with its reason and the condition that makes it obsolete.

    A module that defines patches must import the package inside its functions, because listing patches imports nothing.

    Attributes:
        name: Unique name, such as ``liquid-audio-detokenizer-device``.
        distribution: The package that the patch changes.
        versions: Versions of *distribution* that the patch was tested with.
        devices: Device types that may need the patch: ``cpu``, ``cuda``, ``mps``.
        reason: The fault without the patch.
        issue_url: Address of the upstream issue, pull request, or source file.
        obsolete_when: The change in upstream's code that makes the patch unnecessary.
        module: The top-level module of *distribution*; the patch can be applied once this module is imported.
        changes: For each target, as ``package.module:Class.attribute``, the function that returns its replacement.
            Targets belong to *distribution*, never to torch.
        check: Function that decides whether the patch is needed, given upstream's objects at the targets, in order, and
            the device. It inspects the objects, never version numbers; an object is None if upstream has none there.
        verify: Function that raises unless the change took effect on the given device.
        direct_use: True if only code that calls the package directly needs the patch. asrlab's own engine avoids the
            fault, and applies the patch only if it is named.
        import_context: Context in which the modules of *changes* are imported, for a fault in the import itself.
            Outside of it the import is upstream's.
    """

    name: str
    distribution: str
    versions: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str
    issue_url: str
    obsolete_when: str
    module: str
    changes: Mapping[str, Change] = attrs.field(repr=False)
    check: Callable[[tuple[Any, ...], str], PatchDecision] = attrs.field(repr=False)
    verify: Callable[[str], None] = attrs.field(default=_verify_nothing, repr=False)
    direct_use: bool = False
    import_context: Callable[[], AbstractContextManager[object]] = attrs.field(default=nullcontext, repr=False)
