"""The drop-in replacement of openai-whisper over openai-whisper, compared with openai-whisper itself.

``python -m benchmarks.shims whisper`` runs upstream's README unchanged, and with the replaced import line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("whisper", reason="openai-whisper is not installed")

ROOT = Path(__file__).resolve().parents[2]
SEGMENT = ("id", "seek", "start", "end", "text", "tokens", "avg_logprob", "compression_ratio", "no_speech_prob")


@pytest.fixture(scope="module")
def fields(weights_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the compared fields."""
    record = tmp_path_factory.mktemp("shims") / "whisper.json"
    # one thread, so that sums are rounded in the same way both times
    environment = {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "benchmarks.shims", "whisper", "--quick", "--record", str(record)],
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        capture_output=True,
    )
    return list(json.loads(record.read_text(encoding="utf-8"))["fields"])


def assert_equal_fields(fields: list[dict[str, Any]], example: str) -> set[str]:
    """Assert that the fields of the examples that begin with *example* are equal, and return their names."""
    selected = [field for field in fields if field["example"].startswith(example)]
    different = [field for field in selected if not field["close"]]
    assert [(field["example"], field["name"], field["upstream"], field["shim"]) for field in different] == []
    return {field["name"] for field in selected}


def test_functions_give_upstreams_results(fields: list[dict[str, Any]]):
    """Functions for model names, samples, padding and spectrograms give upstream's results."""
    assert assert_equal_fields(fields, "functions") >= {
        "available_models",
        "load_audio",
        "pad_or_trim",
        "log_mel_spectrogram",
    }


def test_readme_transcription_is_upstreams(fields: list[dict[str, Any]]):
    """Texts, times, tokens, scores and output for 35 s, in two windows, are upstream's."""
    names = assert_equal_fields(fields, "README, Python 1")
    assert names >= {"result.text", "result.language", "printed", *(f"result.segments[].{key}" for key in SEGMENT)}
    texts = next(field for field in fields if field["name"] == "result.segments[].text")
    assert len(texts["upstream"]) > 4


def test_readme_low_level_example_is_upstreams(fields: list[dict[str, Any]]):
    """Language probabilities, encoder output, tokens and scores are upstream's."""
    names = assert_equal_fields(fields, "README, Python 2")
    assert names >= {"probs.probabilities", "result.audio_features", "result.tokens", "result.avg_logprob", "printed"}


def test_readme_commands_write_upstreams_files(fields: list[dict[str, Any]]):
    """The commands write upstream's bytes in five formats, and print its lines."""
    examples = {field["example"] for field in fields if field["example"].startswith("whisper ")}
    assert len(examples) == 3
    assert any("--task translate" in example for example in examples)
    names = assert_equal_fields(fields, "whisper ")
    assert names >= {f"files.audio.{kind}" for kind in ("txt", "srt", "vtt", "tsv", "json.numbers", "json.around")}


def test_every_option_does_what_upstreams_does(fields: list[dict[str, Any]]):
    """Each option has upstream's effect: decoding, fallback, prompts, words, clips, and skipped silence."""
    assert assert_equal_fields(fields, "short, ") >= {"text", *(f"segments[].{key}" for key in SEGMENT)}
    assert assert_equal_fields(fields, "gapped, ") >= {"segments[].words[].word", "segments[].words[].start"}
    from asrlab.compat.whisper.decoding import DEFAULTS

    given = " ".join({field["example"] for field in fields})
    missing = {name for name in DEFAULTS if not re.search(rf"\b{name}=", given)}
    assert missing == {"task", "prompt"}  # a command has task, and prompt is refused


def test_silence_and_noise_are_upstreams(fields: list[dict[str, Any]]):
    """Silence and noise, which raise the temperature and draw random numbers, give upstream's results."""
    assert "text" in assert_equal_fields(fields, "silence, ")
    assert "text" in assert_equal_fields(fields, "noise, ")
