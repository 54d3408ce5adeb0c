"""``asrlab pull``: what it says before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def test_pull_says_what_comes_and_how_big_it_is_before_it_begins(asrlab_cli: Any, tmp_path: Path):
    """Repository, revision and size are the first line on standard error, and the failure that follows has them too."""
    ran = asrlab_cli("pull", "faster-whisper/small", ASRLAB_CACHE=str(tmp_path))
    told = "Systran/faster-whisper-small @ 536b0662742c (486 MB)"
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.splitlines()[0] == f"faster-whisper/small: {told}"
    assert f"they come from {told}" in ran.err
    assert "pip install" not in ran.err


def test_pull_says_nothing_of_what_is_here(asrlab_cli: Any, weights_cache: Path):
    """Weights in the store are not announced."""
    ran = asrlab_cli("pull", "faster-whisper/base", ASRLAB_CACHE=str(weights_cache))
    assert (ran.code, ran.err) == (0, "")


def test_pull_offline_announces_nothing(asrlab_cli: Any, tmp_path: Path):
    """With --offline nothing would come over the network."""
    ran = asrlab_cli("pull", "faster-whisper/small", "--offline", ASRLAB_CACHE=str(tmp_path))
    assert ran.err.startswith("asrlab: the weights of faster-whisper/small are not on this machine")


def test_models_show_an_estimate_as_one(asrlab_cli: Any, tmp_path: Path, write_distribution: Any):
    """The table says about how big weights are whose size is not known exactly; exact ones are plain."""
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
    ran = asrlab_cli("models", plugins=[tmp_path / "plugins"], ASRLAB_CACHE=str(tmp_path / "cache"))
    assert "to fetch, about 3.3 GB" in ran.out
    assert "to fetch, 486 MB" in ran.out
