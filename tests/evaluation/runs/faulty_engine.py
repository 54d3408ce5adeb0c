"""An engine that behaves as the names of its audio files say; tests install it and run it in child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import attrs

import asrlab

if TYPE_CHECKING:
    from asrlab.audio import AudioReader

asrlab_plugin_api = 2
FOLDER = Path(os.environ["FAULTY_ENGINE"])
MODELS = ("calm", "hangs", "raises", "aborts", "second-raises", "first-only")


@asrlab.plugin.hookimpl
def asrlab_engines() -> list[asrlab.plugin.EngineSpec]:
    """Return the engine with a model for each way to load, and the same engine with support for batches."""
    models = tuple(asrlab.plugin.ModelSpec(name=name) for name in MODELS)
    spec = asrlab.plugin.EngineSpec(
        name="faulty_engine",
        factory="faulty_engine:load",
        devices="faulty_engine:devices",
        default_model="calm",
        models=models,
    )
    return [spec, attrs.evolve(spec, name="herd", supports_batching=True)]


def devices() -> asrlab.DeviceReport:
    """Return the CPU."""
    return asrlab.DeviceReport(available=("cpu",))


def first_time(name: str) -> bool:
    """Return whether no process has called this before."""
    try:
        (FOLDER / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def hang() -> NoReturn:
    """Hang for a minute, which is enough for any test."""
    signal.alarm(60)
    (FOLDER / "hanging").touch()
    sys.stderr.write("hanging\n")
    sys.stderr.flush()
    while True:
        signal.pause()


def meet(mine: str, other: str) -> None:
    """Wait until another process has called this, too."""
    (FOLDER / mine).touch()
    for _ in range(2000):
        if (FOLDER / other).exists():
            return
        time.sleep(0.01)
    raise TimeoutError(other)


def act(fault: str) -> None:
    """Behave as the name says."""
    match fault:
        case "abort":
            os.abort()
        case "once" if first_time("once"):
            os.abort()
        case "exit":
            sys.exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "oomkill":
            (FOLDER / "vmstat").write_text("pgfault 7\noom_kill 4\n")
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            hang()
        case "eat":
            eaten = [b"x" * 400 * 2**20]
            hang()
            eaten.clear()
        case "memory":
            raise MemoryError("no room")
        case "value":
            raise ValueError("out of sorts")
        case "fork" if os.fork():
            os.abort()
        case "fork":
            hang()
        case "parent":
            with (FOLDER / "fifo").open("w") as fifo:
                subprocess.Popen(["/bin/sh", "-c", "echo ready; sleep 60"], stdout=fifo)
            hang()
        case "left":
            meet("left", "right")
        case "right":
            meet("right", "left")
        case "beside":
            meet("beside", "hanging")


class Tempers(asrlab.plugin.Recognizer):
    """A recognizer that returns the name of the file."""

    def recognize(self, audio: AudioReader, _options: asrlab.TranscribeOptions) -> asrlab.plugin.Recognition:
        """Record the process and the name, and behave as the name says."""
        audio.read()
        fault = Path(audio.name).stem
        with (FOLDER / "calls").open("a") as file:
            file.write(f"{os.getpid()} {fault}\n")
        act(fault)
        return asrlab.plugin.Recognition(segments=iter([asrlab.Segment(text=fault, start=0.0, end=0.1)]), language="en")

    def release(self) -> None:
        """Record the call."""
        (FOLDER / "released").touch()


def load(request: asrlab.plugin.LoadRequest) -> asrlab.plugin.Recognizer:
    """Load as the model's name says."""
    number = len(list(FOLDER.glob("load-*")))
    (FOLDER / f"load-{number}").touch()
    match request.model.name.partition("/")[2], number:
        case "hangs", _:
            hang()
        case "aborts", _:
            os.abort()
        case ("raises", _) | ("second-raises", 1):
            raise ZeroDivisionError("no weights in the box")
        case "first-only", later if later:
            raise ZeroDivisionError("no weights in the box")
    info = asrlab.TranscriberInfo(
        model=request.model, device=request.device, compute_type="float32", capabilities=asrlab.Capabilities()
    )
    return Tempers(info)
