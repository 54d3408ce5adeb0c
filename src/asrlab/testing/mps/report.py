"""What a program asked of the simulated device: each op, how often, and whether MPS has a kernel for it."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

import attrs


class Route(StrEnum):
    """How an op gets computed on MPS."""

    KERNEL = "kernel"
    COMPOSITE = "composite"
    FALLBACK = "fallback"
    MISSING = "missing"


@attrs.frozen(kw_only=True)
class OpUse:
    """One op that was called.

    Attributes:
        op: Its name with the overload, such as ``add.Tensor``.
        calls: How often.
        route: ``kernel``: MPS has a kernel of its own; ``composite``: PyTorch builds it of other ops, which are listed
            too, or of a view of the memory; ``fallback``: no kernel, it ran on the CPU with a warning; ``missing``: no
            kernel, it raised.
    """

    op: str
    calls: int
    route: Route


@attrs.frozen(kw_only=True)
class KernelReport:
    """The ops a program called on the simulated MPS device.

    Attributes:
        torch: Version of torch, whose table of kernels this is.
        uses: One entry an op and route; those without a kernel first, then the most called.
    """

    torch: str
    uses: tuple[OpUse, ...]

    @property
    def without_kernel(self) -> tuple[OpUse, ...]:
        """The ops that MPS has no kernel for."""
        return tuple(use for use in self.uses if use.route in {Route.FALLBACK, Route.MISSING})

    @property
    def composites(self) -> tuple[OpUse, ...]:
        """The ops that PyTorch builds of others."""
        return tuple(use for use in self.uses if use.route is Route.COMPOSITE)

    @property
    def title(self) -> str:
        """The report in one line."""
        lacking = len(self.without_kernel)
        return f"simulated MPS, torch {self.torch}: {len(self.uses)} ops seen, {lacking} without a kernel"

    def table(self) -> str:
        """The report for a terminal: the title, then a line an op."""
        width = max((len(use.op) for use in self.uses), default=0)
        lines = (f"  {use.op:<{width}}  {use.calls:>8}  {_WORDS[use.route]}".rstrip() for use in self.uses)
        return "\n".join([self.title, *lines])

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        uses = [{"op": use.op, "calls": use.calls, "route": use.route.value} for use in self.uses]
        return {"simulated": True, "device": "mps", "torch": self.torch, "ops": uses}


_WORDS = {
    Route.KERNEL: "",
    Route.COMPOSITE: "composite",
    Route.FALLBACK: "no kernel: ran on the CPU",
    Route.MISSING: "no kernel: raised",
}


@attrs.define
class OpCounter:
    """A count of the ops called so far."""

    _calls: Counter[tuple[str, Route]] = attrs.field(factory=Counter)

    def add(self, op: str, route: Route) -> None:
        """Count one call."""
        self._calls[op, route] += 1

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def report(self, *, torch: str) -> KernelReport:
        """The calls so far."""
        uses = [OpUse(op=op, calls=calls, route=route) for (op, route), calls in dict(self._calls).items()]
        return KernelReport(torch=torch, uses=tuple(sorted(uses, key=_rank)))


def _rank(use: OpUse) -> tuple[bool, int, str]:
    return use.route in {Route.KERNEL, Route.COMPOSITE}, -use.calls, use.op
