"""Messages of ``asrlab pull`` before a download starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def test_pull_describes_a_download_before_it_starts(asrlab_cli: Any, tmp_path: Path):
    """The first line and the error have repository, revision and size of the weights."""
    result = asrlab_cli("pull", "faster-whisper/small", ASRLAB_CACHE=str(tmp_path))
    description = "Systran/faster-whisper-small @ 536b0662742c (486 MB)"
    assert (result.code, result.out) == (4, "")
    assert result.err.splitlines()[0] == f"faster-whisper/small: {description}"
    assert f"they come from {description}" in result.err
    assert "pip install" not in result.err


def test_pull_does_not_announce_existing_weights(asrlab_cli: Any, weights_cache: Path):
    """Weights that are in the store are not announced."""
    result = asrlab_cli("pull", "faster-whisper/base", ASRLAB_CACHE=str(weights_cache))
    assert (result.code, result.err) == (0, "")


def test_pull_does_not_announce_a_download_if_offline(asrlab_cli: Any, tmp_path: Path):
    """With --offline, no download is announced."""
    result = asrlab_cli("pull", "faster-whisper/small", "--offline", ASRLAB_CACHE=str(tmp_path))
    assert result.err.startswith("asrlab: the weights of faster-whisper/small are not on this machine")


def test_models_mark_an_estimated_size(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """The table marks an estimated size with "about", and an exact size is printed without the mark."""
    source = """
import asrlab

@asrlab.plugin.hookimpl
def asrlab_engines():
    return [asrlab.plugin.EngineSpec(
        name="lfm", factory="x:load", devices="x:devices",
        models=(asrlab.plugin.ModelSpec(name="audio", weights=("liquidai/lfm2.5-audio-1.5b",)),),
    )]
"""
    write_distribution(tmp_path / "plugins", "lfm", source=source)
    result = asrlab_cli("models", plugins=[tmp_path / "plugins"], ASRLAB_CACHE=str(tmp_path / "cache"))
    assert "to fetch, about 3.3 GB" in result.out
    assert "to fetch, 486 MB" in result.out
