"""An executor in the calling process, for a debugger and for fast tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence

from asrlab.evaluation.runs.executor import ItemKey, ItemsStarted, ModelJob, WorkerMessage, WorkUnit, never
from asrlab.evaluation.runs.worker import SpeechDetector, describe_model, load_job, transcribe_unit


class InProcessExecutor:
    """An executor that runs items one after another in this process, without timeouts; a crash ends the run.

    Attributes:
        keys: Keys of the items so far, in order.
    """

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        should_stop: Callable[[], bool] = never,
    ) -> Generator[WorkerMessage]:
        """Run the items as ``asrlab.evaluation.runs.executor.Executor`` describes, without its retries."""
        detector = SpeechDetector()
        with load_job(job) as transcriber:
            yield describe_model(transcriber, job)
            for unit in warmups:
                deque(transcribe_unit(transcriber, unit, job, detector), maxlen=0)
            for unit in units:
                if should_stop():
                    return
                yield ItemsStarted(keys=tuple(item.key for item in unit.items))
                self.keys += (item.key for item in unit.items)
                for done in transcribe_unit(transcriber, unit, job, detector):
                    yield done
                    if should_stop():
                        return
