"""A plugin with an engine whose models fail in many ways, and a data set; see the fixture `third_party`."""
# The style of a plugin by others, so that the rules of this project do not apply.
# ruff: noqa

import os
import signal
import sys
import time

import asrlab

asrlab_plugin_api = 2
MODELS = (
    "calm",
    "abort",
    "exit",
    "raise",
    "print",
    "hang",
    "unsendable",
    "load-raises",
    "load-aborts",
    "load-hangs",
    "aborts-then-cannot-load",
    "info-unsendable",
)


@asrlab.plugin.hookimpl
def asrlab_engines():
    return [
        asrlab.plugin.EngineSpec(
            name="third",
            factory="third_party:load",
            devices="third_party:devices",
            default_model="calm",
            models=tuple(asrlab.plugin.ModelSpec(name=name) for name in MODELS),
            aliases=("drei",),
        )
    ]


@asrlab.plugin.hookimpl
def asrlab_datasets():
    return [asrlab.evaluation.DatasetSpec(name="third-set", description="two clips", factory="third_party:dataset")]


def dataset():
    folder = os.environ["THIRD_PARTY_CLIPS"]
    names = sorted(os.listdir(folder))
    return asrlab.evaluation.Dataset(
        name="third-set",
        source="a test",
        read=lambda: [asrlab.evaluation.Utterance(id=name, audio=f"{folder}/{name}", text="heard") for name in names],
    )


def devices():
    return asrlab.DeviceReport(available=("cpu",))


class Resumed(Exception):  # noqa: N818 - not an error
    """Raised by SIGUSR1."""


def resume(*_):
    raise Resumed


def hang():
    """Wait for SIGUSR1, at most a minute; SIGINT has its default effect."""
    signal.signal(signal.SIGUSR1, resume)
    signal.alarm(60)
    try:
        print("hanging", os.getpid(), file=sys.stderr, flush=True)
        while True:
            time.sleep(0.1)  # signal.pause would miss a signal that arrives just before it
    except Resumed:
        pass


class Unpicklable(Exception):
    """An error that cannot be pickled."""

    def __init__(self, *, why):
        super().__init__(f"the engine says {why}")
        self.hook = lambda: why


class ThirdParty(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        samples = audio.read()
        model = self.info.model.name.partition("/")[2]
        if "odd" in audio.name:
            self.fail(model)
        print("third party says hello on standard output")
        os.system("echo third party child says hello on standard output")
        text = "heard" if model != "unsendable" or "odd" not in audio.name else Text("heard")
        return asrlab.plugin.Recognition(
            segments=iter([asrlab.Segment(text=text, start=0.0, end=len(samples) / 16000)]), language="en"
        )

    def fail(self, model):
        if model in ("abort", "aborts-then-cannot-load"):
            os.abort()
        elif model == "exit":
            sys.exit(7)
        elif model == "raise":
            raise Unpicklable(why="no")
        elif model == "print":
            sys.stdin.read()
        elif model == "hang":
            hang()

    def release(self):
        pass


class Text(str):
    def __reduce__(self):
        raise ValueError("this text stays here")


def load(request):
    model = request.model.name.partition("/")[2]
    if model == "load-raises":
        raise ZeroDivisionError("no weights in the box")
    if model == "load-aborts":
        os.abort()
    if model == "load-hangs":
        hang()
    if model == "aborts-then-cannot-load":
        flag = os.environ["THIRD_PARTY_FLAG"]
        if os.path.exists(flag):
            raise RuntimeError("not a second time")
        open(flag, "w").close()
    info = asrlab.TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type="float32",
        threads=(lambda: 1) if model == "info-unsendable" else None,
        capabilities=asrlab.Capabilities(),
    )
    return ThirdParty(info)
