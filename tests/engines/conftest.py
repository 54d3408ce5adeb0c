"""Real engines on real speech."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import asrlab
from asrlab.evaluation.metrics import resident_bytes


@pytest.fixture(scope="session")
def speech() -> dict[str, asrlab.evaluation.Utterance]:
    """The utterances of ``smoke`` by the last part of their ids."""
    return {utterance.id.rpartition("-")[2]: utterance for utterance in asrlab.evaluation.load_dataset("smoke")}


@pytest.fixture(scope="session")
def long_speech(speech: dict[str, asrlab.evaluation.Utterance]) -> np.ndarray:
    """The clips with 2 s of silence behind each, 35 s: two windows of Whisper. float32, shape (n,), at 16 kHz."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    gap = np.zeros(2 * 16_000, np.float32)
    return np.concatenate([piece for clip in clips for piece in (clip, gap)])


@pytest.fixture(scope="module")
def base_folder(use_weights: Path) -> Path:
    """The CTranslate2 folder of Whisper base."""
    return asrlab.weights_path("faster-whisper/base", offline=True)


MEASURE = """
import json, sys, asrlab
from asrlab.evaluation.metrics import resident_bytes
model, clip, choices = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sizes = []
for _ in range(4):
    with asrlab.load(model, device="cpu", **choices) as transcriber:
        transcriber.transcribe(clip, language="en", beam_size=1)
        while_open = resident_bytes()
    sizes.append((while_open, resident_bytes()))
print(json.dumps(sizes))
"""


@pytest.fixture(scope="module")
def memory_of(use_weights: Path, speech: dict[str, asrlab.evaluation.Utterance]) -> Callable[..., None]:
    """Checks what closing gives back, in a process that does nothing else.

    It loads, uses and closes a model four times. Closing must give back at least half of the 290 MB that base takes in
    float32, and loading again must not grow the process.
    """

    def check(model: str, **choices: str) -> None:
        if resident_bytes() is None:
            pytest.skip("this system does not tell resident memory")
        command = [sys.executable, "-c", MEASURE, model, str(speech["0930"].audio), json.dumps(choices)]
        sizes = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        # the first model may fit into what importing the engine left behind
        assert min(while_open - when_closed for while_open, when_closed in sizes[1:]) > 145e6, sizes
        assert sizes[-1][1] - sizes[1][1] < 100e6, sizes

    return check
