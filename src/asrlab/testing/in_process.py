"""An executor in this very process: to look at an engine with a debugger, and for tests that need no other process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence

from asrlab.evaluation.runs.job import SpeechDetector, hello_of, load_job, transcribe_unit
from asrlab.evaluation.runs.messages import ItemsStarted, Job, Key, Message, Unit


class InProcessExecutor:
    """Loads the model here and runs one item after the other, without deadlines; what kills an engine kills the run.

    Attributes:
        keys: Of the items that it was given so far, in order.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def run(
        self, job: Job, units: Sequence[Unit], *, warmups: Sequence[Unit] = (), stop: Callable[[], bool] = bool
    ) -> Generator[Message]:
        """As ``asrlab.evaluation.runs.executor.Executor`` says, but for what would need another process."""
        ear = SpeechDetector()
        with load_job(job) as transcriber:
            yield hello_of(transcriber, job)
            for unit in warmups:
                deque(transcribe_unit(transcriber, unit, job, ear), maxlen=0)
            for unit in units:
                if stop():
                    return
                yield ItemsStarted(keys=tuple(item.key for item in unit.items))
                self.keys += (item.key for item in unit.items)
                for done in transcribe_unit(transcriber, unit, job, ear):
                    yield done
                    if stop():
                        return
