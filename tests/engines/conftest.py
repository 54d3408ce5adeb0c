"""Real engines on real speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import asrlab
from asrlab.metrics import resident_bytes


@pytest.fixture(scope="session")
def speech() -> dict[str, asrlab.Utterance]:
    """The utterances of ``smoke`` by the last part of their ids."""
    return {utterance.id.rpartition("-")[2]: utterance for utterance in asrlab.load_dataset("smoke")}


@pytest.fixture(scope="session")
def long_speech(speech: dict[str, asrlab.Utterance]) -> np.ndarray:
    """The clips with 2 s of silence behind each, 35 s: two windows of Whisper. float32, shape (n,), at 16 kHz."""
    clips = [asrlab.load_audio(utterance.audio).samples for utterance in speech.values()]
    gap = np.zeros(2 * 16_000, np.float32)
    return np.concatenate([piece for clip in clips for piece in (clip, gap)])


@pytest.fixture(scope="module")
def base_folder(use_weights: Path) -> Path:
    """The CTranslate2 folder of Whisper base."""
    return asrlab.weights_path("faster-whisper/base", offline=True)


@pytest.fixture(scope="module")
def resident_after(use_weights: Path, speech: dict[str, asrlab.Utterance]) -> Callable[..., list[tuple[int, int]]]:
    """Loads, uses and closes a model several times; gives the resident bytes while open and when closed."""

    def measure(model: str, **choices: str) -> list[tuple[int, int]]:
        sizes = []
        for _ in range(3):
            with asrlab.load(model, device="cpu", **choices) as transcriber:
                transcriber.transcribe(speech["0930"].audio, language="en", beam_size=1)
                while_open = resident_bytes()
            when_closed = resident_bytes()
            if while_open is None or when_closed is None:
                pytest.skip("this system does not tell resident memory")
            sizes.append((while_open, when_closed))
        return sizes

    return measure
