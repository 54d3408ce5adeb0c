"""The look-alike of openai-whisper over openai-whisper, against openai-whisper itself.

``python -m benchmarks.shims whisper`` does the work: upstream's README as it is, and once with its import line changed.
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
    """Every field that was compared."""
    record = tmp_path_factory.mktemp("shims") / "whisper.json"
    # one thread, so that sums are rounded the same way twice
    environment = {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "benchmarks.shims", "whisper", "--quick", "--record", str(record)],
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        capture_output=True,
    )
    return list(json.loads(record.read_text(encoding="utf-8"))["fields"])


def names(fields: list[dict[str, Any]], example: str) -> set[str]:
    """The fields of the examples that begin so; all of them are the same."""
    found = [field for field in fields if field["example"].startswith(example)]
    different = [(field["example"], field["name"], field["upstream"], field["shim"]) for field in found]
    assert [told for told, field in zip(different, found, strict=True) if not field["close"]] == []
    return {field["name"] for field in found}


def test_the_functions_give_what_upstreams_give(fields: list[dict[str, Any]]):
    """Names of models, samples, padding, the spectrogram."""
    assert names(fields, "functions") >= {"available_models", "load_audio", "pad_or_trim", "log_mel_spectrogram"}


def test_the_readmes_transcription_is_upstreams(fields: list[dict[str, Any]]):
    """35 s, over two windows: texts, times, tokens, scores and what is printed."""
    found = names(fields, "README, Python 1")
    assert found >= {"result.text", "result.language", "printed", *(f"result.segments[].{key}" for key in SEGMENT)}
    texts = next(field for field in fields if field["name"] == "result.segments[].text")
    assert len(texts["upstream"]) > 4


def test_the_readmes_lower_level_is_upstreams(fields: list[dict[str, Any]]):
    """Language probabilities, what the encoder gives, tokens, scores."""
    found = names(fields, "README, Python 2")
    assert found >= {"probs.probabilities", "result.audio_features", "result.tokens", "result.avg_logprob", "printed"}


def test_the_readmes_commands_write_upstreams_files(fields: list[dict[str, Any]]):
    """Five formats to the byte, and the same lines on standard output; in another language, translated, with words."""
    examples = {field["example"] for field in fields if field["example"].startswith("whisper ")}
    assert len(examples) == 3
    assert any("--task translate" in example for example in examples)
    found = names(fields, "whisper ")
    assert found >= {f"files.audio.{kind}" for kind in ("txt", "srt", "vtt", "tsv", "json.numbers", "json.around")}


def test_every_option_does_what_upstreams_does(fields: list[dict[str, Any]]):
    """Each was given once: decoding, checks and what is tried again, prompts, words, clips, silence that is skipped."""
    assert names(fields, "short, ") >= {"text", *(f"segments[].{key}" for key in SEGMENT)}
    assert names(fields, "gapped, ") >= {"segments[].words[].word", "segments[].words[].start"}
    from asrlab.compat.whisper.arguments import DEFAULTS

    given = " ".join({field["example"] for field in fields})
    missing = {name for name in DEFAULTS if not re.search(rf"\b{name}=", given)}
    assert missing == {"task", "prompt"}  # the first is a command's above, the second is refused


def test_silence_and_noise_are_upstreams(fields: list[dict[str, Any]]):
    """What is hardly speech, where the temperature rises and the random numbers must be drawn in the same order."""
    assert "text" in names(fields, "silence, ")
    assert "text" in names(fields, "noise, ")
