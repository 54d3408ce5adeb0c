"""Which pieces are decoded together: a matter of their order and lengths alone, so that a run again gives the same."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from asrlab.batching.recording import Recording, Task

BLOCK_BATCHES = 6
"""Batches' worth of recordings to choose those of like length from."""
_LONG = 3
"""A piece of a long recording counts for so many: its like need not be looked for, and it takes more memory."""


class LengthBucketer:
    """Collects pieces in blocks, in the order in which they come, and cuts each block into batches of like length.

    The first piece of a long recording whose language is to be detected is a batch of its own, and the block that the
    others are in waits for it.

    Args:
        size: The most pieces in a batch.
        workers: How many batches are under way at once.
        detects: Whether languages are to be detected.
    """

    def __init__(self, *, size: int, workers: int, detects: bool) -> None:
        self._size, self._workers, self._detects = size, workers, detects
        self._filling: list[Task] = []
        self._weight = 0
        self._blocks: deque[list[Task]] = deque()
        self._groups: deque[list[Task]] = deque()

    @property
    def block(self) -> int:
        """How many recordings, or how many times their weight, are a block."""
        return self._size * BLOCK_BATCHES

    @property
    def waiting(self) -> int:
        """The weight of what has been added and is in no batch that was taken."""
        tasks = [task for block in (*self._blocks, *self._groups) for task in block]
        return self._weight + sum(map(weight_of, tasks))

    def add(self, task: Task) -> None:
        """*task* has been read."""
        if self._detects and not task.clip.whole and task is task.recording.tasks[0]:
            self._groups.append([task])
            return
        self._filling.append(task)
        self._weight += weight_of(task)
        if self._weight >= self.block:
            self.close()

    def close(self) -> None:
        """Nothing more comes that could be of like length."""
        if self._filling:
            self._blocks.append(self._filling)
            self._filling, self._weight = [], 0

    def drop(self, recording: Recording) -> None:
        """Forget what is left of *recording*."""
        self._filling = [task for task in self._filling if task.recording is not recording]
        self._weight = sum(map(weight_of, self._filling))
        for blocks in (self._blocks, self._groups):
            left = [[task for task in block if task.recording is not recording] for block in blocks]
            blocks.clear()
            blocks.extend(block for block in left if block)

    def next_group(self) -> list[Task] | None:
        """The next batch; None if there is none, or it waits for a language."""
        if not self._groups and self._blocks and all(map(self._is_ready, self._blocks[0])):
            block = self._blocks.popleft()
            durations = [task.clip.piece.duration for task in block]
            for group in bucket_by_length(durations, size=self._size, workers=self._workers):
                self._groups.append([block[place] for place in group])
        return self._groups.popleft() if self._groups else None

    def _is_ready(self, task: Task) -> bool:
        return not self._detects or task.clip.whole or task.recording.language is not None


def weight_of(task: Task) -> int:
    """What *task* counts for in a block."""
    return 1 if task.clip.whole else _LONG


def bucket_by_length(durations: Sequence[float], *, size: int, workers: int) -> list[list[int]]:
    """The places in *durations* in groups of like length and like size, the longest first.

    There are so many groups that all workers end at about the same time.

    Args:
        durations: In seconds.
        size: The most in a group.
        workers: How many groups are under way at once.
    """
    count = len(durations)
    rounds = math.ceil(count / (size * workers))
    groups = min(count, rounds * workers)
    order = sorted(range(count), key=lambda place: -durations[place])
    edges = [round(number * count / groups) for number in range(groups + 1)] if groups else []
    return [order[start:end] for start, end in pairwise(edges)]
