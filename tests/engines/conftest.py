"""Fixtures for tests of real engines with real speech."""

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
    """Return the utterances of ``smoke`` by the last part of their ids."""
    return {utterance.id.rpartition("-")[2]: utterance for utterance in asrlab.evaluation.load_dataset("smoke")}


@pytest.fixture(scope="session")
def long_speech(speech: dict[str, asrlab.evaluation.Utterance]) -> np.ndarray:
    """Return 35 s of speech, two windows of Whisper: each clip and 2 s of silence; float32, shape (n,), at 16 kHz."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    gap = np.zeros(2 * 16_000, np.float32)
    return np.concatenate([part for clip in clips for part in (clip, gap)])


@pytest.fixture(scope="module")
def base_folder(use_weights: Path) -> Path:
    """Return the CTranslate2 folder of Whisper base."""
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
def assert_memory_released(use_weights: Path, speech: dict[str, asrlab.evaluation.Utterance]) -> Callable[..., None]:
    """Return a function that asserts that closing a model releases its memory.

    A separate process loads, uses and closes the model four times. Closing must release at least half of the 290 MB of
    base in float32, and loading again must not increase the memory of the process.
    """

    def assert_released(model: str, **choices: str) -> None:
        if resident_bytes() is None:
            pytest.skip("this system does not report resident memory")
        command = [sys.executable, "-c", MEASURE, model, str(speech["0930"].audio), json.dumps(choices)]
        sizes = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        # the first model may fit into memory that the import of the engine has released
        assert min(while_open - when_closed for while_open, when_closed in sizes[1:]) > 145e6, sizes
        assert sizes[-1][1] - sizes[1][1] < 100e6, sizes

    return assert_released
