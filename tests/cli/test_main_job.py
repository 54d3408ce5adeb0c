"""A bench of real speech with both engines through one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asrlab.weights import entry

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("faster-whisper/base", "openai-whisper/base")


@pytest.fixture(scope="module")
def bench_result(asrlab_cli: Any, weights_cache: Path) -> Any:
    """Return the result of ``asrlab bench smoke`` with both engines, as JSON."""
    models = [argument for model in MODELS for argument in ("-m", model)]
    return asrlab_cli("bench", "smoke", *models, "--device", "cpu", "--json", ASRLAB_CACHE=str(weights_cache))


def test_both_engines_make_at_most_one_error_in_70_words(bench_result: Any):
    """Each engine with the base model makes at most one word error in the five clips."""
    assert (bench_result.code, bench_result.json["failed"]) == (0, 0)
    assert [model["model"] for model in bench_result.json["models"]] == list(MODELS)
    for model in bench_result.json["models"]:
        words = model["score"]["words"]
        assert words["hits"] + words["substitutions"] + words["deletions"] == 70
        assert words["substitutions"] + words["deletions"] + words["insertions"] <= 1


def test_the_weights_are_those_of_the_catalogue(bench_result: Any):
    """Both engines report the sha256 that the catalogue pins for the same file."""
    pinned = entry("systran/faster-whisper-base").main_file.sha256
    for model in bench_result.json["models"]:
        assert model["info"]["model"]["weights_sha256"] == pinned
        assert model["info"]["model"]["weights_pinned"] is True


def test_the_result_describes_the_environment(bench_result: Any):
    """Each model has its device, compute type, package versions, load time and peak memory."""
    faster, openai = bench_result.json["models"]
    for model in (faster, openai):
        assert model["info"]["device"] == {"requested": "cpu", "resolved": "cpu", "reason": "", "simulated": False}
        assert model["load_seconds"] > 0
        assert model["rtfx"] > 0
        assert model["latency_seconds"]["p50"] > 0
        assert model["peak_resident_bytes"] > 150 * 2**20
    assert faster["info"]["compute_type"].startswith("int8")
    assert openai["info"]["compute_type"] == "float32"
    names = {package["name"] for package in openai["info"]["packages"]}
    assert {"asrlab", "openai-whisper", "torch"} <= names


def test_each_utterance_has_its_texts(bench_result: Any):
    """The JSON has each utterance's reference, hypothesis and transcript, in the order of the data set."""
    for model in bench_result.json["models"]:
        assert [utterance["id"][-4:] for utterance in model["utterances"]] == ["0870", "0880", "0890", "0920", "0930"]
    first = bench_result.json["models"][0]["utterances"][1]
    assert first["reference"] == "he was not an ill disposed young man"
    assert first["hypothesis"] == first["transcript"]["text"] == "He was not an ill-disposed young man."
    assert first["failure"] is None
