"""``asrlab.tune``: load a model, find how recordings best go together through it here, and keep that."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from asrlab.engine.spec import EngineSpec
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import usable_cores
from asrlab.errors import OptionError
from asrlab.loading import load
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.tuning.calibration import Calibration, CalibrationKey, CalibrationStore
from asrlab.tuning.search import Search, TuningProgress
from asrlab.tuning.search_space import SearchSpace
from asrlab.tuning.trial_runner import TimeBudget

SECONDS = 90.0
"""How long a calibration takes at most, unless the caller says."""


def tune(
    model: str,
    *,
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    seconds: float = SECONDS,
    offline: bool = False,
    patches: str | Iterable[str] | None = None,
    progress: TuningProgress | None = None,
    host: PluginHost | None = None,
) -> Calibration:
    """Find how recordings best go together through *model* on this machine, and keep it for every ``load`` to come.

    The embedded speech is transcribed again and again: with more and fewer workers, larger and smaller batches, the
    encoder one by one and together, the short and the full window. Only time decides, so a window shorter than the
    engine's own is never tried: it would be faster, and lose words. What was chosen holds for this machine, device,
    compute type, number of threads, and these weights and versions; with any other, it is as if nothing were stored.

    Args:
        model: As for ``load``.
        device: As for ``load``.
        compute_type: As for ``load``.
        threads: CPU threads that all workers may use together, and with which ``load`` must be asked to find this; None
            for all cores.
        seconds: When to stop trying, loading apart; the best so far is then the choice.
        offline: As for ``load``.
        patches: As for ``load``.
        progress: Told before each pass: the step, what is tried, and the seconds used up.
        host: The plugins to ask; None loads those of this environment.

    Raises:
        OptionError: The engine takes recordings one by one, or *seconds* is not a positive number.
        AsrlabError: As ``load`` does; or the engine fails with its own defaults, or the choice cannot be kept.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise OptionError(f"seconds must be a positive number, not {seconds!r}", option="seconds")
    store = CalibrationStore()
    store.check()
    host = host or PluginHost()
    engine = Registry(host).resolve(model).engine
    with load(
        model,
        device=device,
        compute_type=compute_type,
        threads=threads,
        offline=offline,
        patches=patches,
        host=host,
    ) as loaded:
        made = calibrate(loaded, engine, threads=threads, seconds=seconds, progress=progress)
    store.put(made)
    return made


def calibrate(
    transcriber: Transcriber,
    engine: EngineSpec,
    *,
    threads: int | None = None,
    seconds: float = SECONDS,
    progress: TuningProgress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Calibration:
    """The calibration of a loaded model; it is not stored, and *transcriber* does not use it.

    Args:
        transcriber: The model. What it was tuned to is forgotten.
        engine: Its engine.
        threads: As for `tune`.
        seconds: As for `tune`.
        progress: As for `tune`.
        clock: What gives seconds.

    Raises:
        OptionError: The engine takes recordings one by one.
        AsrlabError: The engine fails with its own defaults.
    """
    transcriber.calibration = None
    default = transcriber.batching()
    if default is None:
        raise OptionError(
            f"{transcriber.info.model.name} takes recordings one by one, so there is nothing to tune; of an engine "
            "that can take several together, asrlab tune finds how many",
            option="model",
        )
    room = SearchSpace(default=default, cores=threads or usable_cores(), cpu=transcriber.info.device.resolved == "cpu")
    stopwatch = TimeBudget(transcriber, seconds=seconds, clock=clock)
    search = Search(transcriber, room, stopwatch, progress=progress)
    search.run()
    return Calibration(
        circumstances=CalibrationKey.of(transcriber.info, engine, threads=threads),
        chosen=search.chosen,
        trials=tuple(search.trials),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(stopwatch.used, 3),
        complete=search.complete,
    )
