"""``asrlab.tune``: load a model, find its fastest batching settings on this machine, and store them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from asrlab.engine.spec import EngineSpec
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import usable_cores
from asrlab.errors import OptionError
from asrlab.loading import load_with
from asrlab.options import LoadOptions
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.tuning.calibration import Calibration, CalibrationKey, CalibrationStore
from asrlab.tuning.search import Search, SearchSpace, TrialRunner, TuningProgress

DEFAULT_SECONDS = 90.0
"""Default time limit of tuning."""


def tune(
    model: str,
    *,
    device: str = "auto",
    compute_type: str = "auto",
    threads: int | None = None,
    seconds: float = DEFAULT_SECONDS,
    offline: bool = False,
    patches: str | Iterable[str] | None = None,
    progress: TuningProgress | None = None,
    host: PluginHost | None = None,
) -> Calibration:
    """Find the fastest batching settings of *model* on this machine, and store them for ``load``.

    The embedded speech is transcribed repeatedly: with more and fewer workers, larger and smaller batches, with and
    without batches in the encoder, and with the short and the full window. Only time decides. A window shorter than the
    engine's own is never tried, because it would be faster but lose words. The result holds for this machine, device,
    compute type, number of threads, and these weights and versions; ``load`` ignores it for any other.

    Args:
        model: As for ``load``.
        device: As for ``load``.
        compute_type: As for ``load``.
        threads: CPU threads that all workers may use together; ``load`` finds the result only with the same value.
            None for all cores.
        seconds: Time limit in seconds, without loading; the best settings found until then are used.
        offline: As for ``load``.
        patches: As for ``load``.
        progress: Called before each pass with the dimension, the candidate, and the seconds used up.
        host: The plugins to use; None loads those of this environment.

    Raises:
        OptionError: If the engine has no batches, or *seconds* is not a positive number.
        AsrlabError: As ``load`` does; also if the engine fails with its defaults, or the result cannot be stored.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise OptionError(f"seconds must be a positive number, not {seconds!r}", option="seconds")
    store = CalibrationStore()
    store.check_writable()
    host = host or PluginHost()
    engine = Registry(host).resolve(model).engine
    options = LoadOptions(device=device, compute_type=compute_type, threads=threads, offline=offline, patches=patches)
    with load_with(model, options, host=host) as transcriber:
        runner = TrialRunner(transcriber, seconds=seconds)
        calibration = calibrate(transcriber, engine, runner, threads=threads, progress=progress)
    store.put(calibration)
    return calibration


def calibrate(
    transcriber: Transcriber,
    engine: EngineSpec,
    runner: TrialRunner,
    *,
    threads: int | None = None,
    progress: TuningProgress | None = None,
) -> Calibration:
    """Measure the calibration of a loaded model; do not store it, nor set it for *transcriber*.

    An earlier calibration is removed from *transcriber*. The other arguments are those of `tune`.

    Raises:
        OptionError: If the engine has no batches.
        AsrlabError: If the engine fails with its defaults.
    """
    transcriber.calibration = None
    default = transcriber.batching()
    if default is None:
        raise OptionError(
            f"{transcriber.info.model.name} takes recordings one by one, so there is nothing to tune; choose a model "
            "whose engine supports batches, such as faster-whisper/base",
            option="model",
        )
    is_cpu = transcriber.info.device.resolved == "cpu"
    space = SearchSpace(default=default, cores=threads or usable_cores(), is_cpu=is_cpu)
    search = Search(transcriber, space, runner, progress)
    search.run()
    return Calibration(
        key=CalibrationKey.from_info(transcriber.info, engine, threads=threads),
        batching=search.incumbent,
        trials=tuple(search.trials),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(runner.used_seconds, 3),
        complete=search.complete,
    )
