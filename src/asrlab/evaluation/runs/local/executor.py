"""Runs units of work in processes on this machine, which it watches and replaces."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.runs.executor import ModelJob, WorkerMessage, WorkUnit
from asrlab.evaluation.runs.local.worker_pool import WorkerPool


@attrs.frozen(kw_only=True)
class LocalExecutor:
    """Worker processes on this machine, each with the model loaded and one unit at a time.

    Attributes:
        workers: How many at once; each holds the model. Units go to whichever is free, so answers come in any order
            where there are several.
        load_seconds: What loading the model may take before its worker counts as hanging.

    Raises:
        OptionError: Either is out of range.
    """

    workers: int = 1
    load_seconds: float = 1800.0

    def __attrs_post_init__(self) -> None:
        if self.workers < 1:
            raise OptionError(f"workers must be at least 1, not {self.workers}", option="workers")
        if not self.load_seconds > 0:
            raise OptionError(f"load_seconds must be above 0, not {self.load_seconds}", option="load_seconds")

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        stop: Callable[[], bool] = bool,
    ) -> Generator[WorkerMessage]:
        """See ``Executor.run``.

        What was lost is tried again after everything else: a culprit kills a second worker, and where that happens last
        no other has to be loaded in its place; by then, what was wrong with the machine may have passed, too. What was
        lost to a lack of memory is then tried with nothing else at work, which may have been what took the memory.
        """
        crew = WorkerPool(job, units, warmups=warmups, stop=stop, places=self.workers, load_seconds=self.load_seconds)
        gently = False
        try:
            yield from crew.work()
            gently = True
        finally:
            crew.end(gently=gently)
