"""A plugin with an engine whose models fail in many ways; `run_matrix` installs it as a distribution."""
# The style of a plugin by others, so that the rules of this project do not apply.
# ruff: noqa

import os
import signal

import asrlab

asrlab_plugin_api = 2
MODELS = ("good", "fails", "aborts", "hangs", "exits", "misplaced", "disordered", "silent", "raises-on-load")


@asrlab.plugin.hookimpl
def asrlab_engines():
    models = tuple(asrlab.plugin.ModelSpec(name=name) for name in MODELS)
    spec = asrlab.plugin.EngineSpec(
        name="faulty",
        factory="faulty:load",
        devices="faulty:devices",
        models=models,
        default_model="good",
    )
    absent = asrlab.plugin.EngineSpec(
        name="absent",
        factory="faulty:load",
        devices="faulty:devices",
        models=models[:1],
        default_model="good",
        distribution="absent-package",
        import_name="absent_package",
        install="pip install absent-package",
    )
    return [spec, absent]


def devices():
    return asrlab.DeviceReport(available=("cpu",), missing=(("mps", "no such backend"), ("cuda", "no such backend")))


class Faulty(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        end = len(audio.read()) / 16000
        model = self.info.model.name.partition("/")[2]
        print("a line on standard output")
        if model == "fails":
            raise ValueError(f"no such kernel in {os.path.expanduser('~')}/kernels\nand a second line")
        if model == "aborts":
            os.write(2, b"fatal: out of kernels\n")
            os.abort()
        if model == "exits":
            os._exit(7)
        if model == "hangs":
            signal.pause()
        times = [(end / 2, end), (0.0, end / 2)] if model == "disordered" else [(0.0, end)]
        text = "" if model == "silent" else "heard"
        return asrlab.plugin.Recognition(
            segments=iter([asrlab.Segment(text=text, start=start, end=stop) for start, stop in times]), language="en"
        )

    def release(self):
        pass


def load(request):
    model = request.model.name.partition("/")[2]
    if model == "raises-on-load":
        raise ZeroDivisionError("no weights in the box")
    device = asrlab.Device(requested="cpu", resolved="mps") if model == "misplaced" else request.device
    info = asrlab.TranscriberInfo(
        model=request.model,
        device=device,
        compute_type="float32",
        capabilities=asrlab.Capabilities(),
    )
    return Faulty(info)
