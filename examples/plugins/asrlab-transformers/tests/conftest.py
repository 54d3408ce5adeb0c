"""Whisper base in Hugging Face's format, made from the weights at hand, and tiny models of random numbers."""

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
    """A cache of this run's own, away from the network; ``ASRLAB_TEST_CACHE`` names one to keep between runs."""
    kept = os.environ.get("ASRLAB_TEST_CACHE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(folder))
        patch.setenv("ASRLAB_RUNS", str(folder / "runs"))
        patch.setenv("ASRLAB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(folder / "hub"))
        yield folder


@pytest.fixture(scope="session")
def ctranslate2_folder(cache: Path) -> Path:
    """Systran's whisper base, which packages carry."""
    return asrlab.weights_path("faster-whisper/base", offline=True)


@pytest.fixture(scope="session")
def readme(ctranslate2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The example of README.md, run: the folder that it ran in, what it printed, and what README.md says it prints."""
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    code, told = re.findall(r"```(?:python|text)\n(.*?)```", text, re.DOTALL)[-2:]
    folder = tmp_path_factory.mktemp("readme")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True, text=True)
    return folder, done.stdout, told


@pytest.fixture(scope="session")
def base_folder(readme: tuple[Path, str, str]) -> Path:
    """Whisper base in Hugging Face's format, as the example of README.md makes it from Systran's."""
    return readme[0] / "whisper-base"


@pytest.fixture(scope="session")
def clips() -> dict[str, np.ndarray]:
    """The samples of each clip of the smoke set, by its id: float32, shape (n,), at 16 kHz."""
    return {
        utterance.id: asrlab.load_audio(utterance.audio).samples
        for utterance in asrlab.evaluation.load_dataset("smoke")
    }


@pytest.fixture(scope="session")
def ctc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wav2vec 2.0 with a CTC head: tiny, of random numbers, in the real format."""
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder = tmp_path_factory.mktemp("ctc") / "tiny-wav2vec2"
    folder.mkdir()
    vocabulary = {token: place for place, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGH"])}
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
        model.lm_head.weight.mul_(50)  # so that it says something else now and then
    model.save_pretrained(folder)
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), word_delimiter_token="|").save_pretrained(folder)  # noqa: S106
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "RANDOM_WEIGHTS.txt").write_text("random numbers, for tests\n", encoding="utf-8")
    return folder
