"""What runs units of work: an interface, so that one over a cluster can take the place of local processes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from asrlab.evaluation.runs.messages import Job, Message, Unit


class Executor(Protocol):
    """Runs units through one model, wherever."""

    def run(
        self, job: Job, units: Sequence[Unit], *, warmups: Sequence[Unit] = (), stop: Callable[[], bool] = bool
    ) -> Generator[Message]:
        """Load the model of *job* and run *units*.

        A unit whose worker hangs, dies or runs out of memory is a `Lost`; those of its items that have no answer are
        tried again, each by itself, and one that fails so a second time is answered with a `Done` whose failure is
        ``timeout``, ``crashed`` or ``oom``. Nothing else is lost.

        Args:
            job: Which model, and how.
            units: In the order in which they are to be begun.
            warmups: For each worker that has loaded the model, before its first unit; their outcomes are thrown away.
            stop: Asked before each unit and several times a second; once it returns True nothing new is begun. A single
                utterance in flight is waited for. A unit of several gets a few seconds; its items that have no outcome
                then are not answered, and not counted as lost.

        Yields:
            `Hello` whenever a worker has loaded the model, `Begun` before a unit is handed over, `Done` for each item,
            `Lost` as above; or a `Failure` if the model does not load: alone where none has loaded before, else after a
            `Done` with this failure for every item that is left. An iterator that is closed ends its workers at once.
        """
        ...
