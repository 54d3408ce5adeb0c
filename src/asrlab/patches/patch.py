"""The record of a patch, and the user's selection of patches: ``auto``, ``off`` or names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from typing import Any, Literal, Self

import attrs
from attrs.validators import in_

from asrlab.errors import PatchError

VARIABLE = "ASRLAB_PATCHES"

type CurrentDevice = Callable[[], str]
"""Function that returns the device of a patch's newest application, such as ``mps``.

Two applications for two devices may be active at once. The result is empty if none is active, because other code has
kept the changed object.
"""

type Change = Callable[[Any, CurrentDevice], Any]
"""Function that returns the replacement for upstream's object."""


@attrs.frozen
class PatchDecision:
    """The decision whether a patch is needed, made from the live objects.

    Attributes:
        status: ``needed``; ``not-needed`` on this device or machine; ``retired`` if upstream has fixed the fault.
        reason: The observation that led to the decision.
    """

    status: Literal["needed", "not-needed", "retired"] = attrs.field(validator=in_(("needed", "not-needed", "retired")))
    reason: str


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
    verify: Callable[[str], None] = attrs.field(default=lambda _device: None, repr=False)
    direct_use: bool = False
    import_context: Callable[[], AbstractContextManager[object]] = attrs.field(default=nullcontext, repr=False)


@attrs.frozen(kw_only=True)
class PatchSelection:
    """The patches that may be applied.

    Attributes:
        names: Names of the selected patches; None for all that are needed, empty for none.
        source: Origin of the selection, for messages.
    """

    names: frozenset[str] | None = None
    source: str = "patches='auto'"

    @classmethod
    def parse(cls, given: str | Iterable[str] | None, known: Iterable[Patch]) -> Self:
        """Parse a selection.

        Args:
            given: ``auto``, ``off``, a name, names separated by commas, or an iterable of names; None reads
                ``ASRLAB_PATCHES``, and is ``auto`` if the variable is not set.
            known: All known patches.

        Raises:
            PatchError: If there is no patch of a given name.
        """
        source = "patches" if given is not None else VARIABLE
        value = os.environ.get(VARIABLE) or "auto" if given is None else given
        words = value.split(",") if isinstance(value, str) else list(value)
        names = frozenset(word.strip() for word in words if word.strip())
        label = f"{source}={','.join(sorted(names))!r}"
        if names in ({"auto"}, {"off"}):
            return cls(names=None if "auto" in names else frozenset(), source=label)
        known_names = [patch.name for patch in known]
        for name in sorted(names - set(known_names)):
            if name in ("auto", "off"):
                raise PatchError(
                    f"{source}: {name!r} cannot be combined with names; give {name!r} alone, or names only"
                )
            near = get_close_matches(name, [*known_names, "auto", "off"], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known_names)};"
            raise PatchError(
                f"{source}: there is no patch {name!r}; {hint} to list all, run: asrlab patches", patch=name
            )
        return cls(names=names, source=label)

    def why_skipped(self, patch: Patch, *, direct: bool) -> str:
        """Return the reason to skip *patch*; empty if it may be applied, with *direct* by the user's own code."""
        if self.names is not None:
            return "" if patch.name in self.names else f"not among {self.source}"
        if patch.direct_use and not direct:
            return "only for code that calls the package directly; asrlab's engine avoids the fault"
        return ""
