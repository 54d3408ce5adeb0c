"""Engines that end their process: a plugin in which single utterances abort, exit, hang or exhaust memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from .clips import write_clips

__all__ = ["CULPRITS", "Fault", "provoke", "write_plugin"]

CULPRITS = {"abort": "crashed", "exit": "crashed", "hang": "timeout", "eat": "oom"}
"""The failure of an utterance by the fault in its name."""

INNOCENTS = 9
_LIMIT_MIB = 400

_PLUGIN = """
import os, sys, time
import asrlab

asrlab_plugin_api = 2


@asrlab.plugin.hookimpl
def asrlab_engines():
    return [
        asrlab.plugin.EngineSpec(
            name="faults", factory="asrlab_faults:load", devices="asrlab_faults:devices", default_model="faults",
            models=(asrlab.plugin.ModelSpec(name="faults"),),
        )
    ]


def devices():
    return asrlab.DeviceReport(available=("cpu",))


def abort():
    os.abort()


def exit():
    os._exit(3)


def hang():
    time.sleep(3600)


def eat():
    blocks = []
    while len(blocks) < 128:  # 2 GiB, unless the process is killed
        blocks.append(b"1" * 2**24)
        time.sleep(0.02)
    hang()


class Faults(asrlab.plugin.Recognizer):
    def recognize(self, audio, options):
        audio.read()
        for fault in (abort, exit, hang, eat):
            if fault.__name__ in audio.name:
                fault()
        segment = asrlab.Segment(text="recognized", start=0.0, end=1.0)
        return asrlab.plugin.Recognition(segments=iter([segment]), language="en")

    def release(self):
        pass


def load(request):
    return Faults(
        asrlab.TranscriberInfo(
            model=request.model, device=request.device, compute_type="float32", threads=1,
            capabilities=asrlab.Capabilities(),
        )
    )
"""


@attrs.frozen(kw_only=True)
class Fault:
    """A run in which some utterances end the process.

    Attributes:
        culprits: Faulty utterances, by their fault.
        set_aside: Failure of each utterance without text, by id.
        attempts: Number of attempts of each of those utterances.
        innocents_lost: Other utterances without text, or with more than one attempt.
        seconds: Duration of the command.
        wrong: Faulty utterances with another failure, or another number of attempts than two.
        complaint: Output of the command, if it gave no result.
    """

    culprits: tuple[str, ...]
    set_aside: dict[str, str]
    attempts: dict[str, int]
    innocents_lost: int
    seconds: float
    wrong: int
    complaint: str = ""


def write_plugin(folder: Path) -> Path:
    """Write the plugin as an installed distribution into *folder*."""
    info = folder / "asrlab_faults-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "asrlab_faults.py").write_text(_PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asrlab-faults\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[asrlab]\nasrlab_faults = asrlab_faults\n", encoding="utf-8")
    return folder


def provoke(folder: Path, culprits: tuple[str, ...], *, timeout: float) -> Fault:
    """Run the command line over nine utterances and the faulty *culprits* among them."""
    dataset = write_clips(folder / "clips", INNOCENTS)
    for index, culprit in enumerate(culprits):
        clip = dataset / f"clip-{INNOCENTS * (index + 1) // (len(culprits) + 1):04}"
        for ending in (".wav", ".txt"):
            (dataset / f"{clip.name}-then-{culprit}{ending}").write_bytes(clip.with_suffix(ending).read_bytes())
    path = os.pathsep.join(filter(None, [str(write_plugin(folder / "plugin")), os.environ.get("PYTHONPATH")]))
    start = time.monotonic()
    done = subprocess.run(
        [
            sys.executable, "-m", "asrlab", "bench", str(dataset), "-m", "faults", "--run", str(folder / "run"),
            "--timeout", str(timeout), "--warmup", "1", "--memory-limit", str(_LIMIT_MIB), "--json",
        ],
        cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - start
    try:
        utterances = json.loads(done.stdout)["models"][0]["utterances"]
    except ValueError:
        utterances = []
    return _create_fault(culprits, utterances, seconds, output=done.stderr)


def _create_fault(culprits: tuple[str, ...], utterances: list[dict[str, Any]], seconds: float, *, output: str) -> Fault:
    faulty = {f: u for f in culprits for u in utterances if u["id"].endswith(f)}
    unaffected = [
        u for u in utterances if u["hypothesis"] == "recognized" and u["attempts"] == 1 and u not in faulty.values()
    ]
    set_aside = {u["id"]: u["failure"]["kind"] for u in utterances if u["failure"]}
    expected = [f for f, u in faulty.items() if set_aside.get(u["id"]) == CULPRITS[f] and u["attempts"] == 2]
    return Fault(
        culprits=culprits,
        set_aside=set_aside,
        attempts={u["id"]: u["attempts"] for u in utterances if u["failure"]},
        innocents_lost=INNOCENTS - len(unaffected),
        seconds=seconds,
        wrong=len(culprits) - len(expected),
        complaint="" if utterances else output[-2000:],
    )
