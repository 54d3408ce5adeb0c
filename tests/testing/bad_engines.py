"""An engine whose models each do one thing wrong, written as the module of an installed plugin."""
# ruff: noqa: ANN001, ANN003, D103 - written as strangers write it

import logging
import os
import random
import signal
import tempfile
import threading
import warnings
from pathlib import Path

import attrs
import numpy as np

import asrlab

asrlab_plugin_api = 2
HELD = []
GOOD = asrlab.Capabilities(languages=("en",), word_timestamps=True)
MODELS = (
    *("good", "loads", "capabilities", "facts", "device", "parameters", "times-ms", "times-nan", "times-order"),
    *("words-unasked", "words-lacking", "silence", "empty", "short", "stereo", "low-rate", "refused-options"),
    *("honoured-options", "same-again", "stream", "many-order", "many-raises", "at-once", "closing"),
    *(f"leaves-{kind}" for kind in ("environment", "folder", "signals", "logging", "warnings", "random", "torch")),
    *(f"leaves-{kind}" for kind in ("patches", "threads", "files", "temporary")),
)


def spec(name="bad", **given):
    """An engine with the models above, all in order but for what is given."""
    choices = {
        "factory": "bad_engines:load",
        "devices": "bad_engines:devices",
        "models": tuple(asrlab.plugin.ModelSpec(name=model) for model in MODELS),
        "compute_types": ("float32",),
    }
    return asrlab.plugin.EngineSpec(name=name, **choices | given)


@asrlab.plugin.hookimpl
def asrlab_engines():
    """One engine with faulty models, and those whose spec is at fault."""
    good = (asrlab.plugin.ModelSpec(name="good"),)
    return [
        spec(),
        spec("lax", models=good, compute_types=None),
        spec("no-default", models=good, default_model="better"),
        spec("no-install", models=good, distribution="numpy", import_name="numpy", reported_distributions=("numpy",)),
        spec("no-tuple", models=(asrlab.plugin.ModelSpec(name="good", languages="en", wer_bound=10.0),)),
        spec("no-factory", models=good, factory="bad_engines:lode"),
    ]


def devices():
    """The CPU."""
    return asrlab.DeviceReport(available=("cpu",))


class Bad(asrlab.plugin.Recognizer):
    """Hears one word; wrong in the way of its model's name."""

    @property
    def fault(self):
        """The model's name."""
        return self.info.model.name.partition("/")[2]

    def recognize(self, audio, options):
        """One segment, with words if they are asked for."""
        samples = audio.read()
        self.refuse(samples, options)
        asked = options.word_timestamps and self.fault != "words-lacking"
        words = asked or self.fault == "words-unasked"
        return asrlab.plugin.Recognition(segments=iter(self.hear(len(samples) / 16000, words=words)), language="en")

    def refuse(self, samples, options):
        """Fail at what it cannot take."""
        if self.fault == "silence" and not samples.any():
            raise ZeroDivisionError("division by the loudest sample")
        if self.fault == "short" and len(samples) < 3200:
            raise IndexError("no frame")
        if self.fault == "honoured-options" and options.beam_size:
            raise TypeError("unexpected argument 'beam_size'")
        if self.fault == "at-once" and threading.current_thread() is not threading.main_thread():
            raise RuntimeError("made in another thread")

    def hear(self, duration, *, words):
        """Two segments, in some model's way."""
        self.count = getattr(self, "count", 0) + 1
        text = f"word {self.count}" if self.fault == "same-again" else "word"
        times = [(0.0, duration / 2), (duration / 2, duration)]
        if self.fault == "times-ms":
            times = [(start * 1000, end * 1000) for start, end in times]
        if self.fault == "times-nan":
            times[1] = (times[1][0], float("nan"))
        for start, end in times[::-1] if self.fault == "times-order" else times:
            timed = (asrlab.Word(text=text, start=start, end=end),) if words else None
            yield asrlab.Segment(text=text, start=start, end=end, words=timed)

    def release(self):
        """Nothing to give back."""


class BadTranscriber(asrlab.Transcriber):  # type: ignore[misc] # final, except for a test of what it must not do
    """asrlab's own transcriber; wrong in the way of its model's name."""

    @property
    def fault(self):
        """The model's name."""
        return self.info.model.name.partition("/")[2]

    def transcribe(self, audio, **given):
        """Do what asrlab must not do."""
        if self.fault == "refused-options":
            given.pop("hotwords", None)
        if isinstance(audio, bytes) and self.fault in ("stereo", "low-rate"):
            self.look(audio)
        try:
            made = super().transcribe(audio, **given)
        except asrlab.AudioError as error:
            if self.fault == "empty" and error.reason == "empty":
                raise ZeroDivisionError("division by the duration") from error
            raise
        if self.fault == "stream":
            return attrs.evolve(made, segments=(attrs.evolve(made.segments[0], text="other"), *made.segments[1:]))
        return made

    def look(self, audio):
        """Take one channel at 16 kHz only."""
        rate, channels = int.from_bytes(audio[24:28], "little"), int.from_bytes(audio[22:24], "little")
        if (self.fault == "stereo" and channels == 2) or (self.fault == "low-rate" and rate == 8000):
            raise ValueError("cannot take this")

    def transcribe_many(self, items, **given):
        """Do what asrlab must not do."""
        outcomes = super().transcribe_many(items, **given)
        if self.fault == "many-order":
            return iter([*outcomes][::-1])
        if self.fault == "many-raises":
            return (self.must(outcome) for outcome in outcomes)
        return outcomes

    def must(self, outcome):
        """Let one item's error end the rest."""
        if outcome.error:
            raise outcome.error
        return outcome

    def close(self):
        """Do what asrlab must not do."""
        if self.fault != "closing":
            super().close()


def load(request):
    """A model, and its fault at loading."""
    fault = request.model.name.partition("/")[2]
    if fault == "loads":
        raise RuntimeError("no weights in the box")
    if fault.startswith("leaves-"):
        globals()[f"leave_{fault.removeprefix('leaves-')}"]()
    made = Bad(info_of(request, fault))
    if fault == "parameters":
        import torch

        made.model = torch.nn.Linear(4, 4, device="meta")
    return made


def info_of(request, fault):
    """The facts of a model, some of them wrong."""
    capabilities = {
        "capabilities": attrs.evolve(GOOD, languages=["en"]),
        "honoured-options": attrs.evolve(GOOD, beam_size=True),
    }
    device = attrs.evolve(request.device, resolved="cuda:0") if fault == "device" else request.device
    return asrlab.TranscriberInfo(
        model=request.model,
        device=device,
        compute_type="auto" if fault == "facts" else "float32",
        capabilities=capabilities.get(fault, GOOD),
        packages=request.packages,
    )


def leave_environment():
    os.environ["BAD_ENGINE"] = "1"


def leave_folder():
    os.chdir("/")


def leave_signals():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def leave_logging():
    logging.getLogger("bad").addHandler(logging.NullHandler())


def leave_warnings():
    warnings.filterwarnings("ignore")


def leave_random():
    random.seed(0)


def leave_torch():
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)


def leave_patches():
    np.linalg.norm = sum


def leave_threads():
    threading.Thread(target=threading.Event().wait, name="bad-thread", daemon=True).start()


def leave_files():
    HELD.append(Path(__file__).open())  # noqa: SIM115 - left open on purpose


def leave_temporary():
    tempfile.mkdtemp(prefix="bad-")
