"""What is left of a job, with what was lost and is to be tried again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from asrlab.evaluation.runs.messages import OOM, TRIES, Item, Unit

__all__ = ["Backlog"]


class Backlog:
    """Units in order, and after them what was lost, an item at a time; last of all, what was lost to lack of memory."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = deque(units)
        self._lonely: deque[Unit] = deque()
        self._losses = Counter({item.key: item.lost_before for unit in units for item in unit.items})

    def __len__(self) -> int:
        return len(self._units) + len(self._lonely)

    def take(self, *, at_work: bool) -> Unit | None:
        """The next unit; None if there is none that may run while others are *at_work*.

        What was lost to lack of memory runs with nothing else at work, which may have been what took the memory.
        """
        if self._units:
            return self._units.popleft()
        return None if at_work or not self._lonely else self._lonely.popleft()

    def put_back(self, item: Item, *, kind: str, single: bool) -> bool:
        """Take in an item that was lost.

        Args:
            item: It.
            kind: Of the failure.
            single: Whether the item was at work by itself; else it is never the last time.

        Returns:
            Whether it is to be tried again; False after the last time.
        """
        self._losses[item.key] += 1
        if single and self._losses[item.key] >= TRIES:
            return False
        (self._lonely if kind == OOM else self._units).append(Unit(items=(item,)))
        return True

    def clear(self) -> list[Item]:
        """Empty it; what was in it."""
        units = [*self._units, *self._lonely]
        self._units.clear()
        self._lonely.clear()
        return [item for unit in units for item in unit.items]
