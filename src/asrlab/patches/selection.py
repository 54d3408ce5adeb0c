"""Which patches a user wants: ``auto``, ``off`` or names."""

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
    """Which patches may be applied.

    Attributes:
        names: Those named; None for all that are needed. Empty for none.
        source: Where the choice comes from, for messages.
    """

    names: frozenset[str] | None = None
    source: str = "patches='auto'"

    @classmethod
    def of(cls, given: str | Iterable[str] | None, known: Iterable[Patch]) -> Self:
        """The choice that *given* states.

        Args:
            given: ``auto``, ``off``, a name, names with commas between, or an iterable of names; None reads
                ``ASRLAB_PATCHES``, and is ``auto`` where that is not set.
            known: The patches there are.

        Raises:
            PatchError: There is no patch of a name given.
        """
        source = "patches" if given is not None else VARIABLE
        value = os.environ.get(VARIABLE) or "auto" if given is None else given
        words = value.split(",") if isinstance(value, str) else list(value)
        names = frozenset(word.strip() for word in words if word.strip())
        told = f"{source}={','.join(sorted(names))!r}"
        if names == {"auto"}:
            return cls(source=told)
        if names == {"off"}:
            return cls(names=frozenset(), source=told)
        _check(names, [patch.name for patch in known], source)
        return cls(names=names, source=told)

    def forbids(self, patch: Patch, *, direct: bool) -> str:
        """Why *patch* is not to be applied; empty if it may be.

        Args:
            patch: The patch in question.
            direct: Whether the user's own code calls the package.
        """
        if self.names is not None:
            return "" if patch.name in self.names else f"not among {self.source}"
        if patch.direct_use and not direct:
            return "only for code that calls the package directly; asrlab's engine avoids what it mends"
        return ""


def _check(names: frozenset[str], known: list[str], source: str) -> None:
    for name in sorted(names):
        if name in ("auto", "off"):
            raise PatchError(f"{source}: {name!r} cannot stand beside other names; give it alone, or names only")
        if name not in known:
            near = get_close_matches(name, [*known, "auto", "off"], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)};"
            raise PatchError(f"{source}: there is no patch {name!r}; {hint} to see all: asrlab patches", patch=name)
