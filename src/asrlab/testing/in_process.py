"""An executor in this very process: to look at an engine with a debugger, and for tests that need no other process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import chain

from asrlab.loading import load
from asrlab.plugins.manager import PluginHost
from asrlab.runs.messages import Begun, Done, Hello, Item, Job, Key, Message, Unit
from asrlab.runs.records import Failure
from asrlab.transcriber import Transcriber

__all__ = ["InProcessExecutor"]


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
        """As ``asrlab.runs.executor.Executor`` says, but for what would need another process."""
        host = PluginHost(points=job.points, disabled=job.disabled)
        with load(
            job.model,
            device=job.device,
            compute_type=job.compute_type,
            threads=job.threads,
            patches=job.patches,
            offline=True,
            host=host,
        ) as transcriber:
            yield Hello(info=transcriber.info, load_time=transcriber.load_time, patches=transcriber.patch_report)
            for item in chain.from_iterable(unit.items for unit in warmups):
                _transcribe(transcriber, item, job)
            for item in chain.from_iterable(unit.items for unit in units):
                if stop():
                    return
                yield Begun(keys=(item.key,))
                self.keys.append(item.key)
                yield _transcribe(transcriber, item, job)


def _transcribe(transcriber: Transcriber, item: Item, job: Job) -> Done:
    outcome = next(transcriber.transcribe_many([item.audio], options=job.options))
    error = outcome.error
    if error is None:
        return Done(key=item.key, transcript=outcome.transcript)
    reason = getattr(error, "reason", "")
    return Done(key=item.key, failure=Failure(kind=type(error).__name__, message=str(error), reason=reason))
