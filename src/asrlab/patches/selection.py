"""The user's selection of patches: ``auto``, ``off`` or names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Self

import attrs

from asrlab.errors import PatchError
from asrlab.patches.patch import Patch

VARIABLE = "ASRLAB_PATCHES"


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
        if names == {"auto"}:
            return cls(source=label)
        if names == {"off"}:
            return cls(names=frozenset(), source=label)
        _check_names(names, [patch.name for patch in known], source)
        return cls(names=names, source=label)

    def why_skipped(self, patch: Patch, *, direct: bool) -> str:
        """Return the reason to skip *patch*; empty if it may be applied.

        Args:
            patch: The patch.
            direct: True if the user's own code calls the package.
        """
        if self.names is not None:
            return "" if patch.name in self.names else f"not among {self.source}"
        if patch.direct_use and not direct:
            return "only for code that calls the package directly; asrlab's engine avoids the fault"
        return ""


def _check_names(names: frozenset[str], known: list[str], source: str) -> None:
    for name in sorted(names):
        if name in ("auto", "off"):
            raise PatchError(f"{source}: {name!r} cannot be combined with names; give {name!r} alone, or names only")
        if name not in known:
            near = get_close_matches(name, [*known, "auto", "off"], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)};"
            raise PatchError(
                f"{source}: there is no patch {name!r}; {hint} to list all, run: asrlab patches", patch=name
            )
