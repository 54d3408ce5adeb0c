"""Counts of the ops called on the simulated device, and whether MPS has a kernel for each."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

import attrs


class Route(StrEnum):
    """The way in which MPS computes an op."""

    KERNEL = "kernel"
    COMPOSITE = "composite"
    FALLBACK = "fallback"
    MISSING = "missing"


@attrs.frozen(kw_only=True)
class OpUse:
    """One op that was called.

    Attributes:
        op: Name with the overload, such as ``add.Tensor``.
        calls: Number of calls.
        route: ``kernel``: MPS has a kernel; ``composite``: PyTorch composes the op of other ops, which are listed too,
            or of a view of the memory; ``fallback``: no kernel, the op ran on the CPU with a warning; ``missing``: no
            kernel, the op raised.
    """

    op: str
    calls: int
    route: Route


@attrs.frozen(kw_only=True)
class KernelReport:
    """The ops that a program called on the simulated MPS device.

    Attributes:
        torch: Version of torch, which decides which ops have a kernel.
        uses: One entry for each op and route: ops without a kernel first, then the most called.
    """

    torch: str
    uses: tuple[OpUse, ...]

    @property
    def without_kernel(self) -> tuple[OpUse, ...]:
        """The ops without a kernel for MPS."""
        return tuple(use for use in self.uses if use.route in {Route.FALLBACK, Route.MISSING})

    @property
    def composites(self) -> tuple[OpUse, ...]:
        """The ops that PyTorch composes of others."""
        return tuple(use for use in self.uses if use.route is Route.COMPOSITE)

    @property
    def title(self) -> str:
        """The report in one line."""
        missing = len(self.without_kernel)
        return f"simulated MPS, torch {self.torch}: {len(self.uses)} ops seen, {missing} without a kernel"

    def table(self) -> str:
        """Format the report for a terminal: the title, then one line for each op."""
        width = max((len(use.op) for use in self.uses), default=0)
        lines = (f"  {use.op:<{width}}  {use.calls:>8}  {_ROUTE_LABELS[use.route]}".rstrip() for use in self.uses)
        return "\n".join([self.title, *lines])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        uses = [{"op": use.op, "calls": use.calls, "route": use.route.value} for use in self.uses]
        return {"simulated": True, "device": "mps", "torch": self.torch, "ops": uses}


_ROUTE_LABELS = {
    Route.KERNEL: "",
    Route.COMPOSITE: "composite",
    Route.FALLBACK: "no kernel: ran on the CPU",
    Route.MISSING: "no kernel: raised",
}


@attrs.define
class OpCounter:
    """The number of calls of each op."""

    _calls: Counter[tuple[str, Route]] = attrs.field(factory=Counter)

    def add(self, op: str, route: Route) -> None:
        """Count one call."""
        self._calls[op, route] += 1

    def clear(self) -> None:
        """Reset the counts."""
        self._calls.clear()

    def report(self, *, torch: str) -> KernelReport:
        """Return the calls so far."""
        uses = [OpUse(op=op, calls=calls, route=route) for (op, route), calls in dict(self._calls).items()]
        return KernelReport(torch=torch, uses=tuple(sorted(uses, key=_sort_key)))


def _sort_key(use: OpUse) -> tuple[bool, int, str]:
    return use.route in {Route.KERNEL, Route.COMPOSITE}, -use.calls, use.op
